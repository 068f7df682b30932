"""Nodes that never come, never work or have lived long enough, through the whole daemon."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from kaito.controllers.machine import Options
from kaito.local.azure.faults import FAULT_LABEL, FaultKind
from kaito.runtime import Key, Object
from test.integration.provisioner.cluster import (
    MACHINES,
    NODECLAIMS,
    Stage,
    nothing_is_left,
    staged,
)
from test.unit.provisioner.machines import NAME


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES, NODECLAIMS) as stage:
        yield stage


def useless(stage: Stage) -> Object:
    metadata = (stage.claim() or {}).get("metadata", {})
    found = metadata.get("annotations", {}).get("kaito.sh/useless-pools")
    pools: Object = json.loads(found)["pools"] if found else {}
    return pools


def stopped(stage: Stage) -> bool:
    return bool(stage.condition("MachineLaunched").get("reason") == "LaunchStopped")


async def test_a_node_that_never_joins_is_paid_for_three_times_whoever_restarts(
    stage: Stage,
) -> None:
    stage.options = Options(joining_seconds=0.01)
    stage.start()
    await stage.create(labels={FAULT_LABEL: FaultKind.NO_NODE})
    await stage.until(lambda: useless(stage), "a useless pool")
    await stage.kill()
    stage.start()
    await stage.until(lambda: stopped(stage), "the end of attempts")
    assert len(useless(stage)) == 3
    message = stage.condition("MachineLaunched")["message"]
    assert f"no Node of agent pool {NAME} joined the cluster" in message
    await stage.kill()
    stage.start()
    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(FaultKind.NO_GPU, "DevicePluginMissing"), (FaultKind.NEVER_READY, "NodeNotReady")],
)
async def test_what_a_node_lacks_is_named(stage: Stage, fault: FaultKind, reason: str) -> None:
    stage.start()
    await stage.create(labels={FAULT_LABEL: fault})
    await stage.until(lambda: stage.is_true("MachineRegistered"), "MachineRegistered")
    await stage.until(lambda: stage.condition("MachineInitialized").get("reason") == reason, reason)
    assert stage.condition("Ready")["message"] == stage.condition("MachineInitialized")["message"]


async def test_a_nodeclaim_ends_with_its_lifetime_where_that_is_chosen(stage: Stage) -> None:
    stage.options = Options(expire=True)
    stage.start()
    await stage.create(kind=NODECLAIMS, spec={"expireAfter": "1s"})
    await stage.until(stage.claim, "the NodeClaim")
    await stage.until(lambda: nothing_is_left(stage), "nothing left")
