"""HTTPS in front of an API server: aiohttp over TLS, bodies streamed both ways."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

from kaito.local.apiserver.http import Request, Response, Upgrade
from kaito.local.apiserver.server import ApiServer
from kaito.local.apiserver.watches import Cut

BODY_LIMIT = 64 * 1024 * 1024  # bytes read before the API server's own limit answers


class HttpsFront:
    """Serves an ApiServer on an address. Port 0 takes a free one; `tls` None serves plain HTTP."""

    def __init__(
        self,
        server: ApiServer,
        tls: ssl.SSLContext | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._server = server
        self._tls = tls
        self._host = host
        self.port = port
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    async def start(self) -> None:
        """Raises OSError when the port is taken."""
        runner = web.ServerRunner(
            web.Server(self._serve, access_log=None, max_line_size=65536, max_field_size=65536),
            shutdown_timeout=0.2,
        )
        await runner.setup()
        site = web.TCPSite(runner, self._host, self.port, ssl_context=self._tls)
        await site.start()
        self._runner = runner
        if not self.port:
            self.port = int(runner.addresses[0][1])
        self._server.discovery.address = f"{self._host}:{self.port}"

    async def aclose(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        path, _, query = (
            incoming.raw_path.partition("?")
            if "?" in incoming.raw_path
            else (incoming.raw_path, "", "")
        )
        stream = incoming.content.iter_any() if self._server.is_streamed(path) else None
        incoming._client_max_size = BODY_LIMIT
        body = await incoming.read() if incoming.body_exists and stream is None else b""
        headers = {k.lower(): v for k, v in incoming.headers.items()}
        groups = incoming.headers.getall("Impersonate-Group", [])
        if groups:
            headers["impersonate-group"] = ",".join(groups)
        request = Request(incoming.method, path, query, headers, body, stream)
        try:
            response = await self._server.handle(request)
            return await self._send(incoming, response)
        except Cut:
            if incoming.transport is not None:
                incoming.transport.abort()
            return web.Response(status=499)

    async def _send(self, incoming: web.BaseRequest, response: Response) -> web.StreamResponse:
        if response.upgrade is not None:
            return await _upgrade(incoming, response.upgrade)
        headers = [(k, v) for k, v in response.headers.items()]
        headers += [("Warning", f'299 - "{_quoted(w)}"') for w in response.warnings]
        if isinstance(response.body, bytes):
            outgoing = web.Response(status=response.status, body=response.body)
            for name, value in headers:
                outgoing.headers.add(name, value)
            return outgoing
        streamed = web.StreamResponse(status=response.status)
        for name, value in headers:
            streamed.headers.add(name, value)
        await streamed.prepare(incoming)
        await _pour(streamed, response.body)
        return streamed


class _Socket:
    """A WebSocket of aiohttp as the API server knows it."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self.protocol = socket.ws_protocol or ""

    async def receive(self) -> bytes | None:
        message = await self._socket.receive()
        match message.type:
            case WSMsgType.BINARY:
                return bytes(message.data)
            case WSMsgType.TEXT:
                return str(message.data).encode()
        return None

    async def send(self, data: bytes) -> None:
        await self._socket.send_bytes(data)


async def _upgrade(incoming: web.BaseRequest, upgrade: Upgrade) -> web.StreamResponse:
    socket = web.WebSocketResponse(protocols=upgrade.protocols, compress=False)
    await socket.prepare(incoming)
    try:
        await upgrade.serve(_Socket(socket))
    except* ConnectionError:
        pass  # the other side has gone, and nobody is left to be told
    finally:
        await socket.close()
    return socket


async def _pour(streamed: web.StreamResponse, body: AsyncIterator[bytes]) -> None:
    try:
        async for chunk in body:
            if chunk:
                await streamed.write(chunk)
        await streamed.write_eof()
    except (ConnectionResetError, ConnectionError) as error:
        if isinstance(error, Cut):
            raise
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()


def _quoted(text: str) -> str:
    """A warning's text inside the quotes of a Warning header."""
    clean = "".join(c if c.isprintable() or c == " " else " " for c in text)
    return clean.replace("\\", "\\\\").replace('"', '\\"')
