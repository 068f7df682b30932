"""The Workspaces of the run, as somebody sees them who watches the cluster."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from kaito.local.azure.listing import list_pools
from kaito.local.kinds import DEPLOYMENTS, NAMESPACES, NODES, PODS, SERVICES
from kaito.runtime import Client, Informer, Key, Object, Resource, is_true
from test.benchmark.workspaces import spread

WORKSPACES: Resource[Object] = Resource("kaito.sh", "v1beta1", "workspaces", "Workspace")
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
MADE = (MACHINES, NODES, DEPLOYMENTS, SERVICES, PODS)
NAMESPACE = "scale"
SIZE = "Standard_NC24ads_A100_v4"
MODEL = "phi-4-mini-instruct"
PATIENCE = 3600.0  # seconds for a stage of the run


def workspace(number: int) -> Object:
    """As a user writes it."""
    name = f"w-{number}"
    return {
        "apiVersion": "kaito.sh/v1beta1",
        "kind": "Workspace",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "resource": {"instanceType": SIZE, "labelSelector": {"matchLabels": {"apps": name}}},
        "inference": {"preset": {"name": MODEL}},
    }


class Fleet:
    """When each Workspace was created, had its workload, and was ready."""

    def __init__(self, client: Client, count: int) -> None:
        self._client = client
        self._count = count
        self.created: dict[Key, float] = {}
        self.applied: dict[Key, float] = {}
        self.ready: dict[Key, float] = {}
        self._changed = asyncio.Event()
        self._workspaces = Informer(client, WORKSPACES)
        self._workspaces.on_change(self._notice)
        self._deployments = Informer(client, DEPLOYMENTS)
        self._deployments.on_change(self._notice_workload)

    async def watch(self) -> None:
        """See what becomes of them, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._workspaces.run())
            tasks.create_task(self._deployments.run())

    def _notice(self, change: Any) -> None:
        self._changed.set()
        conditions = change.object.get("status", {}).get("conditions", [])
        if change.kind != "deleted" and is_true(conditions, "WorkspaceReady"):
            self.ready.setdefault(change.key, time.monotonic())

    def _notice_workload(self, change: Any) -> None:
        self.applied.setdefault(change.key, time.monotonic())

    async def create(self) -> None:
        """All of them, as fast as the API server takes them."""
        await self._client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})

        async def create(number: int) -> None:
            self.created[Key(NAMESPACE, f"w-{number}")] = time.monotonic()
            await self._client.create(WORKSPACES, workspace(number))

        await spread(self._count, create)

    async def all_ready(self) -> None:
        """Wait until each has been ready."""
        await self._until(lambda: len(self.ready) == self._count)

    async def delete(self) -> None:
        """All of them, and wait until they are gone."""

        async def delete(number: int) -> None:
            await self._client.delete(WORKSPACES, Key(NAMESPACE, f"w-{number}"))

        await spread(self._count, delete)
        await self._until(lambda: not len(self._workspaces.store))

    async def left(self) -> dict[str, int]:
        """How much there still is of each kind that was made for them, agent pools included."""
        found = {each.plural: len((await self._client.list(each)).items) for each in MADE}
        # The API server has a Service of its own.
        found[SERVICES.plural] = len((await self._client.list(SERVICES, namespace=NAMESPACE)).items)
        return {**found, "agent pools": len(await list_pools(self._client))}

    async def _until(self, reached: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            while not reached():
                self._changed.clear()
                await self._changed.wait()
