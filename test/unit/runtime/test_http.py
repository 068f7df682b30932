"""The transport over sockets, as far as it needs none."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from kaito.runtime import Call, ConnectionFailed, HttpTransport
from kaito.runtime.credentials import Anonymous


class Slow:
    """Credentials that take their time."""

    def __init__(self) -> None:
        self.come = asyncio.Event()

    async def authorization(self) -> str | None:
        await self.come.wait()
        return None

    def refused(self, authorization: str | None) -> None:
        return None


async def test_a_call_that_waited_for_credentials_opens_nothing_after_the_end() -> None:
    credentials = Slow()
    transport = HttpTransport("http://127.0.0.1:9", credentials)
    sending = asyncio.create_task(transport.send(Call(method="GET", path="/")))
    await asyncio.sleep(0)
    await transport.aclose()
    credentials.come.set()
    with pytest.raises(ConnectionFailed, match="has been closed"):
        await sending


async def test_a_header_of_several_values_is_sent_with_each_of_them() -> None:
    groups: list[list[str]] = []

    async def answer(request: web.BaseRequest) -> web.Response:
        groups.append(request.headers.getall("Impersonate-Group"))
        return web.Response(text="{}")

    async with RawTestServer(answer) as server:
        headers = {"Impersonate-Group": ("a", "b")}
        transport = HttpTransport(str(server.make_url("")), Anonymous(), headers=headers)
        reply = await transport.send(Call(method="GET", path="/"))
        await reply.aclose()
        await transport.aclose()
    assert groups == [["a", "b"]]
