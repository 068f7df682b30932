"""What is never decided, whatever is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.machine import FINALIZER
from kaito.controllers.machine.cloud import (
    UNKNOWN,
    CloudFacts,
    Destroy,
    Launch,
    Refusal,
    Trouble,
)
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import (
    DeleteClaim,
    DeletePod,
    Evict,
    Fleet,
    Observation,
    PatchClaim,
    PatchNode,
    Policy,
    Tenancy,
)
from kaito.controllers.machine.drain import deadline, staying
from kaito.controllers.machine.kinds import Pod
from kaito.provisioner import Absent, Pool, PoolState
from kaito.provisioner.ownership import belongs_to
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
    LEAVING,
    LIVING,
    NEW,
    NOW,
    OF_ANOTHER_TYPE,
    OURS,
    OWN,
    READY,
    RELEASED,
    STOPPED,
    THEIRS,
    at,
    claimed_nodeclaim,
    node,
)
from test.unit.controllers.machine.world import (
    BUSY,
    NO_RIGHT,
    NO_ROOM,
    POLICY,
    WRONG,
    pod_object,
)
from test.unit.provisioner.machines import A10, A100, BORN, nodeclaim

CLAIM = claimed_nodeclaim()
DYING_CLAIM = claimed_nodeclaim(metadata={"deletionTimestamp": BORN})
HURRIED_CLAIM = claimed_nodeclaim(
    metadata={"deletionTimestamp": BORN}, spec={"terminationGracePeriod": "50s"}
)
CLAIMS = st.sampled_from(
    [
        *(None, NEW, CLAIMED, ENTERED, STOPPED, LIVING, DYING, DYING_LAUNCHED, RELEASED),
        *(nodeclaim(), CLAIM, DYING_CLAIM, HURRIED_CLAIM),
    ]
)
CHOICES = st.builds(
    replace, st.just(POLICY), expire=st.booleans(), repair=st.booleans(), most_useless=st.just(3)
)
POOLS: st.SearchStrategy[Any] = st.sampled_from(
    [UNKNOWN, Absent(), OURS, READY, GOING, FAILED, FOREIGN, OF_ANOTHER_TYPE, THEIRS]
    + [replace(READY, state=state) for state in PoolState]
)
PODS = st.lists(
    st.sampled_from(
        [
            msgspec.convert(pod_object("a"), Pod),
            msgspec.convert(pod_object("b", terminationGracePeriodSeconds=600), Pod),
            msgspec.convert(pod_object("c", tolerations=[{"operator": "Exists"}]), Pod),
            msgspec.convert(pod_object("d", metadata={"deletionTimestamp": BORN}), Pod),
        ]
    ),
    max_size=3,
    unique_by=lambda pod: pod.key,
)
TENANCIES = st.none() | st.builds(
    Tenancy, pods=PODS.map(tuple), at=st.sampled_from([NOW, NOW - 1000.0]), refused=st.just({})
)
FLEETS = st.none() | st.builds(
    Fleet, claims=st.integers(0, 20), unhealthy=st.integers(0, 9), leaving=st.integers(0, 9)
)
FAILURES = st.sampled_from([BUSY, NO_RIGHT, NO_ROOM, WRONG])
NODES = st.lists(
    st.sampled_from(
        [node(0), node(1), node(**OWN), LEAVING, node(1, deletionTimestamp=BORN), BROKEN, CLOSED]
    ),
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
    more = {"tenancy": draw(TENANCIES), "fleet": draw(FLEETS)}
    now = NOW + draw(st.sampled_from([0.0, 3000.0, 60 * 86400.0]))
    return at(draw(CLAIMS), cloud, draw(NODES), now=now, **more)


@given(situations(), CHOICES)
def test_in_no_situation_is_money_put_at_risk(seen: Observation, policy: Policy) -> None:
    decision = decide(seen, policy)
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


@given(situations(), CHOICES)
def test_in_no_situation_is_anybody_put_out_for_no_reason(
    seen: Observation, policy: Policy
) -> None:
    """Who is on a Node is asked to leave only when the claim goes; the pool goes after them."""
    decision = decide(seen, policy)
    claim = seen.claim
    if any(isinstance(write, Evict | DeletePod) for write in decision.writes):
        assert claim is not None
        assert claim.metadata.deleting
        assert isinstance(seen.cloud.pool, Pool)
        assert belongs_to(seen.cloud.pool.labels, claim)
    if isinstance(decision.ask, Destroy) and claim is not None and claim.metadata.deleting:
        emptied = seen.tenancy is not None and not staying(seen.tenancy.pods, seen.now)
        assert not seen.nodes or emptied or seen.now >= deadline(claim, policy)
    if any(isinstance(write, DeleteClaim) for write in decision.writes) and seen.fleet is not None:
        assert policy.expire or policy.repair or seen.cloud.confirmed or seen.nodes


@given(situations(), CHOICES)
def test_in_no_situation_is_a_claim_forgotten(seen: Observation, policy: Policy) -> None:
    """Whoever is not done waits for a Node, for a time, for the cloud's answer, or for a person."""
    machine = seen.claim
    decision = decide(seen, policy)
    if machine is None or decision.ask is not None or decision.again is not None:
        return
    if machine.metadata.deleting and FINALIZER in machine.metadata.finalizers:
        # Only its own release, or that of its Nodes, may end a deletion without a timer.
        assert any(isinstance(write, PatchClaim | PatchNode) for write in decision.writes)
