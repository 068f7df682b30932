"""A rehearsal over worlds in which something is there already."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kaito.controllers.workspace.crew import order_name
from kaito.controllers.workspace.order import Order
from kaito.controllers.workspace.rehearsal import Rehearsal, rehearse
from kaito.controllers.workspace.settings import NodeRequest, Settings
from kaito.runtime import Object, find_condition
from test.unit.controllers.workspace.scene import (
    CATALOG,
    FIRST,
    SETTINGS,
    UID,
    decided,
    held,
    kinds,
    machine,
    own_node,
    ready_machine,
    seen,
    serving,
)


def rehearsed(found: Object, **surroundings: Any) -> Rehearsal:
    return rehearse(seen(found, **surroundings), CATALOG, SETTINGS)


def ready(rehearsal: Rehearsal) -> Object:
    assert rehearsal.last.status is not None
    return find_condition(rehearsal.last.status["conditions"], "WorkspaceReady") or {}


def test_a_new_workspace_comes_to_an_end() -> None:
    found = rehearsed(held())
    assert found.settled
    assert ready(found)["status"] == "True"


@pytest.mark.parametrize("way", ["machine", "nodeclaim", "nodepool"])
@pytest.mark.parametrize("nodes", [1, 2])
def test_in_every_way_its_nodes_come_and_it_serves(way: NodeRequest, nodes: int) -> None:
    preset = {1: "phi-3-mini-4k-instruct", 2: "qwen2.5-coder-32b-instruct"}[nodes]
    large = held(
        resource={"instanceType": "Standard_NV36ads_A10_v5"}, inference={"preset": {"name": preset}}
    )
    found = rehearse(seen(large), CATALOG, Settings(node_request=way))
    assert found.settled
    assert ready(found)["status"] == "True"
    made = [each["kind"] for each in found.objects]
    assert made[-1] == ("Deployment" if nodes == 1 else "StatefulSet")
    assert found.last.deletions == ()


@pytest.mark.parametrize("way", ["nodepool", "machine"])
@pytest.mark.parametrize("joined", [True, False])
def test_what_a_pool_was_made_into_is_kept(way: NodeRequest, joined: bool) -> None:
    pools = rehearse(seen(held()), CATALOG, Settings(node_request="nodepool"))
    (pool,) = (each for each in pools.objects if each["kind"] == "NodePool")
    there = Order.model_validate({**pool, "metadata": {**pool["metadata"], "uid": "p"}})
    claim = ready_machine("made").wire()
    owner = {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "name": there.name, "uid": "p"}
    pooled = {"karpenter.sh/nodepool": there.name}
    claim["kind"] = "NodeClaim"
    claim["metadata"]["labels"] = {**pool["spec"]["template"]["metadata"]["labels"], **pooled}
    claim["metadata"]["ownerReferences"] = [owner]
    found = rehearse(
        seen(
            held(),
            orders=(there, Order.model_validate(claim)),
            nodes=(own_node("made", **pooled),) if joined else (),
        ),
        CATALOG,
        Settings(node_request=way),
    )
    assert found.settled
    assert found.first.deletions == ()
    assert ready(found)["status"] == "True"


def test_a_workspace_that_nobody_holds_yet_is_held_first() -> None:
    unheld = held()
    unheld["metadata"] = {**unheld["metadata"], "finalizers": []}
    assert rehearsed(unheld).settled


def test_what_serves_already_needs_nothing_new() -> None:
    observation = serving()
    found = rehearse(observation, CATALOG, SETTINGS)
    assert found.settled
    assert [each["kind"] for each in found.objects] == kinds(decided(observation))


def test_a_machine_that_is_going_is_replaced_when_it_has_gone() -> None:
    found = rehearsed(held(), orders=(machine(FIRST, deleting=True),))
    assert found.settled
    assert [each["metadata"]["name"] for each in found.objects if each["kind"] == "Machine"] == [
        FIRST
    ]
    assert ready(found)["status"] == "True"


def test_a_machine_too_many_goes() -> None:
    second = order_name(UID, 1)
    found = rehearsed(
        held(),
        orders=(ready_machine(FIRST), ready_machine(second)),
        nodes=(own_node(FIRST), own_node(second)),
    )
    assert found.settled
    assert len(found.first.deletions) == 1
    assert found.last.deletions == ()
    assert len([each for each in found.objects if each["kind"] == "Machine"]) == 1


def test_an_object_of_somebody_else_stops_it_before_a_node_is_bought() -> None:
    foreign = {"kind": "Service", "metadata": {"name": "w", "namespace": "default"}}
    found = rehearsed(held(), service=foreign)
    assert found.settled
    assert found.objects == ()
    assert "Service w exists already" in ready(found)["message"]


def test_an_object_of_somebody_else_is_left_alone_beside_nodes_that_are_there() -> None:
    foreign = {"kind": "Deployment", "metadata": {"name": "w", "namespace": "default"}}
    found = rehearsed(held(), orders=(ready_machine(),), nodes=(own_node(),), deployment=foreign)
    assert [each["kind"] for each in found.objects] == ["Machine", "Service"]


def test_a_workspace_that_is_being_deleted_comes_to_its_end() -> None:
    observation = serving()
    going = {
        **observation.workspace,
        "metadata": {**observation.workspace["metadata"], "deletionTimestamp": "2026-01-01"},
    }
    found = rehearse(replace(observation, workspace=going), CATALOG, SETTINGS)
    assert found.settled
    assert found.objects == ()
