"""The life of a Machine, run through the real shell against a cloud and objects in memory."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest

from kaito.provisioner import Cause, Pool, PoolState
from kaito.runtime import Key
from test.unit.controllers.machine.world import (
    BUSY,
    LOST,
    NO_QUOTA,
    NO_RIGHT,
    NO_ROOM,
    POLICY,
    POLL,
    START,
    WRONG,
    World,
    finalizers,
    node_object,
)
from test.unit.provisioner.machines import A10, A100, NAME, requirement

TYPE = "node.kubernetes.io/instance-type"
EITHER: dict[str, Any] = {"spec": {"requirements": [requirement(TYPE, A100, A10)]}}
MAGIC = "all requested instance types were unavailable during launch"


def is_ready(world: World) -> bool:
    machine = world.claim()
    return machine is not None and any(
        (c["type"], c["status"]) == ("Ready", "True") for c in machine.status.conditions
    )


async def ready(world: World) -> None:
    await world.steps()
    assert is_ready(world)


async def test_a_machine_becomes_a_ready_node() -> None:
    world = World()
    world.create()
    await ready(world)
    machine = world.claim()
    assert machine is not None
    assert machine.status.node_name == f"aks-{NAME}-12345678-vmss000000"
    assert machine.status.provider_id.endswith("/virtualMachines/0")
    assert machine.status.allocatable == {"cpu": "23", "nvidia.com/gpu": "1"}
    assert machine.status.capacity == {"cpu": "24", "nvidia.com/gpu": "1"}
    assert machine.metadata.labels[TYPE] == A100
    assert world.cloud.launches == [A100]


async def test_the_node_becomes_the_machines_own() -> None:
    world = World()
    world.create()
    await ready(world)
    [node] = world.objects.nodes.values()
    assert node["metadata"]["labels"]["karpenter.sh/registered"] == "true"
    assert node["metadata"]["labels"]["karpenter.sh/initialized"] == "true"
    assert finalizers(node)
    assert node["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "karpenter.sh/v1alpha5",
            "kind": "Machine",
            "name": NAME,
            "uid": f"uid-{NAME}",
            "blockOwnerDeletion": True,
        }
    ]


async def test_a_ready_machine_costs_nothing_more() -> None:
    world = World()
    world.create()
    await ready(world)
    written, asked = len(world.objects.writes), len(world.cloud.asked)
    again = await world.controller.reconcile(Key("", NAME))
    assert again is None
    assert (len(world.objects.writes), len(world.cloud.asked)) == (written, asked)


async def test_a_restart_over_a_ready_machine_writes_and_asks_nothing() -> None:
    world = World()
    world.create()
    await ready(world)
    written, asked = len(world.objects.writes), len(world.cloud.asked)
    world.start()
    assert await world.controller.reconcile(Key("", NAME)) is None
    assert (len(world.objects.writes), len(world.cloud.asked)) == (written, asked)


async def test_a_machine_takes_few_writes() -> None:
    world = World()
    world.create()
    await ready(world)
    assert len(world.objects.writes) <= 5


async def test_the_finalizer_is_stored_before_anything_is_asked_of_the_cloud() -> None:
    world = World()
    world.create()
    await world.step()
    assert finalizers(world.objects.claims[NAME])
    assert (world.cloud.launches, world.cloud.asked) == ([], [])


async def test_a_deleted_machine_leaves_nothing() -> None:
    world = World()
    world.create()
    await ready(world)
    world.objects.delete(world.objects.claims, NAME)
    await world.steps()
    assert world.left() == []


async def test_a_machine_deleted_while_its_pool_is_being_made_leaves_nothing() -> None:
    world = World()
    world.create()
    world.cloud.busy = True
    await world.step()
    await world.step()
    assert world.cloud.there[NAME].state is PoolState.CREATING
    world.objects.delete(world.objects.claims, NAME)
    await world.steps()
    assert world.left() == []


async def test_the_finalizer_stays_until_the_cloud_denies_the_pool() -> None:
    world = World()
    world.create()
    await ready(world)
    world.objects.delete(world.objects.claims, NAME)
    while world.cloud.there[NAME].state is not PoolState.DELETING:
        await world.step()
    await world.controller.reconcile(Key("", NAME))
    assert finalizers(world.objects.claims[NAME])
    assert world.condition("Ready")[:2] == ("False", "Terminating")


async def test_a_launch_whose_answer_was_lost_is_not_repeated_blindly() -> None:
    world = World()
    world.create()
    world.cloud.lose_answers = 1
    await ready(world)
    assert len(world.cloud.there) == 1


async def test_a_machine_deleted_after_a_lost_answer_deletes_the_pool_it_never_heard_of() -> None:
    world = World()
    world.create()
    world.cloud.lose_answers = 1
    await world.step()
    await world.step()
    world.objects.delete(world.objects.claims, NAME)
    await world.steps()
    assert world.left() == []


async def test_when_one_instance_type_cannot_be_had_the_next_is_asked_for() -> None:
    world = World()
    world.create(**EITHER)
    world.cloud.refuse = [NO_ROOM]
    await ready(world)
    assert world.cloud.launches == [A100, A10]
    assert world.objects.claims[NAME]["metadata"]["labels"][TYPE] == A10


async def test_a_pool_that_fails_while_it_is_made_is_deleted_and_the_next_type_is_tried() -> None:
    world = World()
    world.create(**EITHER)
    world.cloud.fail = [NO_ROOM]
    await ready(world)
    assert world.cloud.launches == [A100, A10]
    assert world.cloud.there[NAME].instance_type == A10


async def test_when_no_type_can_be_had_the_condition_says_so_in_kaitos_words() -> None:
    world = World()
    world.create(**EITHER)
    world.cloud.refuse = [NO_ROOM, NO_QUOTA]
    await world.step()
    await world.step()
    status, reason, message = world.condition("MachineLaunched")
    assert (status, reason) == ("False", "SKUFamilyQuotaReached")
    assert message.startswith(MAGIC)
    assert f"{A100}: no room" in message
    assert f"{A10}: no quota" in message
    assert "Do this." in message
    assert world.condition("Ready")[0] == "False"


async def test_a_failed_launch_is_told_once() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [NO_ROOM, NO_ROOM]
    await world.steps(4)
    assert [event.reason for event in world.objects.told] == ["AllocationFailure"]


async def test_a_verdict_that_stays_is_told_once_however_often_it_is_asked_again() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [NO_RIGHT] * 5
    while world.cloud.refuse:
        await world.step()
    assert len(world.cloud.launches) == 5
    assert [event.reason for event in world.objects.told] == ["AuthorizationFailed"]


async def test_a_failed_pool_that_may_not_be_deleted_says_what_is_in_the_way() -> None:
    world = World()
    world.create()
    world.cloud.fail = [NO_ROOM]
    while not world.cloud.there or world.cloud.there[NAME].failure is None:
        await world.step()
    world.cloud.blind = NO_RIGHT
    await world.steps(5)
    status, reason, message = world.condition("MachineLaunched")
    assert status == "False"
    assert reason == "AuthorizationFailed"
    assert "no right" in message
    assert [event.reason for event in world.objects.told] == ["AuthorizationFailed"]
    world.cloud.blind = None
    await ready(world)


async def test_a_cloud_that_throttles_for_a_minute_is_asked_once_in_it() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [replace(BUSY, cause=Cause.THROTTLED, retry_after=60.0)]
    at: list[float] = []
    while len(world.cloud.launches) < 2:
        before, launches = world.clock.at, len(world.cloud.launches)
        await world.step()
        if len(world.cloud.launches) > launches:
            at.append(before)
        if len(at) == 1:
            assert world.condition("MachineLaunched")[:2] == ("False", "Throttled")
    assert at[1] - at[0] >= 60.0
    await ready(world)
    assert [event.reason for event in world.objects.told if event.type == "Warning"] == [
        "Throttled"
    ]


async def test_a_verdict_that_changes_is_told_again() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [NO_RIGHT, NO_RIGHT, NO_QUOTA]
    while world.cloud.refuse:
        await world.step()
    await world.step()
    told = [event.reason for event in world.objects.told]
    assert told == ["AuthorizationFailed", "SKUFamilyQuotaReached"]


async def test_a_lack_of_machines_is_asked_about_again_after_a_long_pause() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [NO_ROOM]
    await world.step()
    refused_at = world.clock.at
    await world.step()
    assert world.clock.at - refused_at >= 40 * POLL
    await ready(world)
    assert world.cloud.launches == [A100, A100]


async def test_a_wrong_request_is_not_repeated() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [WRONG, WRONG, WRONG]
    await world.steps()
    assert world.cloud.launches == [A100]
    assert world.condition("MachineLaunched")[:2] == ("False", "InvalidRequest")


async def test_a_restart_asks_a_wrong_request_once_more_and_then_no_more() -> None:
    world = World()
    world.create()
    for _ in range(3):
        world.cloud.refuse = [WRONG] * 9
        world.start()
        await world.steps()
    assert world.cloud.launches == [A100] * 3
    assert world.cloud.there == {}
    assert [event.reason for event in world.objects.told] == ["InvalidRequest"]


async def test_a_pool_whose_node_never_joins_is_replaced_and_not_paid_for_for_ever() -> None:
    world = World(joins=False)
    world.create()
    while len(world.cloud.launches) < 2:
        await world.step()
    assert 900 <= world.clock.at - START <= 1500
    world.joins = True
    await ready(world)


async def stopped(world: World) -> None:
    """The controller's turns until it says that it will make no further pool."""
    for _ in range(600):
        await world.step()
        conditions = world.objects.claims[NAME].get("status", {}).get("conditions", [])
        if any(condition["reason"] == "LaunchStopped" for condition in conditions):
            return
    raise AssertionError("never stopped")


async def test_after_three_pools_without_a_node_no_further_one_is_paid_for() -> None:
    world = World(joins=False)
    world.create()
    await stopped(world)
    await world.steps(300)
    assert world.cloud.launches == [A100] * 3
    assert world.cloud.there == {}
    status, reason, message = world.condition("MachineLaunched")
    assert (status, reason) == ("False", "LaunchStopped")
    assert "no Node of agent pool" in message
    assert f"kubectl annotate machines.karpenter.sh {NAME} kaito.sh/useless-pools-" in message
    assert len(message) < 800


async def test_a_restart_after_every_turn_makes_no_further_pool_either() -> None:
    world = World(joins=False)
    world.create()
    for _ in range(1200):
        await world.step()
        world.start()
    assert world.cloud.launches == [A100] * 3
    assert world.condition("MachineLaunched")[1] == "LaunchStopped"


async def test_whoever_has_mended_the_cause_gets_another_attempt() -> None:
    world = World(joins=False)
    world.create()
    await stopped(world)
    world.joins = True
    del world.objects.claims[NAME]["metadata"]["annotations"]
    await ready(world)


async def test_a_changed_spec_makes_earlier_pools_count_no_longer() -> None:
    world = World(joins=False)
    world.create()
    await stopped(world)
    world.joins = True
    world.objects.claims[NAME]["metadata"]["generation"] = 2
    await ready(world)


async def test_a_lack_of_machines_is_no_useless_pool() -> None:
    world = World()
    world.create()
    world.cloud.fail = [NO_ROOM] * 5
    while len(world.cloud.launches) < 6:
        await world.step()
    await ready(world)


async def test_a_node_of_another_type_than_asked_for_is_told_and_not_taken() -> None:
    world = World()
    world.create()
    await world.steps(3)
    pool = world.cloud.there[NAME]
    node = node_object(NAME, 0, pool.labels, A10)
    world.objects.nodes[node["metadata"]["name"]] = node
    await world.steps(5)
    status, reason, message = world.condition("MachineRegistered")
    assert (status, reason) == ("False", "WrongInstanceType")
    assert f"is a {A10}, and the Machine asks for {A100}" in message
    assert not finalizers(node)


async def test_a_pool_that_is_never_finished_is_replaced() -> None:
    world = World()
    world.create()
    world.cloud.seconds = 1e9
    while not world.objects.told:
        await world.step()
    assert "was not made within 60 minutes" in world.objects.told[0].message
    assert 3600 <= world.clock.at - START <= 4200


async def test_a_changed_spec_is_a_new_chance() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [WRONG]
    await world.steps(5)
    world.objects.claims[NAME]["metadata"]["generation"] = 2
    world.objects.claims[NAME]["spec"]["requirements"] = [requirement(TYPE, A10)]
    await ready(world)
    assert world.cloud.launches == [A100, A10]


async def test_a_request_that_no_node_can_be_never_reaches_the_cloud() -> None:
    world = World()
    world.create(spec={"requirements": []})
    await world.steps(5)
    assert world.condition("MachineLaunched")[1] == "InvalidRequest"
    assert "names no instance type" in world.condition("MachineLaunched")[2]
    assert world.cloud.launches == []


async def test_failures_that_may_pass_are_retried_ever_more_slowly() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [LOST] * 8
    at: list[float] = []
    while len(at) < 8:
        launched = len(world.cloud.launches)
        await world.step()
        if len(world.cloud.launches) > launched:
            at.append(world.clock.at)
    pauses = [later - earlier for earlier, later in itertools.pairwise(at)]
    assert pauses == sorted(pauses)
    assert pauses[-1] <= 25 * POLL
    await ready(world)


async def test_a_missing_right_is_shown_with_the_remedy_and_tried_again() -> None:
    world = World()
    world.create()
    world.cloud.refuse = [NO_RIGHT]
    await world.steps(2)
    message = world.condition("MachineLaunched")[2]
    assert "no right (Code). Do this. KAITO tries again at 2026-01-01T00:1" in message
    await ready(world)


async def test_a_pool_of_somebody_else_is_left_alone() -> None:
    world = World()
    world.create()
    foreign = Pool(
        name=NAME, state=PoolState.READY, said="Succeeded", instance_type=A100, labels={"a": "b"}
    )
    world.cloud.there[NAME] = foreign
    await world.steps(5)
    status, reason, message = world.condition("MachineLaunched")
    assert (status, reason) == ("False", "PoolNameTaken")
    assert f"agent pool {NAME}" in message
    world.objects.delete(world.objects.claims, NAME)
    await world.steps(5)
    assert world.objects.claims == {}
    assert world.cloud.there == {NAME: foreign}


@pytest.mark.parametrize("joins", [True, False])
async def test_a_pool_that_another_cluster_made_for_a_claim_of_that_name_is_left_alone(
    joins: bool,
) -> None:
    theirs = World(policy=replace(POLICY, cluster="theirs"))
    theirs.create()
    await ready(theirs)
    world = World(policy=replace(POLICY, cluster="ours"), joins=joins)
    world.cloud.there = dict(theirs.cloud.there)
    world.cloud.numbers = {NAME: [0]}
    world.create()
    await world.steps(5)
    assert world.condition("MachineLaunched")[1] == "PoolNameTaken"
    world.objects.delete(world.objects.claims, NAME)
    await world.steps(5)
    assert world.objects.claims == {}
    assert world.cloud.there == theirs.cloud.there


async def test_a_pool_of_ours_that_was_robbed_of_its_labels_keeps_its_machine() -> None:
    world = World()
    world.create()
    await ready(world)
    world.cloud.there[NAME] = Pool(
        name=NAME, state=PoolState.READY, said="Succeeded", instance_type=A100, labels={}
    )
    world.objects.delete(world.objects.claims, NAME)
    await world.steps(5)
    assert finalizers(world.objects.claims[NAME])
    assert "has lost the labels" in world.condition("Ready")[2]


async def test_a_machine_without_kaitos_labels_is_left_alone() -> None:
    world = World()
    world.create(metadata={"labels": {"karpenter.sh/provisioner-name": "default"}})
    await world.steps(5)
    assert world.objects.writes == []
    assert (world.cloud.launches, world.cloud.asked) == ([], [])


async def test_a_pool_made_for_an_earlier_spec_is_replaced() -> None:
    world = World()
    world.create()
    await world.step()
    await world.step()
    world.objects.claims[NAME]["metadata"]["generation"] = 2
    world.objects.claims[NAME]["spec"]["requirements"] = [requirement(TYPE, A10)]
    await ready(world)
    assert world.cloud.there[NAME].instance_type == A10


async def test_a_machine_made_again_adopts_the_pool_of_its_predecessor() -> None:
    world = World()
    world.create()
    await world.step()
    await world.step()
    del world.objects.claims[NAME]
    world.create(metadata={"uid": "another", "creationTimestamp": "2026-01-01T00:01:00Z"})
    world.objects.claims[NAME]["metadata"]["labels"] = {
        "kaito.sh/workspace": "phi",
        "kaito.sh/workspacenamespace": "default",
    }
    await ready(world)
    assert world.cloud.launches == [A100]


async def test_a_node_that_is_not_ready_is_waited_for() -> None:
    world = World(node_ready=False)
    world.create()
    await world.steps()
    assert world.condition("MachineRegistered")[0] == "True"
    assert world.condition("MachineInitialized")[1:] == (
        "NodeNotReady",
        f"Node aks-{NAME}-12345678-vmss000000 is not ready: starting.",
    )


async def test_a_node_whose_gpus_are_not_counted_is_waited_for() -> None:
    world = World(gpu_plugin=False)
    world.create()
    await world.steps()
    status, reason, message = world.condition("MachineInitialized")
    assert (status, reason) == ("False", "GPUsUnhealthy")
    [node] = world.objects.nodes.values()
    node["status"]["capacity"].pop("nvidia.com/gpu")
    await world.steps(2)
    status, reason, message = world.condition("MachineInitialized")
    assert (status, reason) == ("False", "DevicePluginMissing")
    assert "Install its DaemonSet" in message
    node["status"]["allocatable"]["nvidia.com/gpu"] = "1"
    await ready(world)


async def test_a_defect_of_the_adapter_is_told_and_passes_with_it() -> None:
    world = World()
    world.cloud.defect = RuntimeError("no such thing")
    world.create()
    await world.steps()
    status, reason, message = world.condition("MachineLaunched")
    assert (status, reason) == ("False", "LaunchFailed")
    assert "the way to Azure has a defect (RuntimeError('no such thing'))" in message
    world.cloud.defect = None
    await ready(world)


async def test_a_node_that_no_size_can_be_is_refused_and_never_asked_for() -> None:
    world = World()
    world.create(spec={"resources": {"requests": {"nvidia.com/gpu": "8"}}})
    await world.steps()
    status, reason, message = world.condition("MachineLaunched")
    assert (status, reason) == ("False", "InvalidRequest")
    assert message == (
        f"{A100} has 1 nvidia.com/gpu, and spec.resources.requests asks for 8: ask for less, or "
        "name another size."
    )
    assert world.cloud.launches == []


async def test_a_node_that_offers_less_than_requested_is_waited_for() -> None:
    world = World()
    requests = {"cpu": "23500m", "storage": "80Gi"}
    world.create(spec={"resources": {"requests": requests}})
    await world.steps()
    _, reason, message = world.condition("MachineInitialized")
    assert reason == "ResourceNotRegistered"
    assert "offers 23 of cpu, and spec.resources.requests asks for 23500m: look at" in message
    [node] = world.objects.nodes.values()
    node["status"]["allocatable"]["cpu"] = "23500m"
    await ready(world)


async def test_startup_taints_are_put_on_once_and_waited_for() -> None:
    world = World()
    taint = {"key": "prepare", "effect": "NoSchedule"}
    world.create(spec={"requirements": [requirement(TYPE, A100)], "startupTaints": [taint]})
    await world.steps()
    assert world.condition("MachineInitialized")[1] == "StartupTaintsExist"
    [node] = world.objects.nodes.values()
    assert taint in node["spec"]["taints"]
    node["spec"]["taints"].remove(taint)
    await ready(world)
    assert taint not in node["spec"]["taints"]


async def test_a_claim_cannot_say_of_its_node_what_nobody_has_seen() -> None:
    world = World(node_ready=False)
    world.create()
    labels = world.objects.claims[NAME]["metadata"]["labels"]
    labels |= {"karpenter.sh/initialized": "true", "agentpool": "other", "team": "a"}
    await world.steps()
    assert world.condition("MachineInitialized")[1] == "NodeNotReady"
    [node] = world.objects.nodes.values()
    assert node["metadata"]["labels"]["agentpool"] == NAME
    assert node["metadata"]["labels"]["team"] == "a"


async def test_two_nodes_are_one_too_many_until_one_has_gone() -> None:
    world = World(node_ready=False)
    world.create()
    second = node_object(number=1)
    world.objects.nodes[second["metadata"]["name"]] = second
    first = node_object(number=0)
    world.objects.nodes[first["metadata"]["name"]] = first
    world.cloud.there[NAME] = Pool(
        name=NAME,
        state=PoolState.UPDATING,
        said="Upgrading",
        instance_type=A100,
        labels={**machine_labels(world), "kaito.sh/creation-timestamp": "2026-01-01T00-00-00Z"},
    )
    await world.steps(5)
    assert world.condition("MachineRegistered")[1] == "MultipleNodesFound"
    del world.objects.nodes[second["metadata"]["name"]]
    await ready(world)


def machine_labels(world: World) -> dict[str, str]:
    return dict(world.objects.claims[NAME]["metadata"]["labels"])


async def test_a_deleted_node_takes_its_machine_and_pool_with_it() -> None:
    world = World()
    world.create()
    await ready(world)
    [node] = world.objects.nodes
    world.objects.delete(world.objects.nodes, node)
    await world.steps()
    assert world.left() == []


@pytest.mark.parametrize("state", [PoolState.STOPPED, PoolState.UPDATING])
async def test_a_node_lost_to_a_stop_or_an_upgrade_costs_no_machine(state: PoolState) -> None:
    world = World()
    world.create()
    await ready(world)
    pool = world.cloud.there[NAME]
    world.cloud.there[NAME] = Pool(
        name=NAME, state=state, said=state, instance_type=A100, labels=pool.labels
    )
    [node] = world.objects.nodes
    world.objects.delete(world.objects.nodes, node)
    await world.steps(5)
    assert world.objects.nodes == {}
    assert world.condition("MachineRegistered")[1] == "NodeNotFound"
    assert not is_ready(world)
    world.cloud.there[NAME] = pool
    world.join(pool, number=1)
    await ready(world)
    machine = world.claim()
    assert machine is not None
    assert machine.status.provider_id.endswith("/virtualMachines/1")


async def test_an_upgrade_that_nobody_saw_costs_no_machine() -> None:
    world = World()
    world.create()
    await ready(world)
    pool = world.cloud.there[NAME]
    [old] = world.objects.nodes
    world.joins = False
    world.join(pool, number=1)
    world.cloud.numbers[NAME] = [1]
    world.objects.delete(world.objects.nodes, old)
    world.start()
    await world.steps(5)
    assert old not in world.objects.nodes
    assert world.cloud.there == {NAME: pool}
    machine = world.claim()
    assert machine is not None
    assert not machine.metadata.deleting
    assert machine.status.provider_id.endswith("/virtualMachines/1")


async def test_a_machine_whose_pool_was_deleted_behind_us_is_deleted() -> None:
    world = World()
    world.create()
    await ready(world)
    del world.cloud.there[NAME]
    world.settle()
    await world.steps()
    assert world.left() == []


async def test_a_cloud_that_does_not_answer_holds_the_finalizer_and_says_so() -> None:
    world = World()
    world.create()
    await ready(world)
    world.objects.delete(world.objects.claims, NAME)
    world.cloud.blind = NO_RIGHT
    await world.steps(5)
    assert finalizers(world.objects.claims[NAME])
    assert "no right" in world.condition("Ready")[2]
    world.cloud.blind = None
    await world.steps()
    assert world.left() == []


async def test_a_node_of_a_machine_that_was_removed_by_force_is_let_go() -> None:
    world = World()
    world.create()
    await ready(world)
    del world.objects.claims[NAME]
    [node] = world.objects.nodes
    world.objects.delete(world.objects.nodes, node)
    await world.steps(3)
    assert world.objects.nodes
    assert isinstance(await world.cloud.delete(world.cloud.there[NAME]), Pool)
    await world.steps()
    assert world.left() == []


async def test_a_node_of_another_provisioner_is_never_touched() -> None:
    world = World()
    node = node_object()
    node["metadata"]["finalizers"] = ["karpenter.sh/termination"]
    node["metadata"]["ownerReferences"] = [
        {"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "name": NAME, "uid": "x"}
    ]
    node["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    world.objects.nodes[node["metadata"]["name"]] = node
    for _ in range(3):
        await world.controller.reconcile(Key("", NAME))
    assert world.objects.writes == []


async def test_thousands_that_wait_are_answered_by_few_lists() -> None:
    world = World()
    names = [f"ws{number:09x}" for number in range(50)]
    for name in names:
        world.create(name)
        await world.controller.reconcile(Key("", name))
    for name in names:
        await world.controller.reconcile(Key("", name))
    assert len(world.cloud.launches) == 50
    assert world.cloud.asked == ["list"]
    world.clock.at += POLL
    for name in names:
        await world.controller.reconcile(Key("", name))
    assert world.cloud.asked == ["list", "list"]


async def test_those_that_came_at_different_times_look_together_from_then_on() -> None:
    world = World()
    names = [f"ws{number:09x}" for number in range(20)]
    for name in names:
        world.create(name)
        await world.controller.reconcile(Key("", name))
        await world.controller.reconcile(Key("", name))
        world.clock.at += POLL / 30
    world.clock.at += POLL / 3
    looks: set[float] = set()
    for name in names:
        again = await world.controller.reconcile(Key("", name))
        assert again is not None
        looks.add(world.clock.at + again.seconds)
        world.clock.at += POLL / 30
    assert len(looks) == 1
    assert world.cloud.asked == ["list", "list"]


async def test_the_event_of_a_step_names_the_node_its_size_and_the_seconds() -> None:
    world = World()
    world.create()
    await ready(world)
    [told] = [each.message for each in world.objects.told if each.reason == "Ready"]
    seconds = r"\d+ seconds after the Machine was created\."
    assert re.fullmatch(rf"Ready is True: Node aks-{NAME}-\S+ \({A100}\), {seconds}", told)
