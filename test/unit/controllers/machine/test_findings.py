"""What is left over is found, what may not be touched is told apart; too much stops the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kaito.controllers.kinds import Node
from kaito.controllers.machine.findings import (
    Finding,
    Identity,
    Inventory,
    Kind,
    Place,
    judge,
    most_at_once,
    weigh,
)
from kaito.provisioner import Pool, PoolState, node_request
from kaito.provisioner.aks.provider_id import pool_of
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import LAUNCHED
from kaito.provisioner.sharing import POOL
from test.unit.controllers.machine.world import node_object
from test.unit.provisioner.machines import A100, machine, nodeclaim

HERE = "4f1c"
PLACE = Place(cluster=HERE, pool_label="agentpool", pool_of=pool_of)
KINDS = frozenset({"Machine", "NodeClaim"})
OURS = Pool(
    name="ws1",
    state=PoolState.READY,
    said="Succeeded",
    instance_type=A100,
    labels=node_request(machine("ws1"), HERE).labels,
)
UNPROVEN = replace(OURS, name="ws2", labels={"kaito.sh/workspace": "phi"})
FOREIGN = replace(OURS, name="system", labels={"team": "blue"})
GOING = replace(OURS, name="ws3", state=PoolState.DELETING)


def found(
    *pools: Pool,
    claims: tuple[Claim, ...] = (),
    nodes: tuple[Node, ...] = (),
    kinds: frozenset[str] = KINDS,
    place: Place = PLACE,
    at_home: bool = True,
) -> dict[str, Finding]:
    seen = Inventory(pools=pools, claims=claims, nodes=nodes, kinds=kinds, at_home=at_home)
    return {each.name: each for each in judge(seen, place)}


def node(pool: str = "ws1", *, ready: bool = False, labels: Any = None) -> Node:
    wire = node_object(pool, labels=OURS.labels if labels is None else labels)
    wire["status"]["conditions"] = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    return msgspec.convert(wire, Node)


def launched(name: str = "ws1", **metadata: Any) -> Claim:
    provider_id = node_object(name)["spec"]["providerID"]
    return machine(name, status={"providerID": provider_id}, metadata=metadata)


def test_a_pool_without_a_claim_is_left_over() -> None:
    finding = found(OURS)["ws1"]
    assert finding.proven
    assert finding.kind is Kind.POOL
    assert "kaito.sh/workspace=phi" in finding.proof


def test_a_pool_with_a_claim_is_not() -> None:
    assert found(OURS, claims=(machine("ws1"),)) == {}


def test_a_claim_that_is_not_ours_keeps_the_pool_of_its_name() -> None:
    assert found(OURS, claims=(machine("ws1", metadata={"labels": {}}),)) == {}


def test_a_pool_with_guests_is_not_left_over_when_its_own_claim_is_gone() -> None:
    guest = machine("ws9", metadata={"annotations": {POOL: "ws1"}})
    assert found(OURS, claims=(guest,)) == {}


def test_a_pool_in_which_a_claim_lives_is_not_left_over_whatever_the_claim_says() -> None:
    provider_id = node_object("ws1")["spec"]["providerID"]
    stray = machine("ws9", status={"providerID": provider_id})
    assert found(OURS, claims=(stray,)) == {}


def test_what_is_not_proven_says_what_is_missing() -> None:
    assert "do not prove" in found(UNPROVEN)["ws2"].missing


def test_what_was_never_ours_or_is_going_is_no_finding() -> None:
    assert found(FOREIGN, GOING) == {}


def test_a_pool_of_another_cluster_is_not_proven() -> None:
    finding = found(OURS, place=replace(PLACE, cluster="another"))["ws1"]
    assert "another cluster" in finding.missing


def test_a_pool_of_a_kind_that_the_cluster_does_not_know_is_not_proven() -> None:
    finding = found(OURS, kinds=frozenset({"NodeClaim"}))["ws1"]
    assert "no Machine definition" in finding.missing


def test_a_pool_of_a_nodeclaim_without_kaito_labels_is_found_by_its_class() -> None:
    labels = node_request(nodeclaim("ws1", metadata={"labels": {}}), HERE).labels
    assert found(replace(OURS, labels=labels))["ws1"].proven


def test_a_claim_whose_pool_is_gone_is_left_over() -> None:
    finding = found(claims=(launched(),))["ws1"]
    assert finding.kind is Kind.CLAIM
    assert finding.proven
    assert finding.identity.mark == "uid-ws1"


def test_a_claim_whose_node_is_ready_is_believed_more_than_the_list() -> None:
    finding = found(claims=(launched(),), nodes=(node(ready=True),))["ws1"]
    assert not finding.proven


MADE_HERE = replace(OURS, labels={**OURS.labels, LAUNCHED: "2026-01-01T00-00-05Z"})
LOST = launched("ws9")


def test_pools_of_another_cluster_say_nothing_of_a_claim_or_a_node_here() -> None:
    """As when the settings name another cluster, in which pools were made for this one since."""
    lonely = node("ws8", labels=OURS.labels)
    for pools in ((), (FOREIGN,), (MADE_HERE,)):
        told = found(*pools, claims=(LOST, machine("ws1")), nodes=(lonely,), at_home=False)
        assert "the settings" in told["ws9"].missing
        assert "the settings" in told[lonely.name].missing


def test_a_pool_that_has_a_node_here_shows_whose_list_it_is() -> None:
    joined = node(labels=MADE_HERE.labels)
    told = found(MADE_HERE, claims=(LOST, machine("ws1")), nodes=(joined,), at_home=False)
    assert told["ws9"].proven


def test_a_pool_of_the_same_name_that_was_made_at_another_time_does_not() -> None:
    other = {**MADE_HERE.labels, LAUNCHED: "2026-01-01T00-00-06Z"}
    for labels in (other, OURS.labels):
        joined = node(labels=labels)
        told = found(MADE_HERE, claims=(LOST, machine("ws1")), nodes=(joined,), at_home=False)
        assert not told["ws9"].proven
        told = found(OURS, claims=(LOST, machine("ws1")), nodes=(joined,), at_home=False)
        assert not told["ws9"].proven


def test_a_claim_that_waits_for_its_node_or_is_going_is_no_finding() -> None:
    born = "2026-01-01T00:00:00Z"
    assert found(claims=(machine("ws1"), launched("ws2", deletionTimestamp=born))) == {}


def test_a_claim_of_another_provider_is_no_finding() -> None:
    assert found(claims=(launched(labels={}),)) == {}


def test_a_node_with_neither_claim_nor_pool_is_left_over() -> None:
    finding = next(iter(found(nodes=(node(),)).values()))
    assert finding.kind is Kind.NODE
    assert finding.proven


def test_a_node_goes_with_its_pool_and_is_no_finding_of_its_own() -> None:
    assert [each.kind for each in found(OURS, nodes=(node(),)).values()] == [Kind.POOL]


def test_a_node_that_works_is_left_alone() -> None:
    finding = next(iter(found(nodes=(node(ready=True),)).values()))
    assert "still reports" in finding.missing


def test_a_node_of_somebody_else_is_no_finding() -> None:
    assert found(nodes=(node(labels={"team": "blue"}),)) == {}


def many(count: int) -> tuple[Finding, ...]:
    return tuple(found(*(replace(OURS, name=f"ws{n}") for n in range(count))).values())


def test_a_finding_is_due_after_the_delay_and_not_before() -> None:
    first = weigh(many(1), {}, 1000.0, delay=300.0, own=1)
    assert first.due == ()
    assert weigh(many(1), first.since, 1299.0, delay=300.0, own=1).due == ()
    assert weigh(many(1), first.since, 1300.0, delay=300.0, own=1).due == many(1)


def test_the_delay_begins_anew_when_a_claim_came_and_went() -> None:
    since = weigh(many(1), {}, 0.0, delay=300.0, own=1).since
    since = weigh((), since, 200.0, delay=300.0, own=1).since
    since = weigh(many(1), since, 400.0, delay=300.0, own=1).since
    assert weigh(many(1), since, 600.0, delay=300.0, own=1).due == ()


def test_another_pool_of_the_same_name_has_a_delay_of_its_own() -> None:
    since = weigh(many(1), {}, 0.0, delay=300.0, own=1).since
    later = {**OURS.labels, "kaito.sh/launch-timestamp": "2026-01-02T00-00-00Z"}
    second = tuple(found(replace(OURS, name="ws0", labels=later)).values())
    assert weigh(second, since, 300.0, delay=300.0, own=1).due == ()


def test_one_left_over_is_always_believed_and_two_of_nine_are_not() -> None:
    assert not weigh(many(1), {}, 0.0, delay=0.0, own=1).blocked
    assert weigh(many(2), {}, 0.0, delay=0.0, own=9).blocked
    assert not weigh(many(2), {}, 0.0, delay=0.0, own=10).blocked


def test_what_is_not_proven_counts_for_nothing() -> None:
    unproven = tuple(found(*(replace(UNPROVEN, name=f"ws{n}") for n in range(9))).values())
    verdict = weigh(unproven, {}, 0.0, delay=0.0, own=0)
    assert (verdict.due, verdict.blocked) == ((), False)


LABELS = st.dictionaries(
    st.sampled_from([*OURS.labels, "kaito.sh/kaitonodeclass", "karpenter.sh/nodepool", "team"]),
    st.sampled_from(["", HERE, "phi", "2026-01-01T00-00-00Z", "x" * 63]),
)
NAMES = st.sampled_from(["ws1", "ws2", "ws3"])
POOLS = st.lists(
    st.builds(
        Pool,
        name=NAMES,
        state=st.sampled_from(PoolState),
        said=st.just(""),
        instance_type=st.just(A100),
        labels=LABELS | st.just(OURS.labels),
    ),
    max_size=4,
)
CLAIMED = st.lists(NAMES.map(machine) | NAMES.map(launched), max_size=3)
NODES = st.lists(
    st.builds(node, NAMES, ready=st.booleans(), labels=LABELS),
    max_size=3,
    unique_by=lambda each: each.name,
)


@given(POOLS, CLAIMED, NODES)
def test_nothing_is_proven_without_the_labels_of_this_very_cluster(
    pools: list[Pool], claims: list[Claim], nodes: list[Node]
) -> None:
    named = {claim.metadata.name for claim in claims}
    seen = Inventory(pools=pools, claims=claims, nodes=nodes, kinds=KINDS)
    labels = {each.name: each.labels for each in nodes}
    for finding in judge(seen, PLACE):
        if not finding.proven or finding.kind is Kind.CLAIM:
            continue
        assert finding.pool_name not in named
        of = finding.pool.labels if finding.pool else labels[finding.name]
        assert of["kaito.sh/cluster"] == HERE


@given(st.integers(0, 200), st.integers(0, 200))
def test_never_is_more_due_than_a_fifth_of_what_is_ours_or_one(left: int, own: int) -> None:
    identity = Identity(Kind.POOL, "ws", "")
    one = Finding(identity=identity, why="", proof="", what="agent pool")
    verdict = weigh([one] * left, {}, 0.0, delay=0.0, own=own)
    assert verdict.blocked or len(verdict.due) <= max(1, own * 0.2)
    assert most_at_once(own) >= 1
