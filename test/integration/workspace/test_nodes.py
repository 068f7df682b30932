"""Where a Workspace's nodes come from, over HTTPS: both daemons in a local cluster, its Azure, and
a NodePool controller that stands in for Karpenter's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from kaito.controllers.workspace.controller import build
from kaito.controllers.workspace.crew import order_name
from kaito.controllers.workspace.discovery import readable_kinds
from kaito.controllers.workspace.kinds import WORKSPACES
from kaito.controllers.workspace.settings import NodeClass, NodeRequest, Settings
from kaito.local.azure.faults import FaultKind, PoolFault
from kaito.runtime import Client, Controller, Key, Manager, NotFound, Object, Resource, watch
from kaito.testing import eventually
from test.integration.provisioner.cluster import (
    CRDS,
    MACHINES,
    MOMENTS,
    NODECLAIMS,
    NODES,
    Stage,
    staged,
)

NODEPOOLS: Resource[Object] = Resource(
    "karpenter.sh", "v1", "nodepools", "NodePool", namespaced=False
)
W = Key("default", "w")
A, B = "Standard_NC6s_v3", "Standard_NC24ads_A100_v4"
PROFILE = replace(MOMENTS, pool_create=0.05, pool_delete=0.05)
OWN_CLASS = NodeClass(group="kaito.sh", kind="KaitoNodeClass", name="default")
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "nodepools.karpenter.sh"},
    "spec": {
        "group": "karpenter.sh",
        "names": {"kind": "NodePool", "plural": "nodepools"},
        "scope": "Cluster",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


class Karpenter:
    """Makes a NodeClaim for each replica of a NodePool, as karpenter's static capacity does."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.manager = Manager(client, name="karpenter")
        pools = self.manager.informer(NODEPOOLS)
        self._pools = pools.store
        self.manager.add(Controller("static", self.reconcile, primary=watch(pools)))

    async def reconcile(self, key: Key) -> None:
        pool = self._pools.object(key)
        claims = (await self._client.list(NODECLAIMS)).items
        mine = [c for c in claims if c["metadata"]["labels"].get("karpenter.sh/nodepool") == key[1]]
        wanted = pool["spec"]["replicas"] if pool else 0
        for claim in mine[wanted:]:
            await self._client.delete(NODECLAIMS, Key.of(claim))
        for number in range(len(mine), wanted):
            assert pool is not None
            await self._client.create(NODECLAIMS, claim_of(pool, f"{key.name}{number}"))


def claim_of(pool: Object, name: str) -> Object:
    template = pool["spec"]["template"]
    owner = {key: pool[key] for key in ("apiVersion", "kind")}
    owner |= {key: pool["metadata"][key] for key in ("name", "uid")}
    labels = {**template["metadata"]["labels"], "karpenter.sh/nodepool": pool["metadata"]["name"]}
    return {
        "apiVersion": NODECLAIMS.api_version,
        "kind": "NodeClaim",
        "metadata": {
            "name": name,
            "labels": labels,
            "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
        },
        "spec": template["spec"],
    }


class World:
    """What a test sees and does."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.client = stage.client
        self._running: list[tuple[Manager, asyncio.Task[None]]] = []

    async def manage(self, request: NodeRequest = "machine") -> Manager:
        """Start the workspace daemon, which asks for nodes in this way."""
        settings = Settings(
            node_request=request, node_class=OWN_CLASS if request == "nodepool" else None
        )
        manager = Manager(
            self.stage.cluster.client(field_manager="kaito-workspace"), name="kaito-workspace"
        )
        build(manager, settings, kinds=await readable_kinds(manager.client))
        self.run(manager)
        return manager

    def run(self, manager: Manager) -> None:
        self._running.append((manager, asyncio.create_task(manager.run())))

    async def stop(self) -> None:
        for manager, task in self._running:
            manager.stop()
            await task
            await manager.client.aclose()
        self._running.clear()

    async def create(self, size: str = A, **annotations: str) -> None:
        resource: Object = {"labelSelector": {"matchLabels": {"apps": "phi-3"}}}
        if size:
            resource["instanceType"] = size
        noted = {key.replace("__", "/").replace("_", "-"): v for key, v in annotations.items()}
        await self.client.create(
            WORKSPACES,
            {
                "apiVersion": WORKSPACES.api_version,
                "kind": "Workspace",
                "metadata": {"name": "w", "namespace": "default", "annotations": noted},
                "resource": resource,
                "inference": {"preset": {"name": "phi-3-mini-4k-instruct"}},
            },
        )

    async def says(self, type_: str, status: str = "True") -> Object:
        """The condition, as soon as it has this status."""

        async def seen() -> Object:
            found = (await self.client.get(WORKSPACES, W)).get("status", {}).get("conditions", [])
            condition: Object = next((c for c in found if c["type"] == type_), {})
            assert condition.get("status") == status, found
            return condition

        return await eventually(seen)

    async def told(self, words: str) -> None:
        """Return as soon as ResourceReady says this."""

        async def seen() -> bool:
            found = (await self.client.get(WORKSPACES, W)).get("status", {}).get("conditions", [])
            said = [c["message"] for c in found if c["type"] == "ResourceReady"]
            assert any(words in each for each in said), said
            return True

        await eventually(seen)

    async def names(self, resource: Resource[Object]) -> list[str]:
        return sorted(
            [each["metadata"]["name"] for each in (await self.client.list(resource)).items]
        )

    async def gone(self) -> None:
        """Delete the Workspace and return when nothing is left of it."""
        await self.client.delete(WORKSPACES, W)

        async def left() -> bool:
            try:
                await self.client.get(WORKSPACES, W)
            except NotFound:
                return True
            return False

        await eventually(left)
        assert self.stage.pools() == []


@asynccontextmanager
async def world(*kinds: Resource[Object]) -> AsyncIterator[World]:
    async with staged(WORKSPACES, *kinds, profile=PROFILE) as stage:
        stage.start()
        made = World(stage)
        try:
            yield made
        finally:
            await made.stop()


def fault(stage: Stage, size: str, kind: FaultKind) -> Callable[[], bool]:
    """Let a size not be had; the answer takes that back."""
    faults = stage.cluster.azure.faults
    name = faults.add(PoolFault(kind=kind, vm_size=size))
    return lambda: faults.remove(name)


@pytest.mark.parametrize(
    ("request_", "kind"), [("machine", FaultKind.QUOTA), ("nodeclaim", FaultKind.ALLOCATION)]
)
async def test_the_second_size_serves_where_the_first_cannot_be_had(
    request_: NodeRequest, kind: FaultKind
) -> None:
    async with world(MACHINES, NODECLAIMS) as made:
        fault(made.stage, A, kind)
        await made.manage(request_)
        await made.create(**{"kaito.sh__instance_types": f"{A}, {B}"})
        await made.says("WorkspaceReady")
        said = (await made.says("ResourceReady"))["message"]
        assert f"{B} is size 2 of 2 (in this order: {A}, {B}). {A}: " in said
        (pool,) = made.stage.cluster.azure.pools()
        assert pool.vm_size == B
        uid = (await made.client.get(WORKSPACES, W))["metadata"]["uid"]
        assert pool.name == order_name(uid, 0, 1)
        # Another daemon knows no more than what is written.
        await made.stop()
        await made.manage(request_)
        await made.says("WorkspaceReady")
        assert made.stage.pools() == [pool.name]
        await made.gone()


async def test_when_no_size_can_be_had_both_are_told_of_and_nothing_is_paid_for() -> None:
    async with world(MACHINES) as made:
        fault(made.stage, A, FaultKind.QUOTA)
        mend = fault(made.stage, B, FaultKind.QUOTA)
        await made.manage()
        await made.create(**{"kaito.sh__instance_types": B})
        await made.told("None of the 2 sizes can be had")
        assert made.stage.pools() == []
        assert len(await made.names(MACHINES)) == 1
        # The claim that is left is tried again by the provisioner, whoever waits.
        mend()
        await made.says("WorkspaceReady")
        await made.gone()


async def test_a_workspace_is_served_through_nodeclaims_alone() -> None:
    async with world(NODECLAIMS) as made:
        await made.manage("nodeclaim")
        await made.create()
        await made.says("NodeClaimReady")
        await made.says("WorkspaceReady")
        (claim,) = (await made.client.list(NODECLAIMS)).items
        assert claim["spec"]["nodeClassRef"]["kind"] == "KaitoNodeClass"
        await made.gone()
        assert await made.names(NODECLAIMS) == []


async def test_a_workspace_is_served_through_a_nodepool_alone() -> None:
    async with world(NODECLAIMS) as made:
        await made.client.create(CRDS, DEFINITION)
        await eventually(lambda: _served(made.client))
        karpenter = Karpenter(made.stage.cluster.client(field_manager="karpenter"))
        made.run(karpenter.manager)
        await made.manage("nodepool")
        await made.create()
        await made.says("NodeClaimReady")
        await made.says("WorkspaceReady")
        (pool,) = (await made.client.list(NODEPOOLS)).items
        assert pool["spec"]["replicas"] == 1
        assert await made.names(NODECLAIMS) == [f"{pool['metadata']['name']}0"]
        await made.gone()
        assert await made.names(NODECLAIMS) == await made.names(NODEPOOLS) == []


async def test_a_workspace_says_that_nodepools_are_not_installed_and_can_go() -> None:
    async with world(NODECLAIMS) as made:
        await made.manage("nodepool")
        await made.create()
        said = await made.says("NodeClaimReady", "False")
        assert said["reason"] == "KindNotServed"
        assert "install Karpenter" in said["message"]
        await made.gone()


async def _served(client: Client) -> bool:
    await client.list(NODEPOOLS)
    return True


async def test_brought_nodes_serve_where_no_kind_of_claim_is_installed() -> None:
    async with world() as made:
        await made.manage("byo")
        await made.create(size="")
        await made.told("0 of 1 nodes are there.")
        labels = {"apps": "phi-3", "nvidia.com/gpu.count": "1", "nvidia.com/gpu.memory": "81920"}
        head = {"name": "mine", "labels": {**labels, "nvidia.com/gpu.product": "NVIDIA-A100"}}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": head}
        await made.client.create(NODES, node)
        status = {
            "allocatable": {"nvidia.com/gpu": "1"},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await made.client.patch(NODES, Key("", "mine"), {"status": status}, subresource="status")
        await made.says("ResourceReady")
        await made.gone()
        assert await made.names(NODES) == ["mine"]


async def test_another_way_keeps_the_node_and_its_deletion_waits_for_it() -> None:
    async with world(MACHINES, NODECLAIMS) as made:
        await made.manage("machine")
        await made.create()
        await made.says("WorkspaceReady")
        (pool,) = made.stage.pools()
        await made.stop()
        await made.manage("nodeclaim")
        await made.client.patch(
            WORKSPACES, W, {"metadata": {"annotations": {"kaito.sh/enablelb": "False"}}}
        )
        await made.says("MachineReady")
        assert made.stage.pools() == [pool]
        assert await made.names(NODECLAIMS) == []
        await made.gone()
