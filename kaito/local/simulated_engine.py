"""A stand-in for the inference engine: the HTTP API of a served model, without a model.

    python -m kaito.local.simulated_engine --port 5000 --model phi-3-mini-4k-instruct

On several nodes it is a leader, which answers once all workers are there, or a worker, which
answers nothing but how it is.

It answers every question with a sentence that says that the answer is simulated; the header
`x-kaito-simulated` says so, too. Standard library alone, because pods start it by the hundred.
It counts words where an engine counts tokens.
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from kaito.local.simulated_group import Leader, Place, join

MAX_BODY = 1024 * 1024
MARK = "simulated"
KEYS = ("VLLM_API_KEY", "KAITO_API_KEY")  # variables with the key that clients must bring


class BadQuestion(Exception):
    """The request cannot be answered; the message says why."""


@dataclass(slots=True)
class Engine:
    """What the process knows: the name it serves under, when it is loaded, what it counted."""

    model: str
    loaded_at: float
    adapters: tuple[str, ...] = ()
    """Names that it serves under besides."""
    key: str = ""
    """What clients must bring, "" for nothing."""
    leader: Leader | None = None
    """Who counts the workers; None where there are none."""
    works: bool = False
    """Whether it is a worker itself."""
    requests: int = 0
    prompt_tokens: int = 0
    generation_tokens: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ready(self) -> bool:
        """Whether questions are answered."""
        complete = self.leader is None or self.leader.complete
        return complete and time.monotonic() >= self.loaded_at

    def knows(self, model: object) -> bool:
        """Whether it serves under this name."""
        return model in (None, "", self.model, *self.adapters)

    def admits(self, authorization: str) -> bool:
        """Whether a client with this header may ask."""
        scheme, _, token = authorization.partition(" ")
        right = hmac.compare_digest(token.strip().encode(), self.key.encode())
        return not self.key or (scheme.lower() == "bearer" and right)

    def answer(self, prompt: str, limit: int | None = None) -> list[str]:
        """The words of the answer, cut at `limit`."""
        asked = " ".join(prompt.split())
        shown = f"{asked[:200]}…" if len(asked) > 200 else asked
        text = f"This is a {MARK} answer by {self.model}: no model is loaded. You asked: {shown}"
        words = text.split(" ")[:limit]
        with self.lock:
            self.requests += 1
            self.prompt_tokens += len(asked.split())
            self.generation_tokens += len(words)
        return words

    def metrics(self) -> str:
        """Counters under the names that vLLM gives them."""
        name = json.dumps(self.model)
        return "".join(
            f"# TYPE {metric} {kind}\n{metric}{{model_name={name},engine_kind={json.dumps(MARK)}}}"
            f" {value}\n"
            for metric, kind, value in (
                ("vllm:num_requests_running", "gauge", 0),
                ("vllm:num_requests_waiting", "gauge", 0),
                ("vllm:request_success_total", "counter", self.requests),
                ("vllm:prompt_tokens_total", "counter", self.prompt_tokens),
                ("vllm:generation_tokens_total", "counter", self.generation_tokens),
            )
        )


def prompt_of(body: dict[str, Any]) -> str:
    """What is asked: `prompt`, or the last message of `messages`. Raises BadQuestion."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt:
        prompt = prompt[0]
    if isinstance(prompt, str):
        return prompt
    messages = body.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        content = messages[-1].get("content")
        if isinstance(content, list):
            content = " ".join(part.get("text", "") for part in content if isinstance(part, dict))
        if isinstance(content, str):
            return content
    raise BadQuestion("The body needs `prompt` (text) or `messages` with a last `content`.")


def limit_of(body: dict[str, Any]) -> int | None:
    """The most tokens that may be generated, None for no limit. Raises BadQuestion."""
    for name in ("max_completion_tokens", "max_tokens"):
        limit = body.get(name)
        if limit is None:
            continue
        if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
            raise BadQuestion(f"`{name}` must be an integer of at least 1, not {limit!r}.")
        return limit
    return None


class Handler(BaseHTTPRequestHandler):
    """One connection. The engine is an attribute of the server."""

    protocol_version = "HTTP/1.1"
    server_version = "kaito-simulated-engine"

    @property
    def engine(self) -> Engine:
        engine: Engine = self.server.engine  # type: ignore[attr-defined]  # set by serve()
        return engine

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/" | "/health" | "/healthz":
                if self.engine.ready:
                    self._json(200, {"status": "Healthy", MARK: True})
                else:
                    self._json(503, {"status": "Loading", MARK: True})
            case "/metrics":
                text = self.engine.metrics().encode()
                self._send(200, "text/plain; version=0.0.4; charset=utf-8", text)
            case "/v1/models":
                if self._may_ask():
                    names = (self.engine.model, *self.engine.adapters)
                    data = [self._model(each) for each in names]
                    self._json(200, {"object": "list", "data": data})
            case "/version":
                self._json(200, {"version": MARK, MARK: True})
            case _:
                self._not_found()

    def do_POST(self) -> None:
        try:
            body = self._body()
            if not self._may_ask():
                return
            match self.path.partition("?")[0]:
                case "/chat":
                    words = self.engine.answer(prompt_of(body), limit_of(body))
                    self._json(200, {"Result": " ".join(words), MARK: True})
                case "/v1/chat/completions":
                    self._complete(body, chat=True)
                case "/v1/completions":
                    self._complete(body, chat=False)
                case _:
                    self._not_found()
        except BadQuestion as error:
            self._error(400, "BadRequestError", str(error))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        # Probes come every few seconds and would bury the rest of the pod's log.
        if self.command == "POST":
            print(f"{self.log_date_time_string()} {format % args}", flush=True)  # noqa: T201

    def _complete(self, body: dict[str, Any], *, chat: bool) -> None:
        wanted = body.get("model")
        if not self.engine.knows(wanted):
            self._error(404, "NotFoundError", f"The model `{wanted}` does not exist.")
            return
        prompt, limit = prompt_of(body), limit_of(body)
        words = self.engine.answer(prompt, limit)
        reason = "length" if limit is not None and len(words) == limit else "stop"
        head = {
            "id": f"{MARK}-{self.engine.requests}",
            "object": "chat.completion" if chat else "text_completion",
            "created": int(time.time()),
            "model": wanted or self.engine.model,
            MARK: True,
        }
        if body.get("stream"):
            self._stream(head | {"object": f"{head['object']}.chunk"}, words, reason, chat=chat)
            return
        text = " ".join(words)
        content = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        asked = len(prompt.split())
        usage = {
            "prompt_tokens": asked,
            "completion_tokens": len(words),
            "total_tokens": asked + len(words),
        }
        choice = {"index": 0, **content, "finish_reason": reason}
        self._json(200, {**head, "choices": [choice], "usage": usage})

    def _stream(self, head: dict[str, Any], words: list[str], reason: str, *, chat: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header(f"x-kaito-{MARK}", "true")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for delta, finish in _deltas(words, reason, chat=chat):
                choice = {"index": 0, **delta, "finish_reason": finish}
                self._chunk(f"data: {json.dumps({**head, 'choices': [choice]})}\n\n")
            self._chunk("data: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _may_ask(self) -> bool:
        """Whether the question may be answered now; if not, that has been said."""
        if not self.engine.admits(self.headers.get("Authorization", "")):
            self._error(401, "AuthenticationError", "This model needs an API key.")
        elif self.engine.works:
            self._error(404, "NotFoundError", "This is a worker: the leader answers.")
        elif not self.engine.ready:
            self._error(503, "ServiceUnavailableError", "The model is not loaded yet.")
        else:
            return True
        return False

    def _model(self, name: str) -> dict[str, Any]:
        base = {} if name == self.engine.model else {"parent": self.engine.model}
        return {"id": name, "object": "model", "owned_by": "kaito", **base, MARK: True}

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            raise BadQuestion(f"The body needs a Content-Length of at most {MAX_BODY} bytes.")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except ValueError:
            raise BadQuestion("The body is not JSON.") from None
        if not isinstance(body, dict):
            raise BadQuestion("The body must be a JSON object.")
        return body

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(body, ensure_ascii=False).encode())

    def _error(self, status: int, kind: str, message: str) -> None:
        error = {"message": message, "type": kind, "code": status}
        self._json(status, {"error": error, MARK: True})

    def _not_found(self) -> None:
        self._error(404, "NotFoundError", f"{self.path} is not served by the simulated engine.")

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header(f"x-kaito-{MARK}", "true")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body)


def _deltas(
    words: list[str], reason: str, *, chat: bool
) -> Iterator[tuple[dict[str, Any], str | None]]:
    """The parts of a streamed answer: the role, word after word, the end."""
    if chat:
        yield {"delta": {"role": "assistant", "content": ""}}, None
    for number, word in enumerate(words):
        text = word if number == 0 else f" {word}"
        yield ({"delta": {"content": text}} if chat else {"text": text}), None
    yield ({"delta": {}} if chat else {"text": ""}), reason


def serve(host: str, port: int, engine: Engine) -> ThreadingHTTPServer:
    """A server that listens; the caller runs `serve_forever`. OSError when the port is taken."""
    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    server.engine = engine  # type: ignore[attr-defined]  # read by Handler
    return server


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit status."""
    parser = argparse.ArgumentParser(prog="simulated_engine", description="A served model's API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--model", default=MARK, help="the name it serves under")
    parser.add_argument(
        "--adapter", action="append", default=[], help="another name that it serves under"
    )
    parser.add_argument(
        "--load-seconds", type=float, default=0.0, help="how long /health answers 503"
    )
    options = parser.parse_args(arguments)
    loaded_at = time.monotonic() + options.load_seconds
    place = Place.of(os.environ)
    engine = Engine(
        options.model,
        loaded_at,
        adapters=tuple(options.adapter),
        key=next((key for name in KEYS if (key := os.environ.get(name, ""))), ""),
        works=not place.leads,
    )
    try:
        if place.nodes > 1 and place.leads:
            engine.leader = Leader(place)
            engine.leader.start()
        server = serve(options.host, options.port, engine)
    except OSError as error:
        print(f"Cannot listen: {error.strerror}.", file=sys.stderr)  # noqa: T201
        return 1
    if engine.works:
        join(place)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop that this handler interrupts, so it needs another thread.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"simulated engine for {options.model} on port {server.server_port}", flush=True)  # noqa: T201
    with server:
        server.serve_forever(poll_interval=0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
