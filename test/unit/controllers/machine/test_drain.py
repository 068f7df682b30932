"""A Node is emptied before it goes: politely, in order, and not for ever."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kaito.controllers.machine.decision import DeletePod, Evict, Tenancy
from kaito.controllers.machine.drain import asking, deadline, staying
from kaito.controllers.machine.kinds import Pod
from kaito.provisioner import PoolState
from kaito.provisioner.claim import NODECLAIM
from kaito.runtime import Key, rfc3339
from test.unit.controllers.machine.world import POLICY, START, World, pod_object
from test.unit.provisioner.machines import BORN, NAME, machine, nodeclaim

DYING: dict[str, Any] = {"metadata": {"deletionTimestamp": BORN}}
BUDGET = "Cannot evict pod as it would violate the pod's disruption budget"
TOLERANT: dict[str, Any] = {"tolerations": [{"operator": "Exists"}]}


def pod(name: str = "a", **changes: Any) -> Pod:
    return msgspec.convert(pod_object(name, **changes), Pod)


def daemon(name: str, **changes: Any) -> Pod:
    return pod(name, metadata={"ownerReferences": [{"kind": "DaemonSet"}]}, **changes)


def over(name: str = "a") -> Pod:
    return msgspec.convert({**pod_object(name), "status": {"phase": "Succeeded"}}, Pod)


def leaving(seconds_ago: float) -> Pod:
    return pod(metadata={"deletionTimestamp": rfc3339(START - seconds_ago)})


@pytest.mark.parametrize(
    ("there", "waited_for"),
    [
        (pod(), True),
        (daemon("d"), True),
        (leaving(59.0), True),
        (leaving(61.0), False),
        (over(), False),
        (pod(**TOLERANT), False),
        (pod(tolerations=[{"key": "karpenter.sh/disrupted", "operator": "Exists"}]), False),
        (pod(tolerations=[{"key": "sku", "operator": "Exists"}]), True),
        (pod(tolerations=[{"operator": "Exists", "effect": "NoExecute"}]), True),
        (pod(metadata={"ownerReferences": [{"kind": "Node"}]}), False),
    ],
)
def test_who_is_waited_for(there: Pod, waited_for: bool) -> None:
    assert bool(staying([there], START)) is waited_for


CRITICAL: dict[str, Any] = {"priorityClassName": "system-node-critical"}
GROUPS = [pod("a"), daemon("b"), pod("c", **CRITICAL), daemon("d", **CRITICAL)]


@pytest.mark.parametrize("first", range(4))
def test_the_critical_leave_last_and_daemons_after_the_others(first: int) -> None:
    writes = asking(tenancy(*reversed(GROUPS[first:])), START, START + 3600)
    assert writes == (Evict(GROUPS[first]),)


def tenancy(*pods: Pod) -> Tenancy:
    return Tenancy(pods=pods, at=START, refused={})


def test_a_pod_that_leaves_already_is_not_asked_again() -> None:
    assert asking(tenancy(leaving(1.0)), START, START + 3600) == ()


def test_a_protected_pod_is_not_asked_to_leave() -> None:
    protected = pod(metadata={"annotations": {"karpenter.sh/do-not-disrupt": "true"}})
    assert asking(tenancy(protected), START, START + 3600) == ()


def test_a_pod_that_needs_what_is_left_of_the_time_is_deleted_whatever_its_budget() -> None:
    slow = pod(terminationGracePeriodSeconds=300)
    assert asking(tenancy(slow), START, START + 299) == (DeletePod(slow, 299),)
    assert asking(tenancy(slow), START, START + 301) == (Evict(slow),)


def test_time_is_up_when_the_claim_says_so_or_the_policy() -> None:
    assert deadline(machine(**DYING), POLICY) == START + 3600
    patient = nodeclaim(**DYING, spec={"terminationGracePeriod": "90s"})
    assert deadline(patient, POLICY) == START + 90
    stamped = {**DYING["metadata"], "annotations": {
        "karpenter.sh/nodeclaim-termination-timestamp": "2026-01-01T00:00:05Z"
    }}  # fmt: skip
    assert deadline(nodeclaim(metadata=stamped), POLICY) == START + 5


async def occupied(**spec: Any) -> World:
    """A NodeClaim that is ready, with a Pod on its Node, and being deleted."""
    world = World(NODECLAIM)
    world.create()
    world.objects.claims[NAME]["spec"].update(spec)
    await world.steps()
    world.objects.pods["a"] = pod_object("a")
    world.objects.delete(world.objects.claims, NAME)
    return world


def destroyed_at(world: World) -> float:
    """When the cloud was asked to delete the pool."""
    return world.cloud.due[NAME] - world.cloud.seconds


async def test_nobody_new_comes_to_a_node_that_goes() -> None:
    world = await occupied()
    await world.step()
    [node] = world.objects.nodes.values()
    assert {"key": "karpenter.sh/disrupted", "effect": "NoSchedule"} in node["spec"]["taints"]
    labels = node["metadata"]["labels"]
    assert labels["node.kubernetes.io/exclude-from-external-load-balancers"] == "karpenter"
    assert world.objects.evicted == []


async def test_pods_leave_before_the_pool_is_deleted() -> None:
    world = await occupied()
    while world.objects.pods:
        assert world.cloud.there[NAME].state is PoolState.READY
        await world.step()
    await world.steps()
    assert world.objects.evicted == ["a"]
    assert world.left() == []


async def test_a_budget_is_respected_and_told_until_it_lets_the_pod_go() -> None:
    world = await occupied()
    world.objects.budget = BUDGET
    await world.steps(10)
    assert world.cloud.there[NAME].state is PoolState.READY
    assert world.objects.pods
    status, reason, message = world.condition("Drained")
    assert (status, reason) == ("Unknown", "Draining")
    assert f"default/a: {BUDGET}" in message
    world.objects.budget = ""
    await world.steps()
    assert world.left() == []


async def test_a_budget_holds_a_node_no_longer_than_the_grace_period() -> None:
    world = await occupied(terminationGracePeriod="10m")
    world.objects.budget = BUDGET
    deleted_at = world.clock.at
    while world.cloud.there[NAME].state is PoolState.READY:
        await world.step()
    [(name, seconds)] = world.objects.deleted
    assert name == "a"
    assert 0 < seconds < 30
    assert 570 <= destroyed_at(world) - deleted_at <= 600
    await world.steps()
    assert world.left() == []


async def test_who_may_not_see_the_pods_says_so_and_gives_them_their_time() -> None:
    world = await occupied(terminationGracePeriod="10m")
    world.objects.hidden = True
    deleted_at = world.clock.at
    await world.steps(5)
    status, reason, message = world.condition("Drained")
    assert (status, reason) == ("Unknown", "Draining")
    assert "pods is forbidden. Let the provisioner list pods." in message
    while world.cloud.there[NAME].state is PoolState.READY:
        await world.step()
    assert destroyed_at(world) - deleted_at >= 600


async def test_a_protected_pod_is_waited_for_until_time_is_up_and_told() -> None:
    world = await occupied(terminationGracePeriod="10m")
    annotations = {"karpenter.sh/do-not-disrupt": "true"}
    world.objects.pods["a"]["metadata"]["annotations"] = annotations
    await world.steps(5)
    assert "karpenter.sh/do-not-disrupt keeps it" in world.condition("Drained")[2]
    while world.cloud.there[NAME].state is PoolState.READY:
        await world.step()
    assert [name for name, _ in world.objects.deleted] == ["a"]


async def test_a_machine_tells_in_ready_who_holds_it() -> None:
    world = World()
    world.create()
    await world.steps()
    world.objects.pods["a"] = pod_object("a")
    world.objects.budget = BUDGET
    world.objects.delete(world.objects.claims, NAME)
    await world.steps(5)
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "Terminating")
    node = f"aks-{NAME}-12345678-vmss000000"
    assert message == f"Node {node} is being emptied first; Pods left: 1 (default/a: {BUDGET})."


async def test_a_node_that_somebody_deletes_is_emptied_first() -> None:
    world = World()
    world.create()
    await world.steps()
    world.objects.pods["a"] = pod_object("a")
    [node] = world.objects.nodes
    world.objects.delete(world.objects.nodes, node)
    await world.steps()
    assert world.objects.evicted == ["a"]
    assert world.left() == []


async def test_a_look_at_the_pods_holds_no_worker_for_longer_than_an_exchange() -> None:
    world = await occupied()
    world.objects.budget = BUDGET
    await world.step()
    again = await world.controller.reconcile(Key("", NAME))
    assert again is not None
    assert 0 < again.seconds <= POLICY.drain_pause
