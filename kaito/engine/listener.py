"""Answers on the engine's port before the engine does, and on a worker's for good.

Whoever asks meanwhile learns that the engine starts, and how far it is: /health answers 503 with
the progress, /metrics has it for Prometheus, everything else is told to come back. The engine's
server takes over the same listening socket, so that no connection is refused in between.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from kaito.engine.errors import error

LOOK = 0.2  # seconds after which a successor is noticed
PATIENCE = 10.0  # seconds for a client to say what it wants
RETRY_AFTER = 10
DISCARDED = 1024 * 1024  # bytes of a body that is not looked at
LOADING = "model_loading"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is answered at one moment."""

    ready: bool = False
    health: Mapping[str, object] = field(default_factory=dict)
    metrics: str = ""


class Successor(Protocol):
    """Who answers on the port from some moment on, in whichever process."""

    def waits(self) -> bool:
        """Whether that moment has come; asked every LOOK seconds."""

    def begin(self) -> None:
        """Nobody else answers any more."""


def listening(port: int, host: str = "") -> socket.socket:
    """A socket that listens on an address, "" for all. OSError when the port is taken."""
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048
        )
    return socket.create_server(("", port), backlog=2048)


class Listener:
    """Serves from a thread until its successor waits, or until it is closed."""

    def __init__(
        self, sock: socket.socket, say: Callable[[], Said], successor: Successor | None = None
    ) -> None:
        self._server = _Server(sock.dup(), say)
        self._successor = successor
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="listener", daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def wait(self) -> None:
        """Until it has ended."""
        self._thread.join()

    def close(self) -> None:
        """Stop answering; the socket that it was given goes on listening."""
        self._closed.set()
        self._thread.join()

    def _serve(self) -> None:
        successor = self._successor
        while not self._closed.is_set() and not (successor and successor.waits()):
            self._server.handle_request()
        self._server.server_close()
        if successor:
            successor.begin()


@contextmanager
def answering(
    sock: socket.socket, say: Callable[[], Said], successor: Successor | None = None
) -> Iterator[Listener]:
    """A listener that answers meanwhile."""
    listener = Listener(sock, say, successor)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    timeout = LOOK

    def __init__(self, sock: socket.socket, say: Callable[[], Said]) -> None:
        super().__init__(("", 0), _Answer, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.say = say

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no error of ours; of others the log is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type] # of typeshed


class _Answer(BaseHTTPRequestHandler):
    timeout = PATIENCE
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        said, path = server.say(), self.path.partition("?")[0]
        if path == "/metrics":
            self._send(200, said.metrics.encode(), "text/plain; version=0.0.4; charset=utf-8")
        elif path in ("/", "/health", "/healthz", "/ping"):
            code = 200 if said.ready else 503
            self._send(code, json.dumps(said.health).encode(), "application/json")
        else:
            self._later()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        self.rfile.read(min(int(length) if length.isdecimal() else 0, DISCARDED))
        self._later()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class finds wrong with a request: in JSON, as all errors are."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._later()  # it is the engine that knows other methods
            return
        self.close_connection = True
        said = error(code, f"{message or HTTPStatus(code).phrase}.")
        self._send(code, json.dumps(said).encode(), "application/json")

    def _later(self) -> None:
        message = "The model is not loaded yet: ask again later; /health says how far it is."
        said = error(503, message, code=LOADING)
        self._send(503, json.dumps(said).encode(), "application/json")

    def _send(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # The next request must find the engine, if that is up by then.
        self.send_header("Connection", "close")
        if code == 503:
            self.send_header("Retry-After", str(RETRY_AFTER))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parameter
        """Probes come every few seconds: nothing is written."""
