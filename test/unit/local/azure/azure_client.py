"""A client of the cloud that reads as the requests do: over HTTP, without sockets."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaito.catalog.catalog import load
from kaito.local.apiserver.http import Request, Response
from kaito.local.azure.account import Account
from kaito.local.azure.endpoint import AzureEndpoint
from kaito.local.azure.sizes import VmSizes
from kaito.local.profile import Profile

if TYPE_CHECKING:
    from test.unit.local.conftest import ManualClock

ACCOUNT = Account()
SIZES = VmSizes(load())
GPU = "Standard_NC24ads_A100_v4"


class Cloud:
    """A client of the endpoint that reads as the requests do."""

    def __init__(
        self, clock: ManualClock, profile: Profile | None = None, directory: Path | None = None
    ) -> None:
        self.changed: list[str] = []
        numbers = itertools.count()
        self.endpoint = AzureEndpoint(
            account=ACCOUNT,
            sizes=SIZES,
            tokens=["letmein"],
            profile=profile or Profile(pool_create=10, pool_delete=5),
            clock=clock,
            on_change=self.changed.append,
            directory=directory,
            new_id=lambda: f"id-{id(self)}-{next(numbers)}",
        )
        self.endpoint.start()

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "letmein", **headers: str
    ) -> Response:
        data = b"" if body is None else json.dumps(body).encode()
        return await self.raw(method, path, data, token, **headers)

    async def raw(
        self, method: str, path: str, body: bytes, token: str = "letmein", **headers: str
    ) -> Response:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        url, _, query = path.partition("?")
        return await self.endpoint.handle(
            Request(
                method,
                url,
                query or "api-version=2024-01-01",
                {
                    "authorization": f"Bearer {token}",
                    "host": "127.0.0.1:6443",
                    "content-type": "application/json",
                    **sent,
                },
                body,
            )
        )

    async def put(self, name: str = "ws1", properties: Any = None, **headers: str) -> Response:
        body = {"properties": {"vmSize": GPU, **(properties or {})}}
        return await self.ask("PUT", f"{ACCOUNT.pools_path}/{name}", body, **headers)

    async def get(self, name: str = "ws1") -> Response:
        return await self.ask("GET", f"{ACCOUNT.pools_path}/{name}")

    async def delete(self, name: str = "ws1", **headers: str) -> Response:
        return await self.ask("DELETE", f"{ACCOUNT.pools_path}/{name}", **headers)

    async def post(self, action: str, body: Any = None, name: str = "ws1") -> Response:
        return await self.ask("POST", f"{ACCOUNT.pools_path}/{name}/{action}", body)

    async def follow(self, response: Response, header: str = "azure-asyncoperation") -> Response:
        url = response.headers[header]
        assert url.startswith("https://127.0.0.1:6443/")
        return await self.ask("GET", url.removeprefix("https://127.0.0.1:6443"))


def read(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def nodes(cloud: Cloud, name: str = "ws1") -> tuple[int, ...]:
    """The numbers of the machines of a pool that are in the cluster; () when there is none."""
    pool = cloud.endpoint.pool(name)
    return () if pool is None else pool.nodes


def error(response: Response) -> tuple[int, str]:
    body = read(response)
    return response.status, body.get("error", body)["code"]
