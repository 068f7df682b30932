"""The port answers before the engine does, and the engine takes it over without a gap."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kaito.engine.listener import Listener, Said, answering, listening
from kaito.engine.vllm.handover import Door, announce, door

STARTING = Said(health={"status": "starting", "phase": "loading"}, metrics="a_metric 1\n")


@contextmanager
def port_of(said: Said = STARTING) -> Iterator[tuple[int, socket.socket, Listener, Door]]:
    with listening(0) as sock, door() as way, answering(sock, lambda: said, way) as listener:
        yield sock.getsockname()[1], sock, listener, way


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read(), {n.lower(): v for n, v in answer.getheaders()}
    finally:
        connection.close()


def test_who_asks_early_learns_how_far_it_is() -> None:
    with port_of() as (port, *_):
        status, body, headers = ask(port, "/health")
        assert status == 503
        assert json.loads(body) == STARTING.health
        assert (headers["retry-after"], headers["connection"]) == ("10", "close")
        assert ask(port, "/metrics?x=1")[:2] == (200, b"a_metric 1\n")


def test_a_worker_says_that_it_works() -> None:
    with port_of(Said(ready=True, health={"status": "ok"})) as (port, *_):
        assert ask(port, "/health")[:2] == (200, b'{"status": "ok"}')


@pytest.mark.parametrize("body", [None, b"{}", b"x" * 300_000])
def test_questions_to_the_model_are_told_to_come_back(body: bytes | None) -> None:
    with port_of() as (port, *_):
        status, told, headers = ask(port, "/v1/chat/completions", "POST", body)
        assert status == 503
        assert json.loads(told)["error"]["type"] == "service_unavailable_error"
        assert "retry-after" in headers


def test_a_client_that_says_nothing_keeps_nobody_waiting() -> None:
    with port_of() as (port, *_), socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET /hea")
        assert ask(port, "/health")[0] == 503


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "DELETE"])
def test_other_methods_are_told_to_come_back(method: str) -> None:
    with port_of() as (port, *_):
        status, told, _ = ask(port, "/v1/models", method)
        assert status == 503
        assert json.loads(told)["error"]["code"] == "model_loading"


def test_a_probe_that_wants_the_head_alone_gets_it() -> None:
    with port_of() as (port, *_):
        assert ask(port, "/health", "HEAD")[:2] == (503, b"")


def test_what_is_no_request_is_refused_as_an_error_of_the_api() -> None:
    with port_of() as (port, *_), socket.create_connection(("127.0.0.1", port), 10) as wrong:
        wrong.sendall(b"GET / HTTP/9\r\n\r\n")
        with wrong.makefile("rb") as answer:
            said = json.loads(answer.read().rpartition(b"\r\n")[2])
        assert said["error"]["type"] == "invalid_request_error"


def test_a_client_that_has_gone_leaves_nothing_in_the_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with port_of() as (port, *_):
        with socket.create_connection(("127.0.0.1", port)) as gone:
            # A reset, where the answer is awaited.
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            gone.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        assert ask(port, "/health")[0] == 503
    assert capfd.readouterr().err == ""


class _Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"engine")

    def log_message(self, *_: object) -> None:
        """Nothing is written."""


def test_no_connection_is_refused_when_the_engine_takes_over() -> None:
    with port_of() as (port, sock, listener, way):
        assert ask(port, "/health")[0] == 503
        announce(way.address)
        listener.wait()
        # Nobody accepts now, and still the connection is there for whoever does next.
        with socket.create_connection(("127.0.0.1", port), timeout=10) as waiting:
            waiting.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            engine = HTTPServer(("", 0), _Engine, bind_and_activate=False)
            engine.socket.close()
            engine.socket = sock.dup()
            engine.handle_request()
            with waiting.makefile("rb") as answer:
                assert answer.read().endswith(b"engine")
            engine.server_close()


def test_an_announcement_that_nobody_hears_is_no_error() -> None:
    with port_of() as (_, _, listener, way):
        listener.close()
        announce(way.address)
        announce("")
