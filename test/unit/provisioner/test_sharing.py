"""Which claims may share a pool, and which pool a claim uses."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import pytest

from kaito.provisioner import NodeRequest, node_request
from kaito.provisioner.sharing import POOL, pool_of, shape_of
from test.unit.provisioner.machines import A10, machine, machine_object, nodeclaim, requirement

METADATA: dict[str, Any] = machine_object()["metadata"]


def test_a_claims_pool_has_its_name_unless_it_says_another_one() -> None:
    assert pool_of(machine("wsa")) == "wsa"
    guest = machine("wsb", metadata={**METADATA, "name": "wsb", "annotations": {POOL: "wsa"}})
    assert pool_of(guest) == "wsa"
    assert pool_of(machine(metadata={**METADATA, "annotations": {POOL: ""}})) == METADATA["name"]


def test_claims_that_differ_in_name_and_birth_have_one_shape() -> None:
    later = {**METADATA, "name": "wsb", "creationTimestamp": "2026-02-02T00:00:00Z"}
    assert shape_of(node_request(machine())) == shape_of(node_request(machine(metadata=later)))


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"labels": {**METADATA["labels"], "kaito.sh/workspace": "other"}}},
        {"metadata": {"labels": {**METADATA["labels"], "apps": "other"}}},
        {"metadata": {"annotations": {"kaito.sh/node-image-family": "azurelinux"}}},
        {"spec": {"requirements": [requirement("node.kubernetes.io/instance-type", A10)]}},
        {"spec": {"resources": {"requests": {"storage": "81Gi"}}}},
        {"spec": {"taints": []}},
    ],
)
def test_whatever_else_differs_is_another_shape(changes: dict[str, Any]) -> None:
    changes = {part: {**machine_object()[part], **change} for part, change in changes.items()}
    assert shape_of(node_request(machine(**changes))) != shape_of(node_request(machine()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Later(NodeRequest):
    """As of a release that knows one more wish."""

    quick: bool = False
    peers: dict[str, str] = field(default_factory=dict)


def test_a_field_that_a_release_adds_changes_the_shape_of_those_who_use_it_alone() -> None:
    now = node_request(machine())
    wishes = {each.name: getattr(now, each.name) for each in fields(now)}
    assert shape_of(Later(**wishes)) == shape_of(now)
    assert shape_of(Later(**wishes, quick=True)) != shape_of(now)


def test_kinds_and_clusters_do_not_share() -> None:
    shapes = {
        shape_of(node_request(machine(), "one")),
        shape_of(node_request(machine(), "two")),
        shape_of(node_request(nodeclaim(), "one")),
    }
    assert len(shapes) == 3


def test_a_shape_can_be_a_label() -> None:
    shape = shape_of(node_request(machine()))
    assert len(shape) == 16
    assert shape.isalnum()
