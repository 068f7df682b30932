"""What stands in front of vLLM's API, in its own server: /chat, a bound for the queue, the key.

vLLM adds it by its argument --middleware, in each of its server processes. Everything that it does
not know passes through untouched. It also has vLLM load the adapters, before anybody is answered:
told of them as arguments, vLLM would end for one that does not belong to the model.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from prometheus_client import REGISTRY, CollectorRegistry, Counter

from kaito.engine.errors import Refused
from kaito.engine.historical import question, result
from kaito.engine.vllm.adapters import LISTED
from kaito.engine.vllm.gate import UNLIMITED, Gate, limit
from kaito.engine.vllm.handover import UP, announce

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("kaito.engine")

KEY = "VLLM_API_KEY"
TYPE = b"content-type"
# What probes and Prometheus ask. vLLM itself guards /v1, /v2 and /inference, and leaves /tokenize,
# /pooling, /invocations and others to everybody.
OPEN = frozenset(["/health", "/ping", "/metrics", "/version"])
LONGEST = 8 * 1024**2  # bytes of a body of /chat
RETRY_AFTER = 1  # seconds; a place is free as soon as any answer is complete


class Front:
    """ASGI middleware. vLLM makes it with the application behind it alone, hence the defaults."""

    def __init__(
        self,
        app: App,
        *,
        variables: Mapping[str, str] = os.environ,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._app = app
        self._up = variables.get(UP, "")
        self._key = variables.get(KEY, "").encode()
        self._gate: Gate | None = Gate(limit=0) if variables.get(UNLIMITED) else None
        self._adapters = json.loads(variables.get(LISTED, "[]"))
        self._rejected = Counter(
            "kaito_ratelimit_rejected",
            "Requests that were refused because too many were under way",
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._starting(scope, send))
        elif scope["type"] != "http" or scope["method"] == "OPTIONS":
            await self._app(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._admit(scope)
        except Refused as refused:
            await _refuse(send, refused)
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        gate = self._gate = self._gate or Gate(limit=_limit(scope))
        if not gate.enter():
            self._rejected.inc()
            message = f"{gate.limit} requests are under way, which is all that may wait."
            await _refuse(send, Refused(message, status=429, code="queue_full"))
            return
        try:
            await (self._chat if scope["path"] == "/chat" else self._app)(scope, receive, send)
        finally:
            gate.leave()

    def _admit(self, scope: Scope) -> None:
        """Refused for who does not bring the key, where there is one."""
        if not self._key or scope["path"] in OPEN:
            return
        said = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, brought = said.partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(brought, self._key):
            raise Refused(
                "This model asks for a key: Authorization: Bearer KEY.",
                status=401,
                code="invalid_api_key",
            )

    async def _chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The historical API, asked of vLLM's own."""
        try:
            asked = question(await _json(receive))
        except Refused as refused:
            await _refuse(send, refused)
            return
        body = json.dumps(asked.body).encode()
        kept = [each for each in scope["headers"] if each[0] not in (b"content-length", TYPE)]
        length = (b"content-length", b"%d" % len(body))
        inner = {
            **scope,
            "path": asked.path,
            "raw_path": asked.path.encode(),
            "query_string": b"",
            "headers": [*kept, length, (TYPE, b"application/json")],
        }
        answer = _Answer()
        # After the body its receive is the client's own, so that one who goes away is noticed.
        await self._app(inner, _after({"type": "http.request", "body": body}, receive), answer.take)
        told = bytes(answer.body)
        said = json.loads(told) if answer.status == 200 else None
        if isinstance(said, dict):  # and not an error, nor nothing for a client that has gone
            told = json.dumps(result(asked, said)).encode()
        await _send(send, answer.status, told)

    def _starting(self, scope: Scope, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                for name, path in self._adapters:
                    await _load(scope["app"].state.openai_serving_models, name, path)
                if self._up:
                    await asyncio.to_thread(announce, self._up)
            await send(message)

        return sent


@dataclass(frozen=True, slots=True)
class _Load:
    """With the fields of its LoadLoRAAdapterRequest (vllm/entrypoints/serve/lora/protocol.py)."""

    lora_name: str
    lora_path: str
    load_inplace: bool = False
    is_3d_lora_weight: bool = False


async def _load(models: Any, name: str, path: str) -> None:
    said = await models.load_lora_adapter(_Load(name, path))
    if not isinstance(said, str):  # an ErrorResponse
        log.error("Adapter %s is not served: %s", name, said.error.message)


class _Answer:
    def __init__(self) -> None:
        self.status = 500
        self.body = bytearray()

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")


def _limit(scope: Scope) -> int:
    """Of this process, by what vLLM decided about itself."""
    config = scope["app"].state.vllm_config
    parallel = config.parallel_config
    return limit(
        config.scheduler_config.max_num_seqs,
        parallel.data_parallel_size,
        parallel._api_process_count,
    )


async def _json(receive: Receive) -> object:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused("The request ended before it was complete.")
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > LONGEST:
            raise Refused(f"The body is longer than {LONGEST} bytes.", status=413)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refused("The body is no JSON.") from None


def _after(first: Message, receive: Receive) -> Receive:
    messages = [first]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received


async def _refuse(send: Send, refused: Refused) -> None:
    await _send(send, refused.status, json.dumps(refused.body).encode())


async def _send(send: Send, status: int, body: bytes) -> None:
    headers = [(TYPE, b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 429:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
