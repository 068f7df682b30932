"""The real SDK against the local Azure endpoint, over HTTPS."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from kaito.catalog.catalog import load
from kaito.local.apiserver.front import HttpsFront
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer
from kaito.local.azure.account import Account
from kaito.local.azure.endpoint import MOUNT, AzureEndpoint
from kaito.local.azure.sizes import VmSizes
from kaito.local.pki import Pki, ensure_pki
from kaito.local.profile import Profile
from kaito.provisioner import CloudSettings, CredentialKind
from kaito.provisioner.aks import AksNodeSource, connect
from kaito.runtime import Clock, SystemClock
from kaito.testing.clock import VirtualClock

TOKEN = "letmein"


class Impatient(SystemClock):
    """Skips the pauses between attempts."""

    async def sleep(self, seconds: float) -> None:
        return


@dataclass
class Azure:
    """The endpoint, what it was sent, and the way to it."""

    endpoint: AzureEndpoint
    clock: Clock
    pki: Pki
    directory: Path
    front: HttpsFront
    server: ApiServer
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    """The metrics of the last source."""
    sent: list[Request] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    """Given instead of the endpoint's own, in order."""
    before: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    """What happens once before a request with this method is answered."""

    async def handle(self, request: Request) -> Response:
        self.sent.append(request)
        if request.method in self.before:
            await self.before.pop(request.method)()
        if self.answers:
            return self.answers.pop(0)
        return await self.endpoint.handle(request)

    def settings(self, **changes: object) -> CloudSettings:
        token = self.directory / "token"
        token.write_text(f"{TOKEN}\n")
        account = self.endpoint.account
        defaults: dict[str, object] = {
            "subscription": account.subscription,
            "resource_group": account.resource_group,
            "cluster": account.cluster,
            "base_url": self.front.url,
            "ca_data": self.pki.ca_pem(),
            "credential": CredentialKind.TOKEN_FILE,
            "token_file": str(token),
        }
        return CloudSettings(**{**defaults, **changes})  # type: ignore[arg-type]  # of a test's own

    @asynccontextmanager
    async def source(
        self, timing: Clock | None = None, **changes: object
    ) -> AsyncIterator[AksNodeSource]:
        self.registry = CollectorRegistry()
        settings = self.settings(**changes)
        async with connect(settings, timing or Impatient(), self.registry) as source:
            yield source

    async def take_over(self, name: str, **properties: Any) -> None:
        """Somebody else changes a pool, and is done with it."""
        path = f"{self.endpoint.account.pools_path}/{name}"
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        body = json.dumps({"properties": properties}).encode()
        request = Request("PUT", path, "api-version=2026-08-01", headers, body)
        assert (await self.endpoint.handle(request)).status == 200
        await self.finish()

    async def finish(self) -> None:
        """Every running operation ends."""
        assert isinstance(self.clock, VirtualClock)
        await self.clock.advance(60.0)


@asynccontextmanager
async def serving(
    directory: Path,
    clock: Clock,
    profile: Profile,
    on_change: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[Azure]:
    """A cloud and an API server behind one HTTPS address."""
    pki = ensure_pki(directory / "pki", SystemClock().now())
    server = ApiServer()
    front = HttpsFront(server, pki.server_context())
    endpoint = AzureEndpoint(
        account=Account(),
        sizes=VmSizes(load()),
        tokens=[TOKEN],
        profile=profile,
        clock=clock,
        on_change=on_change,
    )
    made = Azure(endpoint, clock, pki, directory, front, server)
    server.mount(MOUNT, made.handle)
    await server.start()
    await front.start()
    endpoint.start()
    try:
        yield made
    finally:
        endpoint.stop()
        await front.aclose()
        await server.aclose()


@pytest.fixture
async def azure(tmp_path: Path) -> AsyncIterator[Azure]:
    """A cloud in which no time passes but what `finish` lets pass."""
    profile = Profile(pool_create=10, pool_delete=5)
    async with serving(tmp_path, VirtualClock(), profile) as azure:
        yield azure


@pytest.fixture
def nowhere() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"https://127.0.0.1:{free.getsockname()[1]}"
