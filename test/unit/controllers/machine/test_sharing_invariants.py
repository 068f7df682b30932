"""What is never decided about a pool that claims share, whatever is seen of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kaito.api.machine import FINALIZER
from kaito.controllers.kinds import Node
from kaito.controllers.machine.cloud import (
    UNKNOWN,
    CloudFacts,
    Confirm,
    DeleteMachine,
    Destroy,
    Launch,
    Refusal,
    Resize,
    Trouble,
)
from kaito.controllers.machine.decide import decide
from kaito.controllers.machine.decision import (
    DeleteNode,
    Host,
    Observation,
    PatchClaim,
    PatchNode,
    Tenancy,
)
from kaito.controllers.machine.drain import is_closed
from kaito.provisioner import Absent, Pool, PoolMachine, PoolState, node_request
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import SHAPE, SHARED
from kaito.provisioner.sharing import POOL, shape_of
from test.unit.controllers.machine.situations import FOREIGN, NOW, at, claimed
from test.unit.controllers.machine.world import (
    BUSY,
    NO_POOLS,
    NO_ROOM,
    POLICY,
    machine,
    node_object,
)
from test.unit.provisioner.machines import A100, BORN, NAME
from test.unit.provisioner.machines import machine as plain

REQUEST = node_request(plain(), POLICY.cluster)
LABELS = {**REQUEST.labels, SHAPE: shape_of(REQUEST)}
NUMBERS = range(4)
OWNERS = {"": "", NAME: f"uid-{NAME}", "wsb": "uid-wsb", "wsc": "uid-wsc", "dead": "uid-dead"}


def member(name: str, number: int | None = None, *, dying: bool = False) -> Claim:
    """A claim of the pool NAME, whose Node came from the machine of that number."""
    metadata: dict[str, Any] = {"name": name, "uid": OWNERS[name]}
    if name != NAME:
        metadata["annotations"] = {POOL: NAME}
    if dying:
        metadata["deletionTimestamp"] = BORN
    status: dict[str, Any] = {}
    if number is not None:
        status["providerID"] = machine(NAME, number).provider_id
        status["conditions"] = [{"type": "MachineLaunched", "status": "True"}]
    return claimed(metadata=metadata, status=status)


def joined(number: int, owner: str, *, leaving: bool) -> Node:
    """A Node of the pool, owned by the claim of that name."""
    wire = node_object(NAME, number, LABELS)
    if owner:
        wire["metadata"]["finalizers"] = [FINALIZER]
        wire["metadata"]["ownerReferences"] = [
            {
                "apiVersion": "karpenter.sh/v1alpha5",
                "kind": "Machine",
                "name": owner,
                "uid": OWNERS[owner],
            }
        ]
    if leaving:
        wire["metadata"]["deletionTimestamp"] = BORN
    return msgspec.convert(wire, Node)


@st.composite
def situations(draw: st.DrawFn) -> Observation:
    names = [NAME, "wsb", "wsc"]
    numbers = draw(st.permutations([None, None, *NUMBERS]))
    claims = [
        member(name, number, dying=draw(st.booleans()))
        for name, number in zip(names, numbers, strict=False)
    ]
    me = claims.pop(draw(st.integers(0, 2)))
    settled = [PoolState.READY, PoolState.READY, PoolState.FAILED]
    state = draw(st.sampled_from([*PoolState, *settled, *settled]))
    pool = Pool(
        name=NAME,
        state=state,
        said=state,
        instance_type=A100,
        labels={**LABELS, **draw(st.sampled_from([{}, {SHARED: "true"}]))},
        failure=NO_ROOM if state is PoolState.FAILED else None,
        count=draw(st.integers(0, 4)),
    )
    nodes = [
        joined(number, draw(st.sampled_from(list(OWNERS))), leaving=draw(st.booleans()))
        for number in draw(st.sets(st.sampled_from(list(NUMBERS))))
    ]
    there = draw(st.sampled_from([None, *[set(range(each)) for each in range(5)], {1, 3}, {2}]))
    machines = None if there is None else tuple(machine(NAME, each) for each in sorted(there))
    known: Any = draw(st.sampled_from([*[pool] * 9, Absent(), UNKNOWN, FOREIGN]))
    failures = st.sampled_from([BUSY, NO_ROOM, NO_POOLS])
    cloud = CloudFacts(
        pool=known,
        at=NOW - draw(st.sampled_from([0.0, 0.0, 1.0, 5000.0])),
        since=NOW - draw(st.sampled_from([1.0, 500.0, 5000.0])),
        confirmed=draw(st.booleans()),
        refusals=tuple(Refusal(A100, f, NOW - 700.0) for f in draw(st.lists(failures, max_size=1))),
        trouble=Trouble(draw(failures), NOW - 1) if draw(st.integers(0, 5)) == 0 else None,
        machines=machines,
        crowd=draw(st.integers(0, 100)),
    )
    live = draw(st.none() | st.lists(st.sampled_from(claims), unique_by=id).map(tuple))
    seen = at(
        me,
        cloud,
        nodes,
        mates=tuple(claims),
        live=live,
        hosts=draw(st.none() | st.just((Host(pool, 1),))),
        tenancy=draw(st.none() | st.just(Tenancy(pods=(), at=NOW, refused={}))),
    )
    return replace(seen, name=me.metadata.name)


def is_others(seen: Observation, doomed: PoolMachine) -> bool:
    """Whether another claim that is there has the machine."""
    assert seen.live is not None
    uids = {claim.metadata.uid for claim in seen.live}
    taken = any(
        doomed.behind(node.spec.provider_id) and node.claim_owners & uids for node in seen.nodes
    )
    return taken or any(doomed.behind(claim.status.provider_id) for claim in seen.live)


@settings(max_examples=400)
@given(situations())
def test_in_no_situation_does_anybody_lose_anothers_machine(seen: Observation) -> None:
    decision, claim, pool = decide(seen, POLICY), seen.claim, seen.cloud.pool
    assert claim is not None
    assert decision.ask is None or not decision.writes
    assert decision.again is None or decision.again >= 0
    match decision.ask:
        case Launch(request):
            assert isinstance(pool, Absent)
            assert request.name == claim.metadata.name
            assert not claim.metadata.deleting
        case Resize(_, count):
            assert not claim.metadata.deleting
            assert seen.cloud.machines is not None
            assert len(seen.cloud.machines) <= count <= len(seen.cloud.machines) + 3
            assert isinstance(pool, Pool)
            assert pool.state in {PoolState.READY, PoolState.FAILED}
        case DeleteMachine(_, doomed):
            assert not is_others(seen, doomed)
            for node in seen.nodes:
                # Nobody can take it between this decision and the call.
                its = doomed.behind(node.spec.provider_id)
                own = claim.metadata.uid in node.claim_owners or its_own(claim, doomed)
                assert not its or own or node.claim_owners or node.deleting or is_closed(node)
        case Destroy():
            others = seen.live if claim.metadata.deleting else ()
            assert others == () or seen.cloud.machines == () or pool_is_new(pool)


def its_own(claim: Claim, doomed: PoolMachine) -> bool:
    return doomed.behind(claim.status.provider_id)


def pool_is_new(pool: object) -> bool:
    """Whether nobody can have a Node of it yet."""
    return isinstance(pool, Pool) and pool.state is PoolState.CREATING


@given(situations())
def test_in_no_situation_does_a_node_go_that_another_claim_has(seen: Observation) -> None:
    assert seen.claim is not None
    others = {claim.metadata.uid for claim in seen.mates}
    if seen.live is not None:
        others &= {claim.metadata.uid for claim in seen.live}
    owners = {node.name: node.claim_owners & others for node in seen.nodes}
    for write in decide(seen, POLICY).writes:
        if isinstance(write, DeleteNode | PatchNode):
            assert not owners[write.name] - {seen.claim.metadata.uid}


@given(situations())
def test_a_claim_is_let_go_only_without_a_machine(seen: Observation) -> None:
    decision, claim, cloud = decide(seen, POLICY), seen.claim, seen.cloud
    assert claim is not None
    released = any(
        isinstance(write, PatchClaim) and "finalizers" in write.patch["metadata"]
        for write in decision.writes
    )
    if not released:
        return
    assert claim.metadata.deleting
    mine = claim.status.provider_id
    if pool_is_new(cloud.pool) and not mine:
        # The one machine that is being made is for one of those who stay.
        assert seen.live
    elif isinstance(cloud.pool, Pool) and cloud.pool.labels != FOREIGN.labels:
        assert seen.live
        if not mine and cloud.pool.count <= len(seen.live):
            return  # there is none that was made for it
        assert cloud.machines is not None
        left = [each for each in cloud.machines if each.behind(mine)]
        assert all(is_others(seen, each) for each in left)
    else:
        assert isinstance(cloud.pool, Pool) or cloud.confirmed


@given(situations())
def test_two_claims_never_take_one_node(seen: Observation) -> None:
    """As long as they see the same."""
    assert seen.claim is not None
    claims = [seen.claim, *seen.mates]
    taken: list[str] = []
    for each in claims:
        others = tuple(claim for claim in claims if claim is not each)
        view = replace(seen, name=each.metadata.name, claim=each, mates=others, live=None)
        writes = [write for write in decide(view, POLICY).writes if isinstance(write, PatchNode)]
        taken += [w.name for w in writes if "ownerReferences" in w.patch["metadata"]]
    assert len(taken) == len(set(taken))


SHARED_POOL = Pool(
    name=NAME,
    state=PoolState.READY,
    said="Succeeded",
    instance_type=A100,
    labels={**LABELS, SHARED: "true"},
)


def waiting_for(count: int, *numbers: int) -> Observation:
    """A guest without a Node; the host has the one of machine 0."""
    cloud = CloudFacts(
        pool=replace(SHARED_POOL, count=count),
        at=NOW,
        since=NOW,
        machines=tuple(machine(NAME, number) for number in numbers),
    )
    nodes = [joined(0, NAME, leaving=False)]
    return replace(at(member("wsb"), cloud, nodes), name="wsb", mates=(member(NAME, 0),))


def test_a_pool_grows_by_those_who_have_none() -> None:
    assert decide(waiting_for(1, 0), POLICY).ask == Resize(SHARED_POOL, 2)
    assert decide(waiting_for(2, 0), POLICY).ask is None


def test_a_pool_is_never_given_fewer_machines_than_it_has() -> None:
    assert decide(waiting_for(1, 0, 1, 2), POLICY).ask == Resize(SHARED_POOL, 3)


def test_a_pool_that_is_missing_is_looked_for_and_never_made_under_its_hosts_name() -> None:
    missing = CloudFacts(pool=Absent(), at=NOW, since=NOW)
    guest = replace(waiting_for(1), cloud=missing)
    assert decide(guest, POLICY).ask == Confirm()
    troubled = replace(guest, cloud=replace(missing, trouble=Trouble(BUSY, NOW - 1)))
    assert decide(troubled, POLICY).ask is None
    sure = decide(replace(guest, cloud=replace(missing, confirmed=True)), POLICY)
    [moving] = [write for write in sure.writes if isinstance(write, PatchClaim)]
    assert moving.patch["metadata"]["annotations"] == {POOL: None}
