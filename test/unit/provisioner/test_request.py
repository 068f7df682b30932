"""A Machine is read into one deterministic request, or refused with a sentence."""

from __future__ import annotations

import pytest

from kaito.provisioner import NodeRequest, Unsatisfiable, node_request
from kaito.provisioner.claim import Claim
from test.unit.provisioner.machines import (
    A10,
    A100,
    machine,
    machine_object,
    nodeclaim,
    requirement,
    wanting,
)

TYPE = "node.kubernetes.io/instance-type"
LINUX = requirement("kubernetes.io/os", "linux")


def test_the_pool_is_named_after_the_machine() -> None:
    assert node_request(machine("ws123456789")).name == "ws123456789"


def test_the_labels_prove_whose_the_pool_is_and_carry_the_users_own() -> None:
    assert node_request(machine()).labels == {
        "karpenter.sh/provisioner-name": "default",
        "kaito.sh/workspace": "phi",
        "kaito.sh/workspacenamespace": "default",
        "kaito.sh/creation-timestamp": "2026-01-01T00-00-00Z",
        "apps": "phi",
    }


def test_labels_that_the_kubelet_or_the_cloud_sets_are_not_sent() -> None:
    labels = {
        "kaito.sh/workspace": "phi",
        "node.kubernetes.io/instance-type": A100,
        "topology.kubernetes.io/zone": "eastus-1",
        "kubernetes.azure.com/mode": "user",
        "example.com/team": "blue",
    }
    sent = node_request(machine(metadata={"labels": labels})).labels
    assert {"kaito.sh/workspace", "example.com/team"} <= set(sent)
    assert not {"node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"} & set(sent)
    assert "kubernetes.azure.com/mode" not in sent


def test_instance_types_keep_the_order_in_which_they_are_written() -> None:
    several = wanting(LINUX, requirement(TYPE, A10, A100, A10))
    assert node_request(several).instance_types == (A10, A100)


def test_a_nodeclaim_asks_for_the_same_node_as_the_machine_for_the_same_workspace() -> None:
    theirs, ours = node_request(nodeclaim()), node_request(machine())
    assert (theirs.instance_types, theirs.disk_gib) == (ours.instance_types, ours.disk_gib)
    assert theirs.labels == {
        "karpenter.sh/nodepool": "kaito",
        "kaito.sh/kaitonodeclass": "default",
        "kaito.sh/workspace": "phi",
        "kaito.sh/workspacenamespace": "default",
        "kaito.sh/creation-timestamp": "2026-01-01T00-00-00Z",
        "apps": "phi",
    }


def test_the_sku_name_is_another_name_of_the_instance_type() -> None:
    named = wanting(requirement("karpenter.azure.com/sku-name", A10))
    assert node_request(named).instance_types == (A10,)
    both = wanting(requirement(TYPE, A10, A100), requirement("karpenter.azure.com/sku-name", A100))
    assert node_request(both).instance_types == (A100,)


def test_a_choice_that_min_values_wants_is_kept() -> None:
    wide = {**requirement(TYPE, A10, A100), "minValues": 2}
    assert node_request(wanting(wide)).instance_types == (A10, A100)
    with pytest.raises(Unsatisfiable, match="leave 1 values and minValues wants 2"):
        node_request(wanting(wide, requirement(TYPE, A10, operator="NotIn")))


def test_capacity_that_cannot_be_had_is_refused() -> None:
    reserved = requirement("karpenter.sh/capacity-type", "reserved")
    with pytest.raises(Unsatisfiable, match="allow on-demand or spot"):
        node_request(wanting(requirement(TYPE, A100), reserved))


def test_requirements_on_one_key_hold_together() -> None:
    both = wanting(requirement(TYPE, A10, A100), requirement(TYPE, A100, "Standard_D4s_v5"))
    assert node_request(both).instance_types == (A100,)


def test_an_excluded_instance_type_is_never_asked_for() -> None:
    without = wanting(requirement(TYPE, A10, A100), requirement(TYPE, A10, operator="NotIn"))
    assert node_request(without).instance_types == (A100,)


@pytest.mark.parametrize(
    ("storage", "gib"),
    [("80Gi", 80), ("80.5Gi", 81), ("1", 1), ("100G", 94), ("0", 0), (0, 0), ("1Ti", 1024)],
)
def test_the_disk_has_at_least_the_size_asked_for(storage: str | int, gib: int) -> None:
    asking = machine(spec={"resources": {"requests": {"storage": storage}}})
    assert node_request(asking).disk_gib == gib


def test_without_a_storage_request_the_disk_is_the_clouds_default() -> None:
    assert node_request(machine(spec={"resources": None})).disk_gib == 0


@pytest.mark.parametrize(
    ("allowed", "spot"),
    [(("spot",), True), (("on-demand",), False), (("spot", "on-demand"), False)],
)
def test_spot_is_used_only_when_nothing_else_is_allowed(
    allowed: tuple[str, ...], spot: bool
) -> None:
    capacity = requirement("karpenter.sh/capacity-type", *allowed)
    assert node_request(wanting(requirement(TYPE, A100), capacity)).spot is spot


def priced(price: str, *allowed: str) -> NodeRequest:
    """The request of a claim with a price, and these capacity types if any."""
    capacity = [requirement("karpenter.sh/capacity-type", *allowed)] if allowed else []
    metadata = {**machine_object()["metadata"], "annotations": {"kaito.sh/spot-max-price": price}}
    return node_request(
        machine(metadata=metadata, spec={"requirements": [requirement(TYPE, A100), *capacity]})
    )


@pytest.mark.parametrize(
    ("price", "dollars"), [("1.25", 1.25), ("0.00001", 0.00001), ("3", 3.0), ("-1", None)]
)
@pytest.mark.parametrize("allowed", [(), ("spot",), ("on-demand", "spot")])
def test_whoever_names_a_price_asks_for_spot(
    price: str, dollars: float | None, allowed: tuple[str, ...]
) -> None:
    request = priced(price, *allowed)
    assert (request.spot, request.spot_price) == (True, dollars)


@pytest.mark.parametrize(
    "price", ["0", "0.0", "-2", "1.000001", "1e3", "nan", "inf", "cheap", "1,5"]
)
def test_what_is_no_price_is_refused(price: str) -> None:
    with pytest.raises(Unsatisfiable, match="write dollars an hour"):
        priced(price)


def test_a_price_for_nodes_on_demand_is_refused() -> None:
    with pytest.raises(Unsatisfiable, match="remove the one, or allow spot"):
        priced("1.25", "on-demand")


def test_what_is_excluded_leaves_the_rest_of_what_there_is() -> None:
    def without(key: str, value: str) -> Claim:
        return wanting(requirement(TYPE, A100), requirement(key, value, operator="NotIn"))

    assert node_request(without("karpenter.sh/capacity-type", "on-demand")).spot
    assert not node_request(without("karpenter.sh/capacity-type", "spot")).spot
    assert not node_request(without("kubernetes.io/os", "windows")).spot
    with pytest.raises(Unsatisfiable, match="leave no value"):
        node_request(without("kubernetes.io/os", "linux"))


def test_zones_come_from_the_requirement() -> None:
    zones = requirement("topology.kubernetes.io/zone", "eastus-1", "eastus-3")
    assert node_request(wanting(requirement(TYPE, A100), zones)).zones == ("eastus-1", "eastus-3")


@pytest.mark.parametrize(
    ("requirements", "words"),
    [
        ([LINUX], "names no instance type: add"),
        ([requirement(TYPE, operator="Exists")], "names no instance type: add"),
        ([requirement(TYPE, A100, operator="NotIn")], "names no instance type: add"),
        ([requirement(TYPE, A100), requirement(TYPE, A10)], "leave no value"),
        ([requirement(TYPE, A100), requirement("kubernetes.io/os", "windows")], "allow linux"),
    ],
)
def test_what_no_node_can_be_is_refused_with_a_way_out(
    requirements: list[dict[str, object]], words: str
) -> None:
    with pytest.raises(Unsatisfiable, match=words):
        node_request(wanting(*requirements))


@pytest.mark.parametrize("storage", ["-1Gi", "eighty"])
def test_a_disk_of_no_possible_size_is_refused(storage: str) -> None:
    asking = machine(spec={"resources": {"requests": {"storage": storage}}})
    with pytest.raises(Unsatisfiable, match=r"spec\.resources\.requests\.storage"):
        node_request(asking)


@pytest.mark.parametrize("quantity", ["1e1.5", "1e400000"])
def test_an_amount_that_is_none_is_refused_before_a_node_is_paid_for(quantity: str) -> None:
    asking = machine(spec={"resources": {"requests": {"memory": quantity}}})
    with pytest.raises(Unsatisfiable, match=r"spec\.resources\.requests\.memory: "):
        node_request(asking)
