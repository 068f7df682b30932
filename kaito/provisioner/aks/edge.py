"""The last step to Azure Resource Manager: whom the token may reach, how much is read, how fast.

Nothing is sent to another host than the one in the settings, wherever a redirect or a link points,
and no answer is read beyond a limit. It decides nothing about what answers mean.
"""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import aiohttp
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import AsyncHTTPPolicy
from azure.core.rest import AsyncHttpResponse, HttpRequest

from kaito.provisioner.aks.pacing import Pacer, Passage

ANSWER_LIMIT = 32 * 1024 * 1024  # bytes; a page of a hundred pools has a few hundred thousand


class _Bounded(aiohttp.ClientResponse):
    """An answer that is not read without end."""

    async def read(self) -> bytes:
        whole = bytearray()
        async for piece in self.content.iter_any():
            whole += piece
            if len(whole) > ANSWER_LIMIT:
                self.close()
                raise aiohttp.ClientPayloadError(f"an answer of more than {ANSWER_LIMIT} bytes")
        return bytes(whole)


def new_session(ca_data: str) -> aiohttp.ClientSession:
    """Connections that trust these certificates, or the system's, and the environment's proxy."""
    tls = ssl.create_default_context(cadata=ca_data or None)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=True,
        response_class=_Bounded,
    )


class Edge(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Lets requests to one address pass, each in its turn, before they are given a token."""

    def __init__(self, base_url: str, pacer: Pacer) -> None:
        super().__init__()
        self._origin = _origin(base_url)
        self._pacer = pacer

    async def send(
        self, request: PipelineRequest[HttpRequest]
    ) -> PipelineResponse[HttpRequest, AsyncHttpResponse]:
        """Send it and note what the answer tells. ServiceRequestError for another address."""
        method, url = request.http_request.method, request.http_request.url
        if _origin(url) != self._origin:
            raise ServiceRequestError(
                f"an answer points to {urlsplit(url).hostname}, and the token is for "
                f"{urlsplit(self._origin).hostname} alone; check AZURE_RESOURCE_MANAGER_URL"
            )
        passage = Passage.of(method, urlsplit(url).path)
        await self._pacer.turn(passage)
        response = await self.next.send(request)
        answer = response.http_response
        headers = {name.lower(): value for name, value in answer.headers.items()}
        self._pacer.note(passage, method, answer.status_code, headers)
        return response


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 443}"
