"""What is decided for each situation of a Machine, and what is never decided whatever it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.labels import INSTANCE_TYPE
from kaito.api.machine import FINALIZER
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.machine.cloud import (
    UNKNOWN,
    CloudFacts,
    Confirm,
    Destroy,
    Launch,
    Look,
    Refusal,
    Trouble,
)
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import (
    Decision,
    DeleteClaim,
    DeleteNode,
    Observation,
    PatchClaim,
    PatchNode,
    SetStatus,
)
from kaito.controllers.machine.useless import ANNOTATION
from kaito.provisioner import Absent, Pool, PoolState, node_request
from kaito.provisioner.claim import MACHINE, Claim
from kaito.provisioner.ownership import belongs_to
from test.unit.controllers.machine.world import (
    BUSY,
    NO_RIGHT,
    NO_ROOM,
    POLICY,
    POLL,
    START,
    WRONG,
    node_object,
)
from test.unit.provisioner.machines import A10, A100, BORN, NAME, machine, machine_object

NOW = START + 100.0
LAUNCHED = {"conditions": [{"type": "MachineLaunched", "status": "True"}], "providerID": ""}


def claimed(**changes: Any) -> Claim:
    """A Machine that has our finalizer."""
    plain = machine_object()["metadata"]
    metadata = {
        **plain,
        "finalizers": [FINALIZER],
        "labels": {**plain["labels"], INSTANCE_TYPE: A100},
        **changes.pop("metadata", {}),
    }
    return machine(metadata=metadata, **changes)


NEW = machine()
CLAIMED = claimed()
LIVING = claimed(status=LAUNCHED)
DYING = claimed(metadata={"deletionTimestamp": BORN})
DYING_LAUNCHED = claimed(metadata={"deletionTimestamp": BORN}, status=LAUNCHED)
RELEASED = machine(metadata={**machine_object()["metadata"], "deletionTimestamp": BORN})

OURS = Pool(
    name=NAME,
    state=PoolState.CREATING,
    said="Creating",
    instance_type=A100,
    labels=node_request(machine()).labels,
)
READY = replace(OURS, state=PoolState.READY, said="Succeeded")
GOING = replace(OURS, state=PoolState.DELETING, said="Deleting")
FAILED = replace(OURS, state=PoolState.FAILED, said="Failed", failure=NO_ROOM)
OF_ANOTHER_TYPE = replace(OURS, instance_type=A10)
FOREIGN = replace(READY, labels={"team": "blue"})
OLD = replace(READY, labels={**OURS.labels, "kaito.sh/launch-timestamp": "2025-12-31T12-00-00Z"})


def with_useless(*pools: str) -> Claim:
    """A claim for which these pools have been paid in vain."""
    ledger = {"generation": 1, "pools": dict.fromkeys(pools, "no Node came")}
    return claimed(metadata={"annotations": {ANNOTATION: json.dumps(ledger)}})


ENTERED = with_useless("")
STOPPED = with_useless("1", "2", "3")


def node(number: int = 0, **metadata: Any) -> Node:
    wire = node_object(number=number, labels=OURS.labels)
    wire["metadata"].update(metadata)
    return msgspec.convert(wire, Node)


OWNER = {
    "apiVersion": "karpenter.sh/v1alpha5",
    "kind": "Machine",
    "name": NAME,
    "uid": f"uid-{NAME}",
}
OWN: dict[str, Any] = {"finalizers": [FINALIZER], "ownerReferences": [OWNER]}
LEAVING = node(**OWN, deletionTimestamp=BORN)
SMALL = node(labels={**OURS.labels, INSTANCE_TYPE: A10})


def facts(pool: Any = UNKNOWN, *, age: float = 1.0, **more: Any) -> CloudFacts:
    return CloudFacts(pool=pool, at=NOW - age, **{"since": NOW - 10.0, **more})


def at(
    claim: Claim | None, cloud: CloudFacts | None = None, nodes: Iterable[Node] = ()
) -> Observation:
    return Observation(
        name=NAME,
        dialect=claim.dialect if claim else MACHINE,
        claim=claim,
        nodes=tuple(nodes),
        cloud=cloud or CloudFacts(),
        now=NOW,
    )


def gone(age: float = 1.0) -> CloudFacts:
    return facts(Absent(), age=age, confirmed=True)


def refused(*failures: Any, age: float = 1.0) -> CloudFacts:
    refusals = tuple(Refusal(A100, failure, NOW - age) for failure in failures)
    return facts(Absent(), refusals=refusals)


def troubled(pool: Any, failure: Any = BUSY) -> CloudFacts:
    return facts(pool, confirmed=True, trouble=Trouble(failure, NOW - 1.0))


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
]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "ask", "writes", "timer"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_decision(seen: Observation, ask: type | None, writes: list[type], timer: bool) -> None:
    decision = decide(seen, POLICY)
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
    assert len(step(decision, "MachineLaunched")[2]) == 800


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


MACHINES = st.sampled_from(
    [None, NEW, CLAIMED, ENTERED, STOPPED, LIVING, DYING, DYING_LAUNCHED, RELEASED]
)
POOLS: st.SearchStrategy[Any] = st.sampled_from(
    [UNKNOWN, Absent(), OURS, READY, GOING, FAILED, FOREIGN, OF_ANOTHER_TYPE]
    + [replace(READY, state=state) for state in PoolState]
)
FAILURES = st.sampled_from([BUSY, NO_RIGHT, NO_ROOM, WRONG])
NODES = st.lists(
    st.sampled_from([node(0), node(1), node(**OWN), LEAVING, node(1, deletionTimestamp=BORN)]),
    max_size=3,
)


@st.composite
def situations(draw: st.DrawFn) -> Observation:
    times = st.floats(0.0, 5000.0)
    cloud = CloudFacts(
        pool=draw(POOLS),
        at=NOW - draw(times),
        confirmed=draw(st.booleans()),
        refusals=tuple(
            Refusal(draw(st.sampled_from([A100, A10])), draw(FAILURES), NOW - draw(times))
            for _ in range(draw(st.integers(0, 3)))
        ),
        trouble=draw(st.none() | st.builds(Trouble, FAILURES, st.just(NOW - 1), st.integers(1, 9))),
    )
    return at(draw(MACHINES), cloud, draw(NODES))


@given(situations())
def test_in_no_situation_is_money_put_at_risk(seen: Observation) -> None:
    decision = decide(seen, POLICY)
    machine, pool = seen.claim, seen.cloud.pool
    assert decision.ask is None or not decision.writes
    assert decision.again is None or decision.again >= 0
    match decision.ask:
        case Launch():
            # Nothing is made that a crash could make us forget, or that nobody wants any more.
            assert machine is not None
            assert FINALIZER in machine.metadata.finalizers
            assert not machine.metadata.deleting
            assert isinstance(pool, Absent)
        case Destroy(doomed, _):
            assert machine is not None
            assert doomed == pool
            assert belongs_to(doomed.labels, machine)
    if machine is not None and FINALIZER in machine.metadata.finalizers:
        released = any(
            isinstance(write, PatchClaim) and "finalizers" in write.patch["metadata"]
            for write in decision.writes
        )
        if released:
            never_ours = isinstance(pool, Pool) and not belongs_to(pool.labels, machine)
            assert machine.metadata.deleting
            assert never_ours or (isinstance(pool, Absent) and seen.cloud.confirmed)


@given(situations())
def test_in_no_situation_is_a_machine_forgotten(seen: Observation) -> None:
    """Whoever is not done waits for a Node, for a time, for the cloud's answer, or for a person."""
    machine = seen.claim
    decision = decide(seen, POLICY)
    if machine is None or decision.ask is not None or decision.again is not None:
        return
    if machine.metadata.deleting and FINALIZER in machine.metadata.finalizers:
        # Only its own release, or that of its Nodes, may end a deletion without a timer.
        assert any(isinstance(write, PatchClaim | PatchNode) for write in decision.writes)
