"""A NodeClaim lives the same life as a Machine, and tells it in karpenter's words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.controllers.machine.conditions import DONE, Progress, Step, pending, report, unlaunched
from kaito.controllers.machine.decision import SetStatus, Tell
from kaito.provisioner import Failure, Pool, PoolState, node_request
from kaito.provisioner.aks import remedies
from kaito.provisioner.claim import NODECLAIM
from kaito.provisioner.settings import read
from kaito.runtime import Key
from test.unit.controllers.machine.world import (
    BUSY,
    IMAGE,
    NO_RIGHT,
    NO_ROOM,
    POLICY,
    START,
    World,
    finalizers,
    node_object,
)
from test.unit.provisioner.machines import A100, BORN, NAME, nodeclaim, nodeclaim_object
from test.unit.provisioner.test_settings import CLUSTER, FILE

MAGIC = "all requested instance types were unavailable during launch"


def claimed() -> World:
    world = World(NODECLAIM)
    world.create()
    return world


def is_ready(world: World) -> bool:
    claim = world.claim()
    return claim is not None and claim.is_true("Ready")


async def ready(world: World) -> None:
    await world.steps()
    assert is_ready(world)


async def test_a_nodeclaim_becomes_a_ready_node_and_its_status_says_all() -> None:
    world = claimed()
    await ready(world)
    claim = world.claim()
    assert claim is not None
    [node] = world.objects.nodes.values()
    assert claim.status.node_name == node["metadata"]["name"]
    assert claim.status.provider_id == node["spec"]["providerID"]
    assert claim.status.image_id == node["metadata"]["labels"][IMAGE]
    assert claim.status.capacity == {"cpu": "24", "nvidia.com/gpu": "1"}
    assert claim.status.allocatable == {"cpu": "23", "nvidia.com/gpu": "1"}
    assert {c["observedGeneration"] for c in claim.status.conditions} == {1}
    assert [c["type"] for c in claim.status.conditions][-1] == "Ready"
    assert {c["type"]: c["status"] for c in claim.status.conditions} == {
        "Launched": "True", "Registered": "True", "Initialized": "True", "Ready": "True"
    }  # fmt: skip


async def test_its_node_is_its_own() -> None:
    world = claimed()
    await ready(world)
    [node] = world.objects.nodes.values()
    assert node["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodeClaim",
            "name": NAME,
            "uid": f"uid-{NAME}",
            "blockOwnerDeletion": True,
        }
    ]
    labels = node["metadata"]["labels"]
    assert labels["karpenter.sh/registered"] == labels["karpenter.sh/initialized"] == "true"
    assert labels["kaito.sh/kaitonodeclass"] == "default"


async def test_karpenters_taint_is_taken_off_with_the_registration() -> None:
    world = claimed()
    await world.steps(3)
    node = node_object(NAME, 0, world.cloud.there[NAME].labels)
    node["spec"]["taints"].append({"key": "karpenter.sh/unregistered", "effect": "NoExecute"})
    world.objects.nodes[node["metadata"]["name"]] = node
    await ready(world)
    assert [taint["key"] for taint in node["spec"]["taints"]] == ["sku"]


async def test_what_will_come_by_itself_is_unknown_and_not_false() -> None:
    world = claimed()
    await world.steps(2)
    assert world.condition("Launched")[:2] == ("Unknown", "Launching")
    assert world.condition("Registered")[:2] == ("Unknown", "AwaitingReconciliation")
    assert world.condition("Ready")[:2] == ("Unknown", "ReconcilingDependents")


@pytest.mark.parametrize(("failure", "truth"), [(NO_ROOM, "False"), (BUSY, "Unknown")])
async def test_a_launch_that_failed_is_false_only_when_it_does_not_mend_itself(
    failure: Failure, truth: str
) -> None:
    world = claimed()
    world.cloud.refuse = [failure]
    await world.steps(2)
    status, reason, message = world.condition("Launched")
    assert (status, reason) == (truth, failure.cause.value)
    assert (MAGIC in message) is (truth == "False")
    assert world.condition("Ready")[0] == truth


async def test_a_deleted_nodeclaim_leaves_nothing() -> None:
    world = claimed()
    await ready(world)
    world.objects.delete(world.objects.claims, NAME)
    await world.steps()
    assert world.left() == []


async def test_what_becomes_of_its_instance_is_told_while_it_goes() -> None:
    world = claimed()
    await ready(world)
    world.objects.delete(world.objects.claims, NAME)
    for _ in range(4):
        await world.controller.reconcile(Key("", NAME))
    assert world.condition("InstanceTerminating")[0] == "True"
    assert finalizers(world.objects.claims[NAME])


async def test_what_keeps_its_instance_from_going_is_told() -> None:
    world = claimed()
    await ready(world)
    world.cloud.blind = NO_RIGHT
    world.objects.delete(world.objects.claims, NAME)
    await world.steps(5)
    assert "no right" in world.condition("InstanceTerminating")[2]
    told = [event.reason for event in world.objects.told if event.type == "Warning"]
    assert told == ["AuthorizationFailed"]
    world.cloud.blind = None
    await world.steps()
    assert world.left() == []


def test_an_end_that_cannot_even_begin_is_told_as_one_whose_instance_stays() -> None:
    done = Step("True")
    end = Step("False", "Terminating", "no right", verdict="AuthorizationFailed")
    progress = Progress(launched=done, registered=done, initialized=done, terminating=end)
    status, *news = report(nodeclaim(), progress, None, START, POLICY)
    assert isinstance(status, SetStatus)
    found = {c["type"]: c for c in status.status["conditions"]}["InstanceTerminating"]
    assert (found["status"], found["reason"]) == ("Unknown", "AuthorizationFailed")
    assert Tell("Warning", "AuthorizationFailed", "no right") in news


async def test_a_nodeclaim_without_kaito_labels_is_served_for_its_class() -> None:
    world = World(NODECLAIM)
    world.create(metadata={"labels": {}})
    await ready(world)
    world.objects.delete(world.objects.claims, NAME)
    await world.steps()
    assert world.left() == []


@pytest.mark.parametrize("labels", [{}, {"kaito.sh/workspace": "phi"}])
async def test_a_nodeclaim_for_another_provider_is_left_alone(labels: dict[str, str]) -> None:
    world = World(NODECLAIM)
    foreign = {"group": "karpenter.azure.com", "kind": "AKSNodeClass", "name": "default"}
    world.create(metadata={"labels": labels}, spec={"nodeClassRef": foreign})
    await world.steps(5)
    assert world.objects.writes == []
    assert (world.cloud.launches, world.cloud.asked) == ([], [])


async def test_a_pool_that_a_machine_of_the_same_name_has_is_left_alone() -> None:
    world = World()
    world.create()
    await world.steps(5)
    pool = world.cloud.there[NAME]
    other = claimed()
    other.cloud.there[NAME] = pool
    await other.steps(5)
    assert "left alone" in other.condition("Launched")[2]
    other.objects.delete(other.objects.claims, NAME)
    await other.steps(5)
    assert (other.objects.claims, other.cloud.there) == ({}, {NAME: pool})


# What of the three is missing, and karpenter's verdict over them.
ARITHMETIC: list[tuple[Progress, tuple[str, str, str]]] = [
    (Progress(launched=DONE, registered=DONE, initialized=DONE), ("True", "Ready", "")),
    (
        Progress(launched=DONE, registered=DONE, initialized=pending("NodeNotReady", "no")),
        ("Unknown", "ReconcilingDependents", "Initialized=Unknown"),
    ),
    (
        Progress(launched=DONE, registered=Step("False", "MultipleNodesFound"), initialized=DONE),
        ("False", "UnhealthyDependents", "Registered=False"),
    ),
    (
        unlaunched(nodeclaim(), Step("False", "LaunchFailed", "no")),
        ("False", "UnhealthyDependents", "Launched=False, Registered=Unknown, Initialized=Unknown"),
    ),
]


@pytest.mark.parametrize(("progress", "expected"), ARITHMETIC)
def test_readiness_is_counted_as_karpenter_counts(
    progress: Progress, expected: tuple[str, str, str]
) -> None:
    status = written(progress, START)
    ready = status["conditions"][-1]
    assert ready["type"] == "Ready"
    assert (ready["status"], ready["reason"], ready["message"]) == expected


def test_the_newest_of_what_is_missing_is_named_first() -> None:
    waiting = pending("AwaitingReconciliation", "")
    early = written(Progress(launched=DONE, registered=DONE, initialized=waiting), START)
    failed = Progress(
        launched=DONE, registered=Step("False", "MultipleNodesFound"), initialized=waiting
    )
    late = written(failed, START + 60, status=early)
    assert late["conditions"][-1]["message"] == "Registered=False, Initialized=Unknown"


def test_a_status_that_is_so_already_is_not_written_again() -> None:
    progress = unlaunched(nodeclaim(), Step("Unknown", "Launching", "soon"))
    status = written(progress, START)
    assert report(nodeclaim(status=status), progress, None, START + 60, POLICY) == []


def test_conditions_and_fields_of_others_are_kept() -> None:
    drifted = {"type": "Drifted", "status": "True", "reason": "X", "lastTransitionTime": BORN}
    progress = Progress(launched=DONE, registered=DONE, initialized=DONE)
    status = written(progress, START, status={"conditions": [drifted], "nodeName": "n"})
    assert drifted in status["conditions"]
    assert status["nodeName"] == "n"


def test_every_condition_of_a_claim_that_goes_is_of_its_last_generation() -> None:
    drifted = {"type": "Drifted", "status": "True", "lastTransitionTime": BORN}
    meta = {**nodeclaim_object()["metadata"], "generation": 2, "deletionTimestamp": BORN}
    progress = Progress(launched=DONE, registered=DONE, initialized=DONE)
    status = written(progress, START, metadata=meta, status={"conditions": [drifted]})
    assert {c["observedGeneration"] for c in status["conditions"]} == {2}


def written(progress: Progress, now: float, **changes: Any) -> dict[str, Any]:
    [status] = [
        write.status
        for write in report(nodeclaim(**changes), progress, None, now, POLICY)
        if isinstance(write, SetStatus)
    ]
    return status


@pytest.mark.parametrize("lacking", [(), ("kaito.sh/creation-timestamp",)])
async def test_who_keeps_a_pool_of_gpu_provisioner_without_a_customer_is_told_how(
    lacking: tuple[str, ...],
) -> None:
    how = remedies.relabelling
    where = read({**CLUSTER, **FILE}, {})
    policy = replace(
        POLICY, relabelling=lambda pool, more: how(where, pool.name, {**pool.labels, **more})
    )
    world = World(NODECLAIM, policy)
    world.create()
    world.objects.claims[NAME]["metadata"]["labels"] = {}
    claim = world.claim()
    assert claim is not None
    theirs = dict(node_request(claim).labels)
    for name in ("kaito.sh/kaitonodeclass", *lacking):
        del theirs[name]
    pool = Pool(
        name=NAME, state=PoolState.READY, said="Succeeded", instance_type=A100, labels=theirs
    )
    world.cloud.there[NAME] = pool
    await world.steps(3)
    _, reason, message = world.condition("Launched")
    assert reason == "PoolNameTaken"
    wanted = f"kaito.sh/kaitonodeclass={claim.node_class}"
    assert ("az aks nodepool update --subscription" in message) is (not lacking)
    if lacking:
        return
    assert wanted in message
    assert f"kaito.sh/creation-timestamp={theirs['kaito.sh/creation-timestamp']}" in message
    world.cloud.there[NAME] = replace(
        pool, labels={**theirs, "kaito.sh/kaitonodeclass": claim.node_class}
    )
    world.clock.at += 700
    await ready(world)
