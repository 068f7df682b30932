"""The API server as a transport of kaito.runtime: calls go straight to `handle`, no sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode

from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer
from kaito.local.apiserver.watches import Cut
from kaito.runtime.errors import CallTimedOut, ConnectionFailed
from kaito.runtime.transport import Call, Reply


class InProcess:
    """Sends calls to an ApiServer of this process, with a bearer token when one is given."""

    def __init__(self, server: ApiServer, *, token: str = "", user_agent: str = "kaito") -> None:
        self._server = server
        self._token = token
        self._user_agent = user_agent

    @property
    def host(self) -> str:
        return "in-process"

    async def send(self, call: Call) -> Reply:
        """Raises ConnectionFailed where a fault cuts the call, CallTimedOut after its timeout."""
        headers = {k.lower(): v for k, v in call.headers.items()}
        headers.setdefault("user-agent", self._user_agent)
        if self._token:
            headers.setdefault("authorization", f"Bearer {self._token}")
        request = Request(call.method, call.path, urlencode(call.query), headers, call.body or b"")
        try:
            async with asyncio.timeout(call.timeout):
                response = await self._server.handle(request)
        except TimeoutError as error:
            raise CallTimedOut(f"{call}: no answer in {call.timeout} s") from error
        except Cut as error:
            raise ConnectionFailed(f"{call}: {error}") from error
        return InProcessReply(response, call)

    async def aclose(self) -> None:
        """Nothing to give back."""


class InProcessReply:
    """The answer to one call."""

    def __init__(self, response: Response, call: Call) -> None:
        self._response = response
        self._call = call

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._response.headers

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        body = self._response.body
        if isinstance(body, bytes):
            yield body
            return
        try:
            async for chunk in body:
                if chunk:
                    yield chunk
        except Cut as error:
            raise ConnectionFailed(f"{self._call}: {error}") from error

    async def aclose(self) -> None:
        body = self._response.body
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
