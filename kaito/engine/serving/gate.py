"""The way in: the key, the size, and whether the client is still there.

ASGI, and outside everything else: the application behind it sees whole bodies of clients that may
ask, and is cancelled when they have gone.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from kaito.engine.errors import Refused

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST = 8 * 1024**2  # bytes of a body; a prompt of any context is far below
OPEN = frozenset(["/", "/health", "/healthz", "/metrics", "/version"])

log = logging.getLogger(__name__)


class Gate:
    """Stands before an application."""

    def __init__(self, app: App, *, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # The engine's own, for clients' ids may be the same, and answers would go astray then.
        own = f"req-{uuid.uuid4().hex}"
        scope.setdefault("state", {})["request_id"] = own
        headers: dict[bytes, bytes] = dict(scope["headers"])
        said = headers.get(b"x-request-id", own.encode())[:200]
        try:
            if scope["path"] not in OPEN:
                self._check(headers)
            body = await _body(receive, headers)
        except Refused as refused:
            await refuse(refused, _with_id(send, said))
            return
        if body is not None:
            await _while_there(self._app, scope, body, receive, _with_id(send, said))

    def _check(self, headers: MutableMapping[bytes, bytes]) -> None:
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        right = hmac.compare_digest(token.strip(), self._key)
        if self._key and not (scheme.lower() == b"bearer" and right):
            raise Refused(
                "This model needs an API key: send it as Authorization: Bearer KEY.",
                status=401,
                code="invalid_api_key",
            )


async def refuse(refused: Refused, send: Send) -> None:
    """Answer with an error."""
    body = json.dumps(refused.body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if refused.status == 503:
        headers.append((b"retry-after", b"1"))
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.status == 413:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body(receive: Receive, headers: MutableMapping[bytes, bytes]) -> bytes | None:
    """The whole body; None when the client went before it had sent it."""
    parts, size = [], int(headers.get(b"content-length", b"0"))
    while True:
        if size > LONGEST:
            raise Refused(
                f"The body has more than {LONGEST} bytes; send a shorter prompt.", status=413
            )
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
        size = max(size, sum(map(len, parts)))


async def _while_there(app: App, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
    """Run the application until it is done or the client has gone."""
    gone = asyncio.Event()
    sent = False

    async def read() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def watch() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    begun = False

    async def tell(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    answer = asyncio.ensure_future(app(scope, read, tell))
    watcher = asyncio.ensure_future(watch())
    try:
        await asyncio.wait((answer, watcher), return_when=asyncio.FIRST_COMPLETED)
        if gone.is_set():
            answer.cancel()
        await answer
    except asyncio.CancelledError:
        if not gone.is_set() and not begun:
            # The server ends, and has waited for answers as long as it was told to.
            message = "This server ends before it has answered; ask again."
            await refuse(Refused(message, status=503, code="server_ends"), send)
    except Exception:
        # The client has been told, or sees its answer end. Raised on, it would end the connection,
        # too, with what the client may have asked next.
        log.exception("A request failed.")
    finally:
        answer.cancel()
        watcher.cancel()


def _with_id(send: Send, said: bytes) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", said)]
        await send(message)

    return sending
