"""The agent pools of a local cluster, asked for from another process.

Where the cloud is stands in the ConfigMap that the cluster wrote for the provisioner; the request
is an ordinary list of Azure Resource Manager, without Azure's SDK.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from kaito.local.azure.account import Account
from kaito.local.azure.settings import CONFIG_MAP, Setting
from kaito.local.kinds import CONFIG_MAPS
from kaito.runtime import Call, Client, Clock, HttpTransport, NotFound, SystemClock, Tls
from kaito.runtime.credentials import TokenFile

API_VERSION = "2024-01-01"


class NotLocal(Exception):
    """The cluster is none of `kaito local up`; the message says how that was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolRow:
    """What a list of pools shows of one."""

    name: str
    state: str
    count: int
    vm_size: str
    labels: Mapping[str, str]

    def wire(self) -> dict[str, Any]:
        """As JSON names it."""
        return {
            "name": self.name,
            "state": self.state,
            "count": self.count,
            "vmSize": self.vm_size,
            "labels": dict(self.labels),
        }


async def list_pools(client: Client, clock: Clock | None = None) -> list[PoolRow]:
    """The pools that the cloud holds now, by name. `client` talks to the local cluster.

    NotLocal when the cluster has no local cloud; the client's errors when one cannot be reached.
    """
    try:
        config = await client.get(CONFIG_MAPS, CONFIG_MAP)
    except NotFound:
        raise NotLocal(
            f"ConfigMap {CONFIG_MAP} is missing: the cluster of this kubeconfig was not started "
            "by `kaito local up`."
        ) from None
    data = config.get("data") or {}
    token = data.get(Setting.TOKEN_FILE, "")
    if not token or Setting.CA_DATA not in data:
        raise NotLocal(
            f"ConfigMap {CONFIG_MAP} has no {Setting.TOKEN_FILE} or {Setting.CA_DATA}: this "
            "cluster's pools are in Azure, list them with `az aks nodepool list`."
        )
    transport = HttpTransport(
        data[Setting.BASE_URL],
        TokenFile(Path(token), clock or SystemClock()),
        tls=Tls(SystemClock(), authority=data[Setting.CA_DATA]),
    )
    async with Client(transport, clock=clock) as cloud:
        return await _read_pages(cloud, _account(data))


async def _read_pages(cloud: Client, account: Account) -> list[PoolRow]:
    path, query = account.pools_path, {"api-version": API_VERSION}
    rows: list[PoolRow] = []
    while True:
        headers = {"Accept": "application/json"}
        call = Call(method="GET", path=path, query=query, headers=headers)
        page = json.loads(await cloud.send(call))
        rows += map(_row, page.get("value", ()))
        if not page.get("nextLink"):
            return rows
        link = urlsplit(page["nextLink"])
        path, query = link.path, dict(parse_qsl(link.query))


def _account(data: Mapping[str, str]) -> Account:
    return Account(
        subscription=data[Setting.SUBSCRIPTION],
        resource_group=data[Setting.RESOURCE_GROUP],
        cluster=data[Setting.CLUSTER],
    )


def _row(pool: Mapping[str, Any]) -> PoolRow:
    properties = pool["properties"]
    return PoolRow(
        name=pool["name"],
        state=properties["provisioningState"],
        count=properties["count"],
        vm_size=properties["vmSize"],
        labels=properties.get("nodeLabels") or {},
    )
