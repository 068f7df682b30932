"""The simulated Azure without sockets: the real SDK over a transport that calls the endpoint."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import ServiceRequestError
from azure.core.pipeline.transport import AsyncHttpTransport
from azure.core.rest import HttpRequest
from azure.core.rest._http_response_impl_async import AsyncHttpResponseImpl
from azure.mgmt.containerservice.aio import ContainerServiceClient
from prometheus_client import CollectorRegistry

from kaito.catalog.catalog import load
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.watches import Cut
from kaito.local.azure.account import Account
from kaito.local.azure.endpoint import AzureEndpoint
from kaito.local.azure.joining import NodeJoiner
from kaito.local.azure.settings import CONFIG_MAP
from kaito.local.azure.sizes import VmSizes
from kaito.local.kinds import NAMESPACES
from kaito.local.profile import Profile
from kaito.provisioner import CloudSettings, CredentialKind
from kaito.provisioner.aks import AksNodeSource
from kaito.provisioner.aks.client import AgentPools
from kaito.provisioner.aks.edge import Edge
from kaito.provisioner.aks.pacing import Pacer
from kaito.testing import Seat, World

TOKEN = "letmein"
URL = "https://azure.local"
PROFILE = Profile(pool_create=20, pool_delete=10, node_ready=5, gpu_ready=5, processes=False)
POLL = 5.0  # seconds between two looks at Azure


class Cloud:
    """The endpoint, and the Nodes of its pools."""

    def __init__(self, world: World) -> None:
        account, sizes, dice = Account(), VmSizes(load()), random.Random(0)
        self._joiner = NodeJoiner(world.cluster.client(), account, sizes, world.clock)
        self.endpoint = AzureEndpoint(
            account=account,
            sizes=sizes,
            tokens=[TOKEN],
            profile=PROFILE,
            clock=world.clock,
            on_change=self._joiner.pool_changed,
            new_id=lambda: str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        )
        self._world = world

    async def run(self) -> None:
        await self._joiner.run(self.endpoint.pool, self.endpoint.pools)

    async def handle(self, request: Request) -> Response:
        before = {pool.name for pool in self.endpoint.pools()}
        response = await self.endpoint.handle(request)
        made = {pool.name for pool in self.endpoint.pools()} - before
        self._world.made["pools"] += len(made)
        return response

    def things(self) -> list[str]:
        return [
            f"pool {p.name} {p.state} {p.properties['vmSize']} {len(p.machines)}"
            for p in self.endpoint.pools()
        ]


@asynccontextmanager
async def azure(world: World) -> AsyncIterator[None]:
    """Have it around a world."""
    system = {"metadata": {"name": CONFIG_MAP.namespace}}
    await world.client.create(NAMESPACES, system)
    cloud = Cloud(world)
    world.around = cloud
    world.things.append(cloud.things)
    cloud.endpoint.start()
    joining = asyncio.create_task(cloud.run())
    try:
        yield
    finally:
        joining.cancel()
        cloud.endpoint.stop()


class _Token:
    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(TOKEN, 2**40)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *details: object) -> None:
        pass


class _Direct(AsyncHttpTransport[HttpRequest, AsyncHttpResponseImpl]):
    """Carries requests of a process to the endpoint; changes may be its last."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def __aexit__(self, *details: object) -> None:
        pass

    async def send(self, request: HttpRequest, **options: Any) -> AsyncHttpResponseImpl:
        parts = urlsplit(request.url)
        body = request.content if isinstance(request.content, bytes) else b""
        if isinstance(request.content, str):
            body = request.content.encode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers["host"] = parts.netloc
        asked = Request(request.method, parts.path, parts.query, headers, body)
        cloud: Cloud = self._seat.world.around
        name = parts.path.rpartition("/")[2]
        changes = f"{request.method} agentPools {name}" if request.method != "GET" else ""
        try:
            answer = await self._seat.outside(cloud.handle(asked), changes)
        except Cut as error:
            raise ServiceRequestError(str(error)) from error
        assert isinstance(answer.body, bytes)
        response = AsyncHttpResponseImpl(
            request=request,
            internal_response=_Answer(answer.body),
            block_size=4096,
            status_code=answer.status,
            reason="",
            content_type=answer.headers.get("content-type"),
            headers=answer.headers,
            stream_download_generator=_pieces,
        )
        await response.read()
        return response


class _Answer:
    """What the SDK reads an answer from."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def close(self) -> None:
        pass


async def _piece(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _pieces(pipeline: object, response: Any, decompress: bool = True) -> AsyncIterator[bytes]:
    return _piece(response._internal_response.body)


@asynccontextmanager
async def source(seat: Seat, registry: CollectorRegistry) -> AsyncIterator[AksNodeSource]:
    """What `kaito.provisioner.aks.connect` makes, without sockets."""
    account = Account()
    settings = CloudSettings(
        subscription=account.subscription,
        resource_group=account.resource_group,
        cluster=account.cluster,
        base_url=URL,
        credential=CredentialKind.TOKEN_FILE,
    )
    async with ContainerServiceClient(
        _Token(),
        settings.subscription,
        settings.base_url,
        credential_scopes=["all"],
        transport=_Direct(seat),
        per_retry_policies=[Edge(settings.base_url, Pacer(seat.clock, registry))],
        retry_total=0,
        permit_redirects=False,
        user_agent="kaito",
    ) as client:
        yield AksNodeSource(AgentPools(client, settings, seat.clock), settings)
