"""The transport over sockets: HTTP/1.1 with keep-alive, TLS, bearer tokens.

aiohttp pins one connection per running watch, so watches have a pool of their own and can never
starve the calls.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlencode, urlsplit

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from kaito.runtime.credentials import Credentials
from kaito.runtime.errors import ConnectionFailed
from kaito.runtime.tls import Tls
from kaito.runtime.transport import NO_PAIRS, Call, Headers, Reply

CONNECT_SECONDS = 10.0
CALL_CONNECTIONS = 64
CHUNK = 64 * 1024
USER_AGENT = "kaito-runtime"


class HttpTransport:
    """Sends calls to one API server."""

    def __init__(
        self,
        server: str,
        credentials: Credentials,
        *,
        tls: Tls | None = None,
        tls_server_name: str | None = None,
        proxy: str | None = None,
        headers: Headers = NO_PAIRS,
        user_agent: str = USER_AGENT,
        origin: str = "",
    ) -> None:
        self._server = server.rstrip("/")
        self._credentials = credentials
        self._tls = tls
        self._tls_server_name = tls_server_name
        self._proxy = proxy
        self._headers = CIMultiDict(
            {
                "User-Agent": user_agent,
                # Inflating costs more than the bytes do where the server is near.
                "Accept-Encoding": "identity",
            }
        )
        for name, value in headers.items():
            self._headers.pop(name, None)
            for each in (value,) if isinstance(value, str) else value:
                self._headers.add(name, each)
        self._origin = origin
        self._closed = False
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        return urlsplit(self._server).netloc

    async def send(self, call: Call) -> Reply:
        authorization = await self._credentials.authorization()
        if self._closed:  # meanwhile, or before
            raise ConnectionFailed("The connection to the API server has been closed.", call)
        headers = self._headers.copy()
        headers.update(call.headers)
        if authorization:
            headers["Authorization"] = authorization
        where = self._server + call.path
        if call.query:
            where += "?" + urlencode(call.query)
        session = self._session(stream=call.timeout is None)
        try:
            response = await session.request(
                call.method,
                URL(where, encoded=True),
                # In pieces where it is large: aiohttp warns of writing much at once.
                data=io.BytesIO(call.body) if call.body and len(call.body) > CHUNK else call.body,
                headers=headers,
                allow_redirects=False,
                server_hostname=self._tls_server_name,
                proxy=self._proxy,
                ssl=True if self._tls is None else self._tls.context(),
            )
        except aiohttp.ClientConnectorCertificateError as error:
            raise ConnectionFailed(self._distrust(error), call) from error
        except aiohttp.ClientConnectorError as error:
            raise ConnectionFailed(self._unreachable(error), call) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionFailed(_why(error), call) from error
        if response.status == 401:
            self._credentials.refused(authorization)
        return _HttpReply(response, call)

    async def aclose(self) -> None:
        self._closed = True
        for session in (self._calls, self._streams):
            if session is not None:
                await session.close()
        self._calls = self._streams = None

    def _session(self, *, stream: bool) -> aiohttp.ClientSession:
        # Sessions are made on first use: their constructor wants a running event loop.
        session = self._streams if stream else self._calls
        if session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0 if stream else CALL_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                read_bufsize=CHUNK * 4,
                auto_decompress=True,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            if stream:
                self._streams = session
            else:
                self._calls = session
        return session

    def _unreachable(self, error: aiohttp.ClientConnectorError) -> str:
        where = f"Cannot connect to {self._proxy or self._server}"
        known = error.os_error.errno in errno.errorcode
        why = os.strerror(error.os_error.errno or 0) if known else _why(error.os_error)
        whose = f" {self._origin}, says that it is there." if self._origin else ""
        return f"{where}: {why}.{whose}"

    def _distrust(self, error: aiohttp.ClientConnectorCertificateError) -> str:
        why = getattr(error.certificate_error, "verify_message", str(error.certificate_error))
        whose = f"{self._origin}, has" if self._origin else "This client has"
        return (
            f"The certificate of {self._server} is not trusted: {why}. "
            f"{whose} another authority (certificate-authority) or server name (tls-server-name)."
        )


class _HttpReply:
    __slots__ = ("_call", "_headers", "_response")

    def __init__(self, response: aiohttp.ClientResponse, call: Call) -> None:
        self._response = response
        self._call = call
        self._headers: dict[str, str] | None = None

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> Mapping[str, str]:
        if self._headers is not None:
            return self._headers
        found = self._headers = {}
        for name, value in self._response.headers.items():
            lower = name.lower()
            found[lower] = f"{found[lower]}, {value}" if lower in found else value
        return found

    async def read(self) -> bytes:
        try:
            return await self._response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionFailed(_why(error), self._call) from error

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._response.content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionFailed(_why(error), self._call) from error

    async def aclose(self) -> None:
        # release() keeps a connection whose body was read; close() cuts one that still sends.
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
