"""Answers on the engine's port before the engine does, and on a worker's for good.

Whoever asks meanwhile learns that the engine starts, and how far it is: /health answers 503 with
the progress, /metrics has it for Prometheus, everything else is told to come back. vLLM's server
takes over the same listening socket, so that no connection is refused in between.
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kaito.engine.errors import error

UP = "KAITO_ENGINE_UP"  # where the engine says that it answers from now on: a socket's path
LOOK = 0.2  # seconds after which that is noticed
HANDOVER = 5.0  # seconds that the engine waits for that at most
PATIENCE = 10.0  # seconds for a client to say what it wants
RETRY_AFTER = 10
DISCARDED = 1024 * 1024  # bytes of a body that is not looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is answered at one moment."""

    ready: bool = False
    health: Mapping[str, object] = field(default_factory=dict)
    metrics: str = ""


def listening(port: int) -> socket.socket:
    """A socket that listens on all addresses. OSError when the port is taken."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(
            ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=2048
        )
    return socket.create_server(("", port), backlog=2048)


class Listener:
    """Serves from a thread until the engine says that it does, or until it is closed."""

    def __init__(self, sock: socket.socket, say: Callable[[], Said]) -> None:
        self._server = _Server(sock.dup(), say)
        self._folder = tempfile.TemporaryDirectory(prefix="kaito-")
        self.address = os.path.join(self._folder.name, "up")
        """Where to say that the engine answers."""
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._door.bind(self.address)
        self._door.listen()
        self._engine: socket.socket | None = None
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
        while not self._closed.is_set() and not self._engine_is_up():
            self._server.handle_request()
        self._server.server_close()
        self._door.close()
        if self._engine is not None:
            # Only now may it answer: nobody else does any more.
            self._engine.close()
        self._folder.cleanup()

    def _engine_is_up(self) -> bool:
        with suppress(BlockingIOError):
            self._engine, _ = self._door.accept()
        return self._engine is not None


@contextmanager
def answering(sock: socket.socket, say: Callable[[], Said]) -> Iterator[Listener]:
    """A listener that answers meanwhile."""
    listener = Listener(sock, say)
    listener.start()
    try:
        yield listener
    finally:
        listener.close()


def announce(address: str) -> None:
    """Say, from whichever process, that the engine answers from now on, and wait until nobody else
    does. Nothing happens where nobody listens any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as speaker, suppress(OSError):
        speaker.settimeout(HANDOVER)
        speaker.connect(address)
        speaker.recv(1)  # ends with the other end


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    timeout = LOOK

    def __init__(self, sock: socket.socket, say: Callable[[], Said]) -> None:
        super().__init__(("", 0), _Answer, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.say = say


class _Answer(BaseHTTPRequestHandler):
    timeout = PATIENCE
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        said, path = server.say(), self.path.partition("?")[0]
        if path == "/metrics":
            self._send(200, said.metrics.encode(), "text/plain; version=0.0.4; charset=utf-8")
        elif path in ("/health", "/healthz", "/ping"):
            code = 200 if said.ready else 503
            self._send(code, json.dumps(said.health).encode(), "application/json")
        else:
            self._later()

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        self.rfile.read(min(int(length) if length.isdecimal() else 0, DISCARDED))
        self._later()

    def _later(self) -> None:
        message = "The model is not loaded yet: ask again later; /health says how far it is."
        self._send(503, json.dumps(error(503, message)).encode(), "application/json")

    def _send(self, code: int, body: bytes, kind: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # The next request must find the engine, if that is up by then.
        self.send_header("Connection", "close")
        if code == 503:
            self.send_header("Retry-After", str(RETRY_AFTER))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parameter
        """Probes come every few seconds: nothing is written."""
