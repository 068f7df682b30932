"""What goes wrong around a claim, through the real SDK: nothing leaks, nothing is doubled, nobody
else's pool is touched, and the condition says what is so."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kaito.controllers.machine import Options
from kaito.local.apiserver.faults import Fault, Resets
from kaito.local.apiserver.http import Request
from kaito.local.azure.faults import FAULT_LABEL, FaultKind
from kaito.local.profile import Profile
from kaito.runtime import Key, SystemClock
from test.integration.provisioner.cluster import (
    MACHINES,
    NODES,
    Stage,
    nothing_is_left,
    ready,
    staged,
)
from test.unit.provisioner.machines import A10, A100, NAME

SLOWLY = Profile(pool_create=1.0, pool_delete=0.2, node_ready=0, gpu_ready=0, processes=False)
MANY = 90


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES) as stage:
        yield stage


async def delete(stage: Stage, name: str = NAME) -> None:
    await stage.client.delete(MACHINES, Key("", name))


async def gone(stage: Stage) -> None:
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


def reason(stage: Stage, type_: str = "Ready") -> str:
    return str(stage.condition(type_).get("reason"))


async def made(stage: Stage, name: str = NAME) -> None:
    """Azure has finished the pool."""

    def succeeded() -> bool:
        pool = stage.cluster.azure.pool(name)
        return pool is not None and pool.state == "Succeeded"

    await stage.until_polled(succeeded)


async def foreign_pool(stage: Stage, name: str) -> None:
    """Somebody makes a pool without machines by other means."""
    azure = stage.cluster.azure
    path = f"{azure.account.pools_path}/{name}"
    token = (stage.cluster.state_dir / "tokens" / "azure").read_text().strip()
    labels = {"kaito.sh/workspace": "theirs", "kaito.sh/workspacenamespace": "default"}
    properties = {"count": 0, "vmSize": A10, "mode": "User", "nodeLabels": labels}
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    body = json.dumps({"properties": properties}).encode()
    query = "api-version=2024-09-01"
    answer = await azure.handle(Request("PUT", path, query, headers, body))
    assert answer.status == 201, answer.body
    await made(stage, name)


async def test_a_pool_of_our_name_that_is_somebody_elses_is_told_and_left_alone(
    stage: Stage,
) -> None:
    await foreign_pool(stage, NAME)
    before = stage.cluster.azure.pool(NAME)
    stage.start()
    await stage.create()
    await stage.until(lambda: reason(stage, "MachineLaunched") == "PoolNameTaken", "the verdict")
    await delete(stage)
    await stage.until(lambda: stage.claim() is None, "the Machine gone")
    assert stage.cluster.azure.pool(NAME) == before


async def test_a_claim_deleted_while_its_pool_is_being_created_leaves_nothing() -> None:
    async with staged(MACHINES, profile=SLOWLY) as stage:
        stage.start()
        await stage.create()
        await stage.until(lambda: stage.pools(), "a pool")
        await delete(stage)
        await gone(stage)
        assert len(stage.nodes_ever) <= 1


async def join(stage: Stage, number: int, size: str = A100) -> Key:
    """A machine joins that says it is of the claim's pool."""
    account, pool = stage.cluster.azure.account, stage.cluster.azure.pool(NAME)
    assert pool is not None
    key = Key("", account.node_name(NAME, number))
    labels = {**pool.labels, "agentpool": NAME, "node.kubernetes.io/instance-type": size}
    node: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": key.name, "labels": labels},
        "spec": {"providerID": account.provider_id(NAME, number)},
    }
    await stage.client.create(NODES, node)
    return key


async def is_owned(stage: Stage, node: Key) -> bool:
    return "ownerReferences" in (await stage.client.get(NODES, node))["metadata"]


async def test_a_node_that_joins_twice_is_told_until_one_has_gone(stage: Stage) -> None:
    stage.start()
    await stage.create(labels={FAULT_LABEL: FaultKind.NO_NODE})
    await made(stage)
    await stage.kill()
    one, other = await join(stage, 7), await join(stage, 8)
    stage.start()
    await stage.until(lambda: reason(stage) == "MultipleNodesFound", "MultipleNodesFound")
    for node in (one, other):
        assert not await is_owned(stage, node)
    await stage.client.delete(NODES, other)
    await stage.until(lambda: stage.is_true("MachineRegistered"), "MachineRegistered")
    await delete(stage)
    await stage.until(lambda: not stage.pools() and stage.claim() is None, "all of it gone")


async def test_a_node_of_the_wrong_type_is_told_and_not_taken(stage: Stage) -> None:
    stage.start()
    await stage.create(labels={FAULT_LABEL: FaultKind.NO_NODE})
    await made(stage)
    node = await join(stage, 0, A10)
    await stage.until(lambda: reason(stage) == "WrongInstanceType", "WrongInstanceType")
    assert not await is_owned(stage, node)
    await delete(stage)
    await stage.until(lambda: not stage.pools() and stage.claim() is None, "all of it gone")


@pytest.mark.parametrize("deleted", [False, True], ids=["living", "deleted"])
async def test_an_api_server_that_is_away_for_longer_than_all_patience(deleted: bool) -> None:
    """The pool is made, or its claim deleted, while the daemon can reach Azure alone."""
    async with staged(MACHINES, profile=SLOWLY) as stage:
        stage.options = Options(making_seconds=1.5, joining_seconds=0.2)
        stage.start()
        await stage.create()
        await stage.until(lambda: stage.pools(), "a pool")
        asked = Fault(Resets(), match=stage.is_the_daemons, times=None)
        faults = stage.cluster.server.faults
        faults.add(asked)
        faults.cut_watches()
        if deleted:
            await delete(stage)
        await stage.until(lambda: stage.nodes(), "the Node joined")
        # It has given up on the server again and again.
        await stage.until_polled(lambda: asked.seen >= 5)
        assert stage.pools() == [NAME]
        faults.clear()
        if not deleted:
            await ready(stage)
            assert stage.pools() == [NAME]
            await delete(stage)
        await gone(stage)
        assert len(stage.nodes_ever) == 1


class Jumping(SystemClock):
    """A clock of the wall that somebody sets."""

    def __init__(self) -> None:
        self.by = 0.0

    def now(self) -> float:
        return super().now() + self.by


@pytest.mark.parametrize("by", [7200.0, -7200.0], ids=["forward", "back"])
async def test_a_clock_that_jumps_by_hours_makes_and_loses_nothing(by: float) -> None:
    async with staged(MACHINES, profile=SLOWLY) as stage:
        clock = stage.clock = Jumping()
        stage.start()
        await stage.create()
        await stage.until(lambda: stage.pools(), "a pool")
        clock.by = by
        await ready(stage)
        assert stage.pools() == [NAME]
        await delete(stage)
        await stage.until(lambda: reason(stage) == "Terminating", "Terminating")
        clock.by = 0.0
        await gone(stage)
        assert len(stage.nodes_ever) == 1


async def test_ninety_claims_at_once_get_a_node_each_and_leave_none(stage: Stage) -> None:
    stage.start()
    names = [f"ws{number:09x}" for number in range(MANY)]
    for name in names:
        await stage.create(name, {"kaito.sh/workspace": name})
    await stage.until(
        lambda: all(stage.condition("Ready", name).get("status") == "True" for name in names),
        "all Ready",
    )
    assert sorted(stage.pools()) == names
    for name in names:
        await delete(stage, name)
    await stage.until(lambda: not (stage.nodes() or stage.pools()), "nothing left")
    assert len(stage.nodes_ever) == MANY
