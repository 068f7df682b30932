"""Claims end by our own hand where somebody has chosen so, and never many at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from kaito.controllers.kinds import Node
from kaito.controllers.machine.decision import Fleet, Policy
from kaito.controllers.machine.disruption import fleet
from kaito.provisioner import PoolState
from kaito.provisioner.claim import MACHINE, NODECLAIM, TERMINATION, Claim
from kaito.runtime import Key, rfc3339
from test.unit.controllers.machine.world import (
    POLICY,
    START,
    Killed,
    World,
    node_object,
    pod_object,
)
from test.unit.provisioner.machines import BORN, NAME, nodeclaim

EXPIRING = replace(POLICY, expire=True)
REPAIRING = replace(POLICY, repair=True)
MONTH = 720 * 3600.0


@pytest.mark.parametrize(("claims", "most"), [(0, 1), (1, 1), (9, 1), (10, 2), (100, 20)])
def test_a_fifth_may_be_out_of_service_and_one_always(claims: int, most: int) -> None:
    assert Fleet(claims=claims, unhealthy=0, leaving=0).most == most


def claim(name: str, **changes: Any) -> Claim:
    initialized = {"conditions": [{"type": "Initialized", "status": "True"}]}
    return nodeclaim(name, status={"providerID": name, **initialized}, **changes)


def node(name: str, ready: str) -> Node:
    wire = node_object(name)
    wire["spec"]["providerID"] = name
    wire["status"]["conditions"] = [{"type": "Ready", "status": ready}]
    return msgspec.convert(wire, Node)


def test_only_nodes_that_have_worked_count_as_unhealthy_and_only_our_claims() -> None:
    starting = nodeclaim("starting", status={"providerID": "starting"})
    foreign = {"group": "karpenter.azure.com", "kind": "AKSNodeClass", "name": "d"}
    claims = [
        claim("well"),
        claim("broken"),
        claim("going", metadata={"name": "going", "deletionTimestamp": BORN}),
        starting,
        nodeclaim("unlaunched"),
        claim("another's", spec={"nodeClassRef": foreign}),
    ]
    names = {"well": "True", "broken": "Unknown", "starting": "False", "another's": "False"}
    nodes = [node(name, ready) for name, ready in names.items()]
    assert fleet(claims, nodes) == Fleet(claims=4, unhealthy=1, leaving=1)


async def living(policy: Policy, **spec: Any) -> World:
    world = World(NODECLAIM, policy)
    world.create()
    world.objects.claims[NAME]["spec"].update(spec)
    await world.steps(12)
    claim = world.claim()
    assert claim is not None
    assert claim.is_true("Ready")
    return world


async def until(world: World, moment: float) -> None:
    """The world's turns up to that moment."""
    while world.clock.at < moment and world.objects.claims:
        await world.step()


async def test_a_claim_does_not_end_by_itself_unless_somebody_has_chosen_so() -> None:
    world = await living(POLICY)
    world.clock.at = START + 2 * MONTH
    await world.steps(5)
    assert not world.objects.claims[NAME]["metadata"].get("deletionTimestamp")


async def test_a_claim_ends_with_its_lifetime() -> None:
    world = await living(EXPIRING, expireAfter="2h")
    await until(world, START + 7199)
    assert world.left() != []
    await until(world, START + 9000)
    assert world.left() == []
    assert "Expired" in [event.reason for event in world.objects.told]


async def test_a_claim_that_lives_for_ever_has_no_end() -> None:
    world = await living(EXPIRING, expireAfter="Never")
    world.clock.at = START + 24 * MONTH
    await world.steps(5)
    assert not world.objects.claims[NAME]["metadata"].get("deletionTimestamp")


async def test_claims_of_one_age_do_not_all_end_at_once() -> None:
    world = World(NODECLAIM, EXPIRING)
    names = [f"ws{number:09x}" for number in range(10)]
    for name in names:
        world.create(name, spec={"expireAfter": "2h"}, status={"providerID": name})
        await world.controller.reconcile(Key("", name))
    world.clock.at = START + 7300
    for name in names:
        await world.controller.reconcile(Key("", name))
    assert world.fleet().leaving == 2
    while world.objects.claims:
        for name in names:
            await world.step(name)


def break_node(world: World, status: str = "Unknown") -> None:
    [node] = world.objects.nodes.values()
    node["status"]["conditions"] = [
        {
            "type": "Ready",
            "status": status,
            "message": "Kubelet stopped posting node status.",
            "lastTransitionTime": rfc3339(world.clock.at),
        }
    ]


async def test_a_broken_node_is_replaced_after_ten_minutes_and_its_pods_not_waited_for() -> None:
    world = await living(REPAIRING)
    world.objects.pods["a"] = pod_object("a")
    world.objects.budget = "never"
    break_node(world)
    broken_at = world.clock.at
    await until(world, broken_at + 599)
    assert world.cloud.there[NAME].state is PoolState.READY
    await until(world, broken_at + 1000)
    assert world.left() == []
    [told] = [event for event in world.objects.told if event.reason == "NodeRepaired"]
    assert told.message.endswith("; its NodeClaim is deleted.")
    assert "Kubelet stopped posting node status." in told.message


async def test_a_node_that_recovers_in_time_is_kept() -> None:
    world = await living(REPAIRING)
    break_node(world, "False")
    await until(world, world.clock.at + 500)
    [node] = world.objects.nodes.values()
    node["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    world.clock.at += 3600
    await world.steps(5)
    assert world.cloud.there[NAME].state is PoolState.READY


async def test_a_node_that_has_never_worked_is_told_and_not_replaced_for_ever() -> None:
    world = World(NODECLAIM, REPAIRING, node_ready=False)
    world.create()
    await world.steps(12)
    break_node(world)
    world.clock.at += 3600
    await world.steps(5)
    assert world.condition("Initialized")[1] == "NodeNotReady"
    assert not world.objects.claims[NAME]["metadata"].get("deletionTimestamp")


async def test_without_the_option_a_broken_node_is_kept() -> None:
    world = await living(POLICY)
    break_node(world)
    world.clock.at += 3600
    await world.steps(5)
    assert not world.objects.claims[NAME]["metadata"].get("deletionTimestamp")


@pytest.mark.parametrize(
    "trouble",
    [Fleet(claims=4, unhealthy=2, leaving=0), Fleet(claims=4, unhealthy=1, leaving=1)],
    ids=["many broken", "others going"],
)
async def test_many_broken_nodes_are_told_and_left_alone(trouble: Fleet) -> None:
    world = await living(REPAIRING)
    break_node(world)
    world.clock.at += 3600
    world.fleet = lambda: trouble  # type: ignore[method-assign]  # a cluster in trouble
    world.start()
    await world.step()
    assert not world.objects.claims[NAME]["metadata"].get("deletionTimestamp")
    [told] = [event for event in world.objects.told if event.reason == "NodeRepairBlocked"]
    assert "no more than 1 may be out of service" in told.message
    world.fleet = lambda: Fleet(claims=4, unhealthy=1, leaving=0)  # type: ignore[method-assign]
    world.start()
    await world.steps()
    assert world.left() == []


async def test_a_machines_node_is_repaired_too() -> None:
    world = World(MACHINE, REPAIRING)
    world.create()
    await world.steps(12)
    break_node(world)
    await until(world, world.clock.at + 1000)
    assert world.left() == []


@pytest.mark.parametrize("fatal", [1, 2])
async def test_a_repair_that_is_killed_leaves_no_haste_to_a_later_deletion(fatal: int) -> None:
    world = await living(REPAIRING)
    break_node(world)
    world.clock.at += 3600
    world.effects.fatal = world.effects.count + fatal
    with pytest.raises(Killed):
        await world.controller.reconcile(Key("", NAME))
    metadata = world.objects.claims[NAME]["metadata"]
    assert metadata.get("deletionTimestamp")
    assert (TERMINATION in metadata.get("annotations", {})) is (fatal == 2)
    world.start()
    await world.steps()
    assert world.left() == []
