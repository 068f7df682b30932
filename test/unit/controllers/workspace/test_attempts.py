"""Which size of nodes is asked for when the first cannot be had."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.launch import UNAVAILABLE, Cause
from kaito.api.machine import LAUNCHED, LIVING
from kaito.controllers.workspace.attempt import PAUSE, POOL_PATIENCE, choose
from kaito.controllers.workspace.crew import order_name
from kaito.controllers.workspace.decision import Decision
from kaito.controllers.workspace.observation import Observation, Obstacle
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.controllers.workspace.quote import quote
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object, rfc3339
from test.unit.controllers.workspace.scene import (
    CATALOG,
    NOW,
    UID,
    after,
    condition,
    decided,
    held,
    of_kind,
    own_node,
    says,
    seen,
)

A, B, C = "Standard_NC6s_v3", "Standard_NC24ads_A100_v4", "Standard_NC40ads_H100_v5"
SIZES = (A, B, C)
MACHINES = Settings()
POOLS = Settings(node_request="nodepool")
QUOTA = "none of 24 vCPUs is left (QuotaExceeded)."
"""Why A cannot be had, as the Workspace tells it."""
NO_QUOTA = f"{UNAVAILABLE}. {A}: {QUOTA}"


def choosing(*others: str, **changes: Any) -> Object:
    """A Workspace that names these sizes besides the first."""
    found = held(**changes)
    noted = {"kaito.sh/instance-types": ",".join(others)}
    found["metadata"] = {**found["metadata"], "annotations": noted}
    return found


def said(type_: str, status: str, message: str = "", *, at: float = NOW) -> Object:
    return {
        "type": type_,
        "status": status,
        "reason": "LaunchFailed" if message else type_,
        "message": message,
        "lastTransitionTime": rfc3339(at),
    }


def told(order: Order, *conditions: Object, **metadata: Any) -> Order:
    wire = order.wire()
    status = {
        "conditions": list(conditions),
        "nodeName": f"node-{order.name}",
        "providerID": f"azure://{order.name}",
    }
    return Order.model_validate(
        {**wire, "metadata": {**wire["metadata"], **metadata}, "status": status}
    )


def refused(order: Order, *, at: float = NOW, why: str = QUOTA) -> Order:
    message = f"{UNAVAILABLE}. {order.sizes[0]}: {why}"
    return told(order, said(LAUNCHED, "False", message, at=at))


def launched(order: Order) -> Order:
    return told(order, said(LAUNCHED, "True"))


def had(order: Order) -> Order:
    return told(order, *(said(each, "True") for each in (*LIVING, "Ready")))


def size_of(obj: Object) -> str:
    return Order.model_validate(obj).sizes[0]


def asked(decision: Decision) -> list[str]:
    return [size_of(each) for each in decision.objects if each["kind"] in ORDERS]


def begun(*others: str, settings: Settings = MACHINES) -> Observation:
    observation = seen(choosing(*others))
    return after(observation, decided(observation, settings))


def turn(observation: Observation, *, later: float = 0.0) -> Observation:
    return after(observation, decided(observation), later=later)


def with_orders(observation: Observation, *orders: Order) -> Observation:
    return replace(observation, orders=orders)


def refuse_all(observation: Observation) -> Observation:
    found = tuple(refused(each, at=observation.now) for each in observation.orders)
    return replace(observation, orders=found)


def test_a_size_that_cannot_be_had_is_followed_by_the_next_one_and_its_machine_goes() -> None:
    observation = refuse_all(begun(B, C))
    decision = decided(observation)
    assert asked(decision) == [B]
    name = order_name(UID, 0, 1)
    assert of_kind(decision, "Machine")["metadata"]["name"] == name
    assert [each.key.name for each in decision.deletions] == [order_name(UID, 0)]
    changed = [e for e in decision.events if e.reason == "InstanceTypeChanged"]
    assert [e.message for e in changed] == [
        f"{A} cannot be had: {QUOTA} Nodes of {B} are asked for instead."
    ]
    assert says(decision, "ResourceReady") == ("False", "workspaceResourceStatusNotReady")
    assert condition(decision, "ResourceReady")["message"] == (
        f"Machine {name} ({B}): the node is on its way. {B} is size 2 of 3 (in this order: "
        f"{A}, {B}, {C}). {A}: {QUOTA}"
    )


def test_a_long_verdict_is_cut_between_words_and_keeps_its_dots() -> None:
    why = (
        "Insufficient vcpu quota, remaining 0 (ErrCode_InsufficientVCPUQuota). " + "Raise it. " * 30
    )
    observation = begun(B)
    observation = with_orders(observation, refused(observation.orders[0], why=why))
    message = condition(decided(observation), "ResourceReady")["message"]
    told = message.partition(f"{A}: ")[2]
    assert why.startswith(told.removesuffix("..."))
    assert told.endswith(("Raise...", "it..."))


def test_what_was_tried_is_known_after_a_restart_and_when_the_first_machine_has_gone() -> None:
    observation = turn(refuse_all(begun(B, C)))
    (order,) = observation.orders
    assert order.attempt == 1
    assert [each.size for each in order.failed] == [A]
    forgetful = replace(observation, workspace=choosing(B, C))
    decision = decided(forgetful)
    assert asked(decision) == [B]
    assert f"{A}: {QUOTA}" in condition(decision, "ResourceReady")["message"]


def test_the_plan_follows_the_size() -> None:
    observation = refuse_all(begun("Standard_NC12s_v3"))
    decision = decided(observation)
    (order,) = turn(observation).orders
    there = replace(
        turn(observation),
        orders=(had(order),),
        nodes=(
            own_node(
                order.name, gpus=2, **{"node.kubernetes.io/instance-type": "Standard_NC12s_v3"}
            ),
        ),
    )
    assert asked(decision) == ["Standard_NC12s_v3"]
    container = of_kind(decided(there), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_a_size_that_was_had_is_kept_and_said() -> None:
    observation = turn(refuse_all(begun(B, C)))
    (order,) = observation.orders
    there = replace(
        observation,
        orders=(had(order),),
        nodes=(own_node(order.name, **{"node.kubernetes.io/instance-type": B}),),
    )
    decision = decided(there)
    assert says(decision, "ResourceReady") == ("True", "workspaceResourceStatusSuccess")
    assert f"{B} is size 2 of 3" in condition(decision, "ResourceReady")["message"]
    assert (
        of_kind(decision, "Machine")["metadata"]["annotations"]["kaito.sh/instance-type-settled"]
        == "true"
    )
    settled = after(there, decision)
    assert decided(settled).status == decision.status


def test_after_the_last_size_the_first_follows_when_the_pause_is_over() -> None:
    observation = refuse_all(turn(refuse_all(begun(B))))
    resting = decided(observation)
    assert asked(resting) == [B]
    assert resting.deletions == ()
    assert says(resting, "ResourceReady") == ("False", "machineFailedCreation")
    until = rfc3339(NOW + PAUSE)
    assert condition(resting, "ResourceReady")["message"].endswith(
        f"None of the 2 sizes can be had (in this order: {A}, {B}): {A} is asked for again at "
        f"{until}. {A}: {QUOTA} {B}: {QUOTA}"
    )
    assert resting.look_again == PAUSE
    waited = after(observation, resting, later=PAUSE)
    again = decided(waited)
    assert asked(again) == [A]
    assert of_kind(again, "Machine")["metadata"]["name"] == order_name(UID, 0, 2)
    assert f"{B}: {QUOTA}" in condition(again, "ResourceReady")["message"]


def test_a_size_that_comes_after_all_during_the_pause_is_taken() -> None:
    observation = refuse_all(turn(refuse_all(begun(B))))
    (order,) = observation.orders
    there = replace(
        turn(observation, later=PAUSE + 1),
        orders=(had(order),),
        nodes=(own_node(order.name, **{"node.kubernetes.io/instance-type": B}),),
    )
    assert says(decided(there), "ResourceReady")[0] == "True"
    assert asked(decided(there)) == [B]


def test_one_size_alone_is_asked_for_again_by_the_provisioner_only() -> None:
    observation = refuse_all(begun())
    decision = decided(observation)
    assert asked(decision) == [A]
    assert decision.deletions == ()
    assert condition(decision, "ResourceReady")["message"] == (
        f"Machine {order_name(UID, 0)}: {NO_QUOTA}"
    )


@pytest.mark.parametrize("listing", [A, f"{A},{A.lower()}", ""])
def test_a_list_that_only_repeats_the_first_size_changes_nothing(listing: str) -> None:
    assert choose(seen(choosing(listing))).sizes == (A,)


TEMPLATE = {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}, "preset": None}


def pair() -> Observation:
    found = choosing(B, resource={"count": 2})
    found["inference"] = {"template": TEMPLATE["template"]}
    observation = seen(found)
    return after(observation, decided(observation))


def test_of_several_nodes_all_are_of_one_size_or_none_is_paid_for() -> None:
    observation = pair()
    first, second = observation.orders
    one_had = with_orders(observation, launched(first), refused(second))
    leaving = decided(one_had)
    assert [each.key.name for each in leaving.deletions] == [first.name]
    assert asked(leaving) == [A]
    assert condition(leaving, "ResourceReady")["message"].endswith(
        f"{A} cannot be had, size 1 of 2 (in this order: {A}, {B}): {B} follows when the nodes "
        f"made so far have gone. {A}: {QUOTA}"
    )
    going = with_orders(
        one_had, launched(told(first, deletionTimestamp=rfc3339(NOW))), refused(second)
    )
    assert asked(decided(going)) == [A]
    gone = with_orders(one_had, refused(second))
    moved = decided(gone)
    assert asked(moved) == [B, B]
    assert [each.key.name for each in moved.deletions] == [second.name]


def test_nodes_that_served_together_stay_when_one_of_them_cannot_be_replaced() -> None:
    observation = pair()
    settled = tuple(
        told(
            each,
            said(LAUNCHED, "True"),
            annotations={**each.metadata.annotations, "kaito.sh/instance-type-settled": "true"},
        )
        for each in observation.orders
    )
    broken = with_orders(observation, settled[0], refused(observation.orders[1]))
    decision = decided(broken)
    assert asked(decision) == [A, A]
    assert decision.deletions == ()


def test_sizes_that_are_taken_off_the_list_stay_where_a_node_is_there() -> None:
    observation = turn(refuse_all(begun(B, C)))
    (order,) = observation.orders
    there = replace(
        observation,
        workspace=choosing(C),
        orders=(had(order),),
        nodes=(own_node(order.name, **{"node.kubernetes.io/instance-type": B}),),
    )
    decision = decided(there)
    assert asked(decision) == [B]
    assert (
        "is not among the sizes that are listed now"
        in (condition(decision, "ResourceReady")["message"])
    )
    not_there = replace(there, orders=(order,), nodes=())
    assert asked(decided(not_there)) == [A]


def test_an_obstacle_to_the_next_size_keeps_what_was_tried() -> None:
    observation = refuse_all(begun(B))
    obstacle = Obstacle(kind="Machine", reason="RefusedByApiServer", message="No.")
    decision = decided(replace(observation, obstacles=(obstacle,)))
    assert decision.deletions == ()
    assert "InstanceTypeChanged" not in [e.reason for e in decision.events]


def test_a_claim_that_another_provisioner_deletes_unlaunched_is_given_up() -> None:
    settings = Settings(node_request="nodeclaim")
    observation = begun(B, settings=settings)
    (claim,) = observation.orders
    wire = claim.wire()
    wire["spec"]["nodeClassRef"] = {"group": "g", "kind": "K", "name": "n"}
    wire["metadata"]["deletionTimestamp"] = rfc3339(NOW)
    dropped = with_orders(observation, Order.model_validate(wire))
    assert asked(decided(dropped, settings)) == [B]


def test_a_plan_tells_what_the_other_sizes_take_and_cost() -> None:
    told = quote(seen(choosing(B, C)), None, catalog=CATALOG, settings=MACHINES)
    assert [(each.size, each.nodes) for each in told.otherwise] == [(B, 1), (C, 1)]
    assert all(each.each is not None for each in told.otherwise)


# Pools


def pooled(*others: str) -> Observation:
    observation = begun(*others, settings=POOLS)
    (pool,) = observation.orders
    born = told(pool, creationTimestamp=rfc3339(NOW))
    return with_orders(observation, born)


def test_a_pool_that_does_not_come_is_emptied_first_and_then_replaced() -> None:
    observation = pooled(B)
    waiting = decided(observation, POOLS)
    assert asked(waiting) == [A]
    assert waiting.look_again == POOL_PATIENCE
    late = replace(observation, now=NOW + POOL_PATIENCE)
    moved = decided(late, POOLS)
    assert asked(moved) == [B]
    assert (
        "0 of 1 nodes were made within 20 minutes" in (condition(moved, "ResourceReady")["message"])
    )


def test_what_a_pool_has_made_goes_before_another_one_is_asked_for() -> None:
    observation = pooled(B)
    (pool,) = observation.orders
    claim = Order.model_validate(
        {
            "apiVersion": "karpenter.sh/v1",
            "kind": "NodeClaim",
            "metadata": {
                "name": f"{pool.name}-x",
                "uid": "x",
                "labels": {"karpenter.sh/nodepool": pool.name},
                "ownerReferences": [{"kind": "NodePool", "name": pool.name}],
            },
            "status": {"conditions": [said("Launched", "False", NO_QUOTA)]},
        }
    )
    refused_pool = with_orders(observation, pool, claim)
    resting = decided(refused_pool, POOLS)
    written = of_kind(resting, "NodePool")
    assert written["spec"]["replicas"] == 0
    assert written["metadata"]["annotations"]["kaito.sh/given-up"] == f"{rfc3339(NOW)} {QUOTA}"
    assert resting.deletions == ()
    # Its claim has gone, and with it every word of why.
    emptied = with_orders(observation, Order.model_validate({**pool.wire(), **written}))
    assert asked(decided(emptied, POOLS)) == [B]


# Whatever happens


@given(st.lists(st.sampled_from(["refuse", "launch", "have", "lose", "wait", "gone"]), max_size=14))
def test_there_is_never_more_than_one_live_size_nor_more_nodes_than_the_plan(
    events: list[str],
) -> None:
    observation = seen(choosing(B, C))
    for event in events:
        observation = after(observation, decided(observation))
        live = [each for each in observation.orders if not each.deleting]
        assert len({each.sizes for each in live}) <= 1
        assert len(live) <= 1
        assert len({each.name for each in observation.orders}) == len(observation.orders)
        if event == "refuse":
            live = [each if each.launched else refused(each, at=observation.now) for each in live]
        elif event == "launch":
            live = [launched(each) for each in live]
        elif event == "have":
            live = [had(each) for each in live]
        elif event == "lose":
            live = [told(each, deletionTimestamp=rfc3339(observation.now)) for each in live]
        elif event == "gone":
            live = []
        leaving = [] if event == "gone" else [o for o in observation.orders if o.deleting]
        nodes = tuple(
            own_node(each.name, **{"node.kubernetes.io/instance-type": each.sizes[0]})
            for each in live
            if each.ready
        )
        observation = replace(
            observation,
            orders=(*live, *leaving),
            nodes=nodes,
            now=observation.now + (PAUSE if event == "wait" else 1.0),
        )
        before = {each.name: each.sizes for each in live if each.launched}
        kept = after(observation, decided(observation)).orders
        assert {o.name: o.sizes for o in kept if o.name in before} == before


def test_the_catalogue_has_the_sizes_that_are_used_here() -> None:
    assert all(CATALOG.find_sku(each, cloud="azure") for each in SIZES)


def test_it_ends_in_failed_when_the_last_size_needs_a_person_and_not_before() -> None:
    def without_quota(observation: Observation) -> Observation:
        found = tuple(
            told(each, {**said(LAUNCHED, "False", QUOTA), "reason": Cause.FAMILY_QUOTA})
            for each in observation.orders
        )
        return replace(observation, orders=found)

    first = decided(without_quota(begun(B)))
    assert first.status is not None
    assert first.status["state"] == "Pending"
    last = decided(without_quota(turn(without_quota(begun(B)))))
    assert last.status is not None
    assert last.status["state"] == "Failed"
