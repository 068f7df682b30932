"""The sweep inside the whole daemon, while the API server, the cloud and the clock misbehave.

Time is virtual: ten minutes pass in a moment, with every timer at its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from kaito.api import crds
from kaito.controllers.machine import build
from kaito.controllers.machine.archive import LEDGER
from kaito.provisioner import Absent, CloudError, NodeRequest, Pool, PoolState, node_request
from kaito.provisioner.aks.provider_id import pool_of
from kaito.provisioner.claim import MACHINE
from kaito.provisioner.ownership import LAUNCHED
from kaito.provisioner.unshared import Unshared
from kaito.runtime import Client, Key, Manager, NotFound
from kaito.testing import CapturedEvents, CapturedMetrics, Cluster, VirtualClock, running
from test.integration.provisioner.cluster import MACHINES, NAMESPACES, NODES
from test.unit.controllers.machine.world import BUSY, node_object
from test.unit.provisioner.machines import A100, NAME, machine, machine_object

POLL = 15.0
MINUTE = 60.0
LONG = 15 * MINUTE  # longer than a delay and two periods


@dataclass
class Shelf(Unshared):
    """A cloud that does what it is told at once."""

    name: str = "Shelf"
    cloud: str = "azure"
    pool_label: str = "agentpool"
    image_label: str = ""
    there: dict[str, Pool] = field(default_factory=dict)
    blind: bool = False
    deleted: list[str] = field(default_factory=list)

    def pool_of(self, provider_id: str) -> str | None:
        return pool_of(provider_id)

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        self._put(request.name, request.labels)
        return self.there[request.name]

    async def observe(self, name: str) -> Pool | Absent:
        return self.there.get(name, Absent())

    async def pools(self) -> list[Pool]:
        if self.blind:
            raise CloudError(BUSY)
        return [*self.there.values()]

    async def delete(self, pool: Pool) -> Pool | Absent:
        self.deleted.append(pool.name)
        self.there.pop(pool.name, None)
        return Absent()

    def _put(self, name: str, labels: Any) -> None:
        self.there.setdefault(
            name,
            Pool(
                name=name,
                state=PoolState.READY,
                said="ready",
                instance_type=A100,
                labels=dict(labels),
            ),
        )


@dataclass
class Scene:
    """The daemon at work, its clock and its cloud."""

    kube: Cluster
    client: Client
    clock: VirtualClock
    shelf: Shelf
    cluster: str
    metrics: CapturedMetrics

    def leak(self, name: str = NAME) -> None:
        """A pool that was ours and that nobody claims."""
        self.shelf._put(name, node_request(machine(name), self.cluster).labels)

    async def inhabit(self, name: str = "wshome") -> None:
        """A claim whose pool has its Node here: what shows whose pools the shelf has."""
        asked = node_request(machine(name), self.cluster)
        labels = {**asked.labels, LAUNCHED: "2026-01-01T00-00-00Z"}
        self.shelf._put(name, labels)
        asking = machine_object(name)
        asking["metadata"] = {"name": name, "labels": asking["metadata"]["labels"]}
        await self.client.create(MACHINES, asking)
        wire = node_object(name, labels=labels)
        metadata = {"name": wire["metadata"]["name"], "labels": wire["metadata"]["labels"]}
        await self.client.create(NODES, {"metadata": metadata, "spec": wire["spec"]})

    async def pass_(self, seconds: float) -> None:
        """Time passes, and the server is heard of each minute."""
        for _ in range(int(seconds / MINUTE)):
            self.kube.faults.send_bookmarks()
            await self.clock.advance(MINUTE)

    async def events(self) -> list[str]:
        found = await CapturedEvents(self.client).about(LEDGER.name)
        return [each.reason for each in found]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    clock = VirtualClock()
    async with Cluster(clock=clock) as kube, kube.client() as client:
        await kube.install(*(each for each in crds() if each["spec"]["group"] == "karpenter.sh"))
        for name in ("kube-system", LEDGER.namespace):
            try:
                await client.get(NAMESPACES, Key("", name))
            except NotFound:
                await client.create(NAMESPACES, {"metadata": {"name": name}})
        system = await client.get(NAMESPACES, Key("", "kube-system"))
        cluster = system["metadata"]["uid"]
        shelf = Shelf()
        async with kube.client(field_manager="kaito-provisioner") as own:
            manager = Manager(own, name="kaito-provisioner", clock=clock, blocked_after=0)
            build(manager, shelf, poll_seconds=POLL, cluster=cluster, kinds=[MACHINE])
            async with running(manager):
                yield Scene(kube, client, clock, shelf, cluster, CapturedMetrics(manager.metrics))


async def test_a_leak_is_told_at_once_and_deleted_later(scene: Scene) -> None:
    scene.leak()
    await scene.pass_(3 * MINUTE)
    assert scene.shelf.deleted == []
    assert await scene.events() == ["LeftOver"]
    await scene.pass_(LONG)
    assert scene.shelf.deleted == [NAME]
    assert await scene.events() == ["LeftOver", "Swept"]


async def test_an_api_server_that_is_away_for_ten_minutes_costs_nobody_a_pool(
    scene: Scene,
) -> None:
    scene.leak()
    await scene.pass_(3 * MINUTE)
    scene.kube.faults.on(times=None).breaks()
    scene.kube.faults.cut_watches()
    await scene.clock.advance(10 * MINUTE)
    assert scene.shelf.deleted == []
    assert scene.metrics.value("kaito_provisioner_sweep_stale") == 1
    scene.kube.faults.clear()
    await scene.pass_(4 * MINUTE)
    assert scene.shelf.deleted == []  # the delay begins anew
    await scene.pass_(LONG)
    assert scene.shelf.deleted == [NAME]


async def test_a_connection_that_hangs_is_as_good_as_none(scene: Scene) -> None:
    scene.kube.faults.on(times=None).hangs()
    with scene.kube.faults.behind():
        await scene.clock.advance(3 * MINUTE)
        scene.leak()
        await scene.clock.advance(10 * MINUTE)
    assert scene.shelf.deleted == []
    scene.kube.faults.clear()


async def test_a_claim_that_lagging_caches_do_not_show_keeps_its_pool(scene: Scene) -> None:
    scene.leak()
    await scene.pass_(3 * MINUTE)
    with scene.kube.faults.behind(MACHINES):
        asked = machine_object(NAME)
        metadata = {"name": NAME, "labels": asked["metadata"]["labels"]}
        await scene.client.create(MACHINES, {**asked, "metadata": metadata})
        await scene.pass_(LONG)
        assert scene.metrics.value("kaito_provisioner_sweep_stale") == 0
        assert scene.shelf.deleted == []


async def test_a_cloud_that_lists_nothing_for_ten_minutes_has_nothing_deleted(
    scene: Scene,
) -> None:
    scene.leak()
    await scene.pass_(3 * MINUTE)
    scene.shelf.blind = True
    await scene.pass_(10 * MINUTE)
    assert scene.shelf.deleted == []


@pytest.mark.parametrize("seconds", [86400.0, -86400.0])
async def test_a_wall_clock_that_jumps_neither_hastens_nor_hinders(
    scene: Scene, seconds: float
) -> None:
    scene.leak()
    await scene.pass_(3 * MINUTE)
    scene.clock.step(seconds)
    await scene.pass_(2 * MINUTE)
    assert scene.shelf.deleted == []
    await scene.pass_(LONG)
    assert scene.shelf.deleted == [NAME]


async def test_many_leaks_at_once_are_told_and_left_alone(scene: Scene) -> None:
    for name in ("ws1", "ws2", "ws3"):
        scene.leak(name)
    await scene.pass_(LONG)
    assert scene.shelf.deleted == []
    assert "SweepBlocked" in await scene.events()
    assert scene.metrics.value("kaito_provisioner_sweep_blocked") == 1


async def test_a_pool_of_somebody_else_is_told_and_left_alone(scene: Scene) -> None:
    scene.leak()
    pool = scene.shelf.there[NAME]
    scene.shelf.there[NAME] = replace(pool, labels={"kaito.sh/workspace": "phi"})
    await scene.pass_(LONG)
    assert scene.shelf.deleted == []
    assert await scene.events() == ["LeftOver"]


@pytest.mark.parametrize(("ready", "left"), [("False", 0), ("True", 1)])
async def test_a_node_without_claim_and_pool_is_removed_unless_it_works(
    scene: Scene, ready: str, left: int
) -> None:
    await scene.inhabit()
    labels = node_request(machine(NAME), scene.cluster).labels
    wire = node_object(NAME, labels=labels)
    name = wire["metadata"]["name"]
    metadata = {"name": name, "labels": wire["metadata"]["labels"]}
    await scene.client.create(NODES, {"metadata": metadata, "spec": wire["spec"]})
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    await scene.client.patch(NODES, Key("", name), {"status": status}, subresource="status")
    await scene.pass_(LONG)
    assert [each["metadata"]["name"] for each in (await scene.client.list(NODES)).items].count(
        name
    ) == left
