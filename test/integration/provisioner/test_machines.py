"""The whole machine daemon: API server and Azure over HTTPS, the real SDK between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from kaito.local.azure.faults import FAULT_LABEL, FaultKind
from kaito.runtime import Key
from test.integration.provisioner.cluster import (
    MACHINES,
    NODES,
    Stage,
    nothing_is_left,
    ready,
    staged,
)
from test.unit.provisioner.machines import A100, NAME


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES) as stage:
        stage.start()
        yield stage


async def test_a_machine_becomes_a_node_and_goes_without_a_trace(stage: Stage) -> None:
    await stage.create()
    await ready(stage)
    machine = stage.claim()
    assert machine is not None
    [node] = stage.nodes()
    assert machine["status"]["nodeName"] == node["metadata"]["name"]
    assert machine["status"]["providerID"] == node["spec"]["providerID"]
    assert machine["metadata"]["labels"]["node.kubernetes.io/instance-type"] == A100
    assert node["metadata"]["labels"]["karpenter.sh/initialized"] == "true"
    assert node["metadata"]["ownerReferences"][0]["uid"] == machine["metadata"]["uid"]

    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_a_used_up_quota_is_told_in_kaitos_words(stage: Stage) -> None:
    await stage.create(labels={FAULT_LABEL: FaultKind.QUOTA})
    await stage.until(
        lambda: stage.condition("MachineLaunched").get("status") == "False", "a failed launch"
    )
    message = stage.condition("MachineLaunched")["message"]
    assert message.startswith("all requested instance types were unavailable during launch")
    assert "Insufficient vcpu quota" in message
    assert "have the quota of" in message.lower()


async def test_a_pool_that_fails_later_is_told_and_goes_with_its_machine(stage: Stage) -> None:
    await stage.create(labels={FAULT_LABEL: FaultKind.ZONE})
    await stage.until(
        lambda: stage.condition("MachineLaunched").get("status") == "False", "a failed launch"
    )
    assert "ZonalAllocationFailed" in stage.condition("MachineLaunched")["message"]
    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


MOMENTS: dict[str, Callable[[Stage], object]] = {
    "the finalizer is stored": lambda s: (s.claim() or {})["metadata"].get("finalizers"),
    "the pool is being made": lambda s: s.pools(),
    "the node has joined": lambda s: s.nodes(),
    "the machine is launched": lambda s: s.is_true("MachineLaunched"),
}


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_daemon_killed_when(stage: Stage, moment: str) -> None:
    await stage.create()
    await stage.until(lambda: stage.claim() and MOMENTS[moment](stage), moment)
    await stage.kill()
    stage.start()
    await ready(stage)
    assert stage.pools() == [NAME]


async def test_a_daemon_killed_in_the_middle_of_a_deletion_leaves_nothing(
    stage: Stage,
) -> None:
    await stage.create()
    await ready(stage)
    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(
        lambda: stage.condition("Ready").get("reason") == "Terminating", "Terminating"
    )
    await stage.kill()
    stage.start()
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_a_node_that_is_deleted_takes_its_machine_with_it(stage: Stage) -> None:
    await stage.create()
    await ready(stage)
    [node] = stage.nodes()
    await stage.client.delete(NODES, Key("", node["metadata"]["name"]))
    await stage.until(lambda: nothing_is_left(stage), "nothing left")


async def test_the_sweep_deletes_a_pool_whose_machine_was_removed_by_force(
    stage: Stage,
) -> None:
    await stage.create()
    await ready(stage)
    await stage.kill()
    await stage.client.patch(MACHINES, Key("", NAME), {"metadata": {"finalizers": None}})
    await stage.client.delete(MACHINES, Key("", NAME))
    await stage.until(lambda: stage.claim() is None, "no Machine")
    assert stage.pools()
    stage.start()
    await stage.until(lambda: nothing_is_left(stage), "nothing left")
