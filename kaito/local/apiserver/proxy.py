"""The proxy subresources: requests that go on to what a service or pod listens on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp

from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.status import StatusError, bad_request, not_found

Address = tuple[str, int]
Resolver = Callable[[str, str, str, str], Address | None]
HOP_HEADERS = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "proxy-authorization",
    "authorization",
    "host",
    "content-length",
    "accept-encoding",
}
LogReader = Callable[[str, str, str], AsyncIterator[bytes] | bytes | None]


class Proxy:
    """Forwards to the address that `resolver` names: (namespace, services or pods, name, port)."""

    def __init__(self, core: Core, resolver: Resolver | None = None) -> None:
        self._core = core
        self.resolver = resolver

    async def serve(self, call: Call) -> Response:
        """Raises StatusError when there is no such object or nothing listens."""
        target = call.target
        name, port = split_name(target.name)
        if self._core.record(call.kind, target.namespace, name) is None:
            raise not_found(call.kind.group, call.kind.plural, name)
        address = (
            self.resolver(target.namespace, target.plural, name, port) if self.resolver else None
        )
        if address is None:
            if target.plural == "services":
                raise StatusError(
                    503, "ServiceUnavailable", f'no endpoints available for service "{target.name}"'
                )
            raise bad_request("address not allowed")
        path = target.rest or "/"
        url = f"http://{address[0]}:{address[1]}{path}"
        if call.request.query:
            url += f"?{call.request.query}"
        return await self._forward(call, url)

    async def _forward(self, call: Call, url: str) -> Response:
        from yarl import URL

        headers = {k: v for k, v in call.request.headers.items() if k not in HOP_HEADERS}
        session = aiohttp.ClientSession(
            auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None, connect=5)
        )
        try:
            reply = await session.request(
                call.request.method,
                URL(url, encoded=True),
                headers=headers,
                data=call.request.body or None,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await session.close()
            raise StatusError(
                503, "ServiceUnavailable", f"error trying to reach service: {error}"
            ) from error

        async def stream() -> AsyncIterator[bytes]:
            try:
                async for chunk in reply.content.iter_any():
                    yield chunk
            finally:
                reply.close()
                await session.close()

        passed: dict[str, Any] = {
            k.lower(): v for k, v in reply.headers.items() if k.lower() not in HOP_HEADERS
        }
        return Response(reply.status, passed, stream())


def split_name(name: str) -> tuple[str, str]:
    """`[scheme:]name[:port]` as name and port."""
    parts = name.split(":")
    if len(parts) == 3:
        return parts[1], parts[2]
    return parts[0], parts[1] if len(parts) == 2 else ""
