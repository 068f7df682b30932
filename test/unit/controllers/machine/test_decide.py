"""What is decided for each situation of a claim."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from kaito.controllers.kinds import Node
from kaito.controllers.machine.cloud import (
    UNKNOWN,
    Confirm,
    Destroy,
    Launch,
    Look,
)
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import (
    Count,
    Decision,
    DeleteClaim,
    DeleteNode,
    DeletePod,
    Evict,
    Fleet,
    ListPods,
    Observation,
    PatchClaim,
    PatchNode,
    Policy,
    SetStatus,
    Tenancy,
)
from kaito.controllers.machine.kinds import Pod
from kaito.controllers.machine.launch import MAX_MESSAGE
from kaito.provisioner import Absent, PoolState
from kaito.runtime import rfc3339
from test.unit.controllers.machine.situations import (
    BROKEN,
    CLAIMED,
    CLOSED,
    DYING,
    DYING_LAUNCHED,
    ENTERED,
    FAILED,
    FOREIGN,
    GOING,
    LAUNCHED,
    LEAVING,
    LIVING,
    MATE,
    NEW,
    NOW,
    OF_ANOTHER_TYPE,
    OLD,
    OURS,
    OWN,
    READY,
    RELEASED,
    SMALL,
    STOPPED,
    STRANGER,
    THEIRS,
    UNSERVED,
    at,
    broken,
    claimed,
    claimed_nodeclaim,
    closed,
    facts,
    gone,
    node,
    refused,
    troubled,
)
from test.unit.controllers.machine.world import (
    BUSY,
    NO_RIGHT,
    NO_ROOM,
    POLICY,
    POLL,
    START,
    WRONG,
    pod_object,
)
from test.unit.provisioner.machines import BORN, machine

STALE = 1000.0

# Situation, what is seen, the question to the cloud, the writes, whether there is a timer.
TABLE: list[tuple[str, Observation, type | None, list[type], bool]] = [
    ("new", at(NEW), None, [PatchClaim], False),
    ("somebody else's", at(machine(metadata={"labels": {}})), None, [], False),
    ("claimed, cloud unknown", at(CLAIMED), Look, [], False),
    ("claimed, no pool", at(CLAIMED, facts(Absent())), Launch, [], False),
    ("claimed, no pool, long ago", at(CLAIMED, facts(Absent(), age=STALE)), Launch, [], False),
    ("pool being made", at(CLAIMED, facts(OURS)), None, [SetStatus], True),
    ("pool being made, not looked", at(CLAIMED, facts(OURS, age=STALE)), Look, [], False),
    ("pool being made, clock set back", at(CLAIMED, facts(OURS, age=-STALE)), Look, [], False),
    ("pool ready, no node", at(CLAIMED, facts(READY)), None, [SetStatus], True),
    ("pool of the wrong type", at(CLAIMED, facts(OF_ANOTHER_TYPE)), Destroy, [], False),
    ("pool failed", at(CLAIMED, facts(FAILED)), Destroy, [], False),
    ("pool failed long ago", at(CLAIMED, facts(FAILED, age=STALE)), Look, [], False),
    ("pool without a node for too long", at(CLAIMED, facts(READY, since=0.0)), None,
     [PatchClaim], False),
    ("pool in the making for too long", at(CLAIMED, facts(OURS, since=0.0)), None,
     [PatchClaim], False),
    ("pool without a node, entered", at(ENTERED, facts(READY, since=0.0)), Destroy, [], False),
    ("pool without a node, launched long ago", at(CLAIMED, facts(OLD)), None,
     [PatchClaim], False),
    ("three useless pools, none left", at(STOPPED, facts(Absent())), None, [SetStatus], False),
    ("three useless pools, cloud unknown", at(STOPPED), Look, [], False),
    ("node of the wrong type", at(CLAIMED, facts(READY), [SMALL]), None, [SetStatus], False),
    ("pool failed, and is busy", at(CLAIMED, troubled(FAILED)), None, [SetStatus], True),
    ("old pool going", at(CLAIMED, facts(GOING)), None, [SetStatus], True),
    ("foreign pool", at(CLAIMED, facts(FOREIGN)), None, [SetStatus], True),
    ("foreign pool, much later", at(CLAIMED, facts(FOREIGN, age=STALE)), Look, [], False),
    ("no room anywhere", at(CLAIMED, refused(NO_ROOM)), None, [SetStatus], True),
    ("no room, much later", at(CLAIMED, refused(NO_ROOM, age=STALE)), Launch, [], False),
    ("no right", at(CLAIMED, refused(NO_RIGHT)), None, [SetStatus], True),
    ("no right, much later", at(CLAIMED, refused(NO_RIGHT, age=STALE)), Launch, [], False),
    ("busy a moment ago", at(CLAIMED, refused(BUSY)), None, [SetStatus], True),
    ("busy a poll ago", at(CLAIMED, refused(BUSY, age=POLL)), Launch, [], False),
    ("wrong request", at(CLAIMED, refused(WRONG)), None, [SetStatus], False),
    ("wrong request, much later", at(CLAIMED, refused(WRONG, age=STALE)), None, [SetStatus], False),
    ("cloud silent", at(CLAIMED, troubled(UNKNOWN)), None, [SetStatus], True),
    ("node joined", at(CLAIMED, facts(READY), [node()]), None, [PatchNode, SetStatus], False),
    ("node before the pool is done", at(CLAIMED, facts(OURS), [node()]), None,
     [PatchNode, SetStatus], False),
    ("node of a failed pool", at(CLAIMED, facts(FAILED), [node()]), None,
     [PatchNode, SetStatus], False),
    ("several nodes joined for long", at(CLAIMED, facts(READY, since=0.0), [node(0), node(1)]),
     None, [SetStatus], False),
    ("several nodes", at(LIVING, None, [node(0), node(1)]), None, [SetStatus], False),
    ("launched, after a restart", at(LIVING, None, [node()]), None, [PatchNode, SetStatus], False),
    ("launched, node gone", at(LIVING), Confirm, [], False),
    ("launched, node gone, pool there", at(LIVING, facts(READY, confirmed=True)), None,
     [SetStatus], True),
    ("launched, pool gone from a list", at(LIVING, facts(Absent())), Confirm, [], False),
    ("launched, pool gone", at(LIVING, gone()), None, [DeleteClaim], False),
    ("node being deleted", at(LIVING, None, [LEAVING]), Confirm, [], False),
    ("node deleted, pool healthy", at(LIVING, facts(READY), [LEAVING]), None,
     [DeleteClaim], False),
    ("node deleted, pool known from before it was ready", at(LIVING, facts(OURS), [LEAVING]),
     Confirm, [], False),
    ("node deleted, pool stopped",
     at(LIVING, facts(replace(READY, state=PoolState.STOPPED)), [LEAVING]), None,
     [PatchNode], False),
    ("node deleted, pool upgrading",
     at(LIVING, facts(replace(READY, state=PoolState.UPDATING)), [LEAVING]), None,
     [PatchNode], False),
    ("deleting, released already", at(RELEASED), None, [], False),
    ("deleting, cloud unknown", at(DYING), Confirm, [], False),
    ("deleting, absent from a list", at(DYING, facts(Absent())), Confirm, [], False),
    ("deleting, pool there", at(DYING, facts(READY)), Destroy, [], False),
    ("deleting, pool being made", at(DYING, facts(OURS)), Destroy, [], False),
    ("deleting, pool failed", at(DYING, facts(FAILED)), Destroy, [], False),
    ("deleting, pool busy", at(DYING, troubled(OURS)), None, [SetStatus], True),
    ("deleting, pool going", at(DYING, facts(GOING, confirmed=True), [node(**OWN)]), None,
     [DeleteNode, SetStatus], True),
    ("deleting, pool gone, node held", at(DYING, gone(), [LEAVING]), None, [PatchNode], True),
    ("deleting, pool gone, node not deleted", at(DYING, gone(), [node(**OWN)]), None,
     [DeleteNode], True),
    ("deleting, pool gone", at(DYING, gone()), None, [PatchClaim], False),
    ("deleting, foreign pool", at(DYING, facts(FOREIGN)), None, [PatchClaim], False),
    ("deleting, foreign pool, foreign node", at(DYING, facts(FOREIGN), [node()]), None,
     [PatchClaim], False),
    ("deleting, robbed pool", at(DYING_LAUNCHED, facts(FOREIGN, confirmed=True)), None,
     [SetStatus], True),
    ("no machine", at(None), None, [], False),
    ("no machine, node living", at(None, None, [node(**OWN)]), None, [], False),
    ("no machine, node leaving", at(None, None, [LEAVING]), Confirm, [], False),
    ("no machine, node leaving, pool there", at(None, facts(READY), [LEAVING]), None, [], True),
    ("no machine, node leaving, pool gone", at(None, gone(), [LEAVING]), None, [PatchNode], False),
    ("no machine, node leaving, pool gone, a mate is there",
     at(None, gone(), [LEAVING], mates=(MATE,)), None, [], False),
    ("no machine, node leaving, pool gone, a stranger names it",
     at(None, gone(), [LEAVING], mates=(STRANGER,)), None, [PatchNode], False),
    ("no machine, node leaving, pool gone, another provider's claim names it",
     at(None, gone(), [LEAVING], mates=(UNSERVED,)), None, [PatchNode], False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "ask", "writes", "timer"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_decision(seen: Observation, ask: type | None, writes: list[type], timer: bool) -> None:
    decision = decide(seen, POLICY)
    assert (None if decision.ask is None else type(decision.ask)) is ask
    assert [kind for kind in map(type, decision.writes) if kind.__name__ != "Tell"] == writes
    assert (decision.again is not None) is timer


POD = msgspec.convert(pod_object("a"), Pod)
EXPIRING, REPAIRING = replace(POLICY, expire=True), replace(POLICY, repair=True)
MORTAL = claimed_nodeclaim(spec={"expireAfter": "1m"})
YOUNG = claimed_nodeclaim(spec={"expireAfter": "1h"})
WORKING = claimed(
    status={
        "conditions": [
            {"type": type_, "status": "True"}
            for type_ in ("MachineLaunched", "MachineRegistered", "MachineInitialized")
        ]
    }
)
ALONE = Fleet(claims=1, unhealthy=1, leaving=0)
TROUBLED = Fleet(claims=9, unhealthy=5, leaving=0)
LEAVING_FLEET = Fleet(claims=9, unhealthy=0, leaving=1)


def on_it(*pods: Pod, age: float = 0.0) -> Tenancy:
    return Tenancy(pods=pods, at=NOW - age, refused={})


def emptying(node: Node, tenancy: Tenancy | None = None, now: float = NOW) -> Observation:
    """A claim that is being deleted, with a Node in its pool."""
    return at(DYING, facts(READY), [node], tenancy=tenancy, now=now)


# The same, with what has been chosen.
ENDS: list[tuple[str, Policy, Observation, type | None, list[type], bool]] = [
    ("node open", POLICY, emptying(node(**OWN)), None, [PatchNode], True),
    ("node closed, nobody has looked", POLICY, emptying(CLOSED), ListPods, [], False),
    ("node closed, looked long ago", POLICY, emptying(CLOSED, on_it(age=STALE)), ListPods, [],
     False),
    ("somebody there", POLICY, emptying(CLOSED, on_it(POD)), None, [Evict, SetStatus], True),
    ("nobody there", POLICY, emptying(CLOSED, on_it()), Destroy, [], False),
    ("time nearly up", POLICY, emptying(CLOSED, Tenancy(pods=(POD,), at=START + 3590, refused={}),
                                        START + 3590), None, [DeletePod, SetStatus], True),
    ("time up", POLICY, emptying(node(**OWN), None, START + 3600), Destroy, [], False),
    ("leaving node", POLICY, emptying(closed(deletionTimestamp=BORN), on_it()), Destroy, [], False),
    ("expired, not chosen", POLICY, at(MORTAL), Look, [], False),
    ("expired", EXPIRING, at(MORTAL), Count, [], False),
    ("expired, alone", EXPIRING, at(MORTAL, fleet=ALONE), None, [DeleteClaim], False),
    ("expired, others go", EXPIRING, at(MORTAL, fleet=LEAVING_FLEET), None, [], True),
    ("not expired, nothing to do", EXPIRING, at(YOUNG, facts(THEIRS)), None, [SetStatus], True),
    ("broken, not chosen", POLICY, at(WORKING, None, [BROKEN]), None, [SetStatus], False),
    ("broken", REPAIRING, at(WORKING, None, [BROKEN]), Count, [], False),
    ("broken, alone", REPAIRING, at(WORKING, None, [BROKEN], fleet=ALONE), None,
     [DeleteClaim, PatchClaim], False),
    ("broken like others", REPAIRING, at(WORKING, None, [BROKEN], fleet=TROUBLED), None, [], True),
    ("broken just now", REPAIRING, at(WORKING, None, [broken(NOW)]), None, [SetStatus], True),
    ("broken, never worked", REPAIRING, at(LIVING, None, [BROKEN]), None, [SetStatus], False),
    ("nodeclaim, a machine's pool", POLICY, at(claimed_nodeclaim(), facts(READY)), None,
     [SetStatus], True),
    ("machine, a nodeclaim's pool", POLICY, at(CLAIMED, facts(THEIRS)), None, [SetStatus], True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "seen", "ask", "writes", "timer"), [r[1:] for r in ENDS], ids=[r[0] for r in ENDS]
)
def test_end(
    policy: Policy, seen: Observation, ask: type | None, writes: list[type], timer: bool
) -> None:
    decision = decide(seen, policy)
    assert (None if decision.ask is None else type(decision.ask)) is ask
    assert [kind for kind in map(type, decision.writes) if kind.__name__ != "Tell"] == writes
    assert (decision.again is not None) is timer


@pytest.mark.parametrize("left", [node(**OWN), LEAVING], ids=["not deleted", "held"])
def test_a_node_that_the_cache_holds_on_to_is_not_let_go_in_a_storm(left: Node) -> None:
    # A write to a Node that is gone already brings no event; the cache may be far behind.
    assert decide(at(DYING, gone(), [left]), POLICY).again == POLL


def step(decision: Decision, type_: str) -> tuple[str, str, str]:
    [status] = [write.status for write in decision.writes if isinstance(write, SetStatus)]
    found = next(c for c in status["conditions"] if c["type"] == type_)
    return found["status"], found["reason"], found["message"]


def test_ready_repeats_the_first_step_that_is_missing() -> None:
    decision = decide(at(CLAIMED, facts(OURS)), POLICY)
    assert step(decision, "MachineLaunched") == step(decision, "Ready")
    assert step(decision, "MachineLaunched")[:2] == ("Unknown", "Launching")
    assert step(decision, "MachineRegistered")[:2] == ("False", "MachineNotLaunched")
    assert step(decision, "MachineInitialized")[:2] == ("False", "MachineNotLaunched")


def test_a_message_is_never_longer_than_tools_expect() -> None:
    long = replace(NO_ROOM, message="x" * 5000)
    decision = decide(at(CLAIMED, refused(long)), POLICY)
    assert len(step(decision, "MachineLaunched")[2]) == MAX_MESSAGE


def test_an_unchanged_status_is_not_written_again() -> None:
    seen = at(CLAIMED, facts(OURS))
    [write] = decide(seen, POLICY).writes
    assert isinstance(write, SetStatus)
    told = claimed(status=write.status)
    assert decide(replace(seen, claim=told), POLICY).writes == ()


def test_a_tenth_of_the_time_waited_so_far_is_the_pace_of_looking() -> None:
    old = replace(at(CLAIMED, facts(OURS)), now=START + 10_000)
    fresh = replace(old, cloud=replace(old.cloud, at=START + 9_999, since=START + 9_000))
    assert decide(fresh, POLICY).again == pytest.approx(20 * POLL - 1)
    young = replace(at(CLAIMED, facts(OURS)), now=NOW)
    assert decide(young, POLICY).again == pytest.approx(POLL - 1)


def test_the_second_node_of_an_upgrade_changes_nothing() -> None:
    bound = claimed(status={**LAUNCHED, "providerID": node(0).spec.provider_id})
    decision = decide(at(bound, None, [node(0), node(1)]), POLICY)
    assert [w.name for w in decision.writes if isinstance(w, PatchNode)] == [node(0).name]


def test_a_pool_that_does_not_go_says_since_when_and_what_to_do() -> None:
    stuck = replace(GOING, remedy="stop it")
    young = at(DYING_LAUNCHED, facts(stuck, confirmed=True))
    assert step(decide(young, POLICY), "Ready")[2] == (
        f"Agent pool {GOING.name} is being deleted (Deleting)."
    )
    old = at(DYING_LAUNCHED, facts(stuck, confirmed=True, since=NOW - 1800.0))
    assert step(decide(old, POLICY), "Ready")[2].endswith(
        f" That has lasted since {rfc3339(NOW - 1800.0)} at least. If it does not go, stop it."
    )


def test_a_pool_of_somebody_else_is_looked_at_again_and_that_is_said() -> None:
    decision = decide(at(CLAIMED, facts(FOREIGN)), POLICY)
    said = step(decision, "MachineLaunched")[2]
    assert said.endswith(" KAITO tries again every 10 minutes.")
    assert ".." not in said
