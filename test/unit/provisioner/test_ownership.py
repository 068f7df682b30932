"""Labels prove whose a pool is; anything less proves nothing."""

from __future__ import annotations

import pytest

from kaito.provisioner import node_request
from kaito.provisioner.ownership import (
    CREATED,
    belongs_to,
    made_by_kaito,
    ours,
    served,
    time_of,
)
from test.unit.provisioner.machines import machine, nodeclaim

OURS = node_request(machine()).labels
MACHINE = machine()
NODECLAIM = nodeclaim()
CLASS = {"group": "kaito.sh", "kind": "KaitoNodeClass", "name": "fast"}
UNLABELLED = nodeclaim(metadata={"labels": {}}, spec={"nodeClassRef": CLASS})


def without(label: str) -> dict[str, str]:
    return {name: text for name, text in OURS.items() if name != label}


def test_a_pool_that_was_made_for_the_machine_belongs_to_it() -> None:
    assert made_by_kaito(OURS)
    assert belongs_to(OURS, MACHINE)


@pytest.mark.parametrize(
    "label",
    ["kaito.sh/workspace", "karpenter.sh/provisioner-name", "kaito.sh/creation-timestamp"],
)
def test_each_of_the_three_proofs_is_needed(label: str) -> None:
    assert not made_by_kaito(without(label))
    assert not belongs_to(without(label), MACHINE)


def test_a_pool_of_another_workspace_does_not_belong_to_the_machine() -> None:
    assert not belongs_to({**OURS, "kaito.sh/workspace": "llama"}, MACHINE)
    assert not belongs_to({**OURS, "kaito.sh/workspacenamespace": "team"}, MACHINE)


def test_a_pool_of_another_cluster_does_not_belong_to_the_machine_of_its_name() -> None:
    made = node_request(MACHINE, "here").labels
    assert belongs_to(made, MACHINE, "here")
    assert not belongs_to(made, MACHINE, "elsewhere")
    assert belongs_to(OURS, MACHINE, "elsewhere"), "gpu-provisioner's name no cluster"


def test_a_pool_with_a_users_labels_only_is_nobodys_to_touch() -> None:
    assert not made_by_kaito({"apps": "phi"})
    assert not belongs_to({}, machine(metadata={"labels": {}}))


def test_a_pool_made_for_a_nodeclaim_counts_as_made_by_kaito() -> None:
    assert made_by_kaito({**without("karpenter.sh/provisioner-name"), "karpenter.sh/nodepool": "k"})


def test_a_pool_belongs_to_a_claim_of_the_kind_it_was_made_for() -> None:
    made_for_claim = node_request(NODECLAIM).labels
    assert belongs_to(made_for_claim, NODECLAIM)
    assert not belongs_to(made_for_claim, MACHINE)
    assert not belongs_to(OURS, NODECLAIM)


def test_a_label_of_the_other_kinds_provisioner_does_not_make_a_pool_the_other_kinds() -> None:
    labels = {**MACHINE.metadata.labels, "karpenter.sh/nodepool": "kaito"}
    assert not belongs_to(node_request(machine(metadata={"labels": labels})).labels, NODECLAIM)


def test_a_pool_of_a_claim_without_kaito_labels_is_known_by_its_node_class() -> None:
    labels = node_request(UNLABELLED).labels
    assert labels["kaito.sh/kaitonodeclass"] == "fast"
    assert made_by_kaito(labels)
    assert belongs_to(labels, UNLABELLED)
    other = nodeclaim(metadata={"labels": {}}, spec={"nodeClassRef": {**CLASS, "name": "slow"}})
    assert not belongs_to(labels, other)


@pytest.mark.parametrize(
    ("reference", "labels", "is_ours"),
    [
        (CLASS, {}, True),
        (CLASS, {"kaito.sh/workspace": "phi"}, True),
        ({"group": "", "kind": "", "name": ""}, {"kaito.sh/ragengine": "rag"}, True),
        ({"group": "karpenter.azure.com", "kind": "AKSNodeClass", "name": "d"}, {}, False),
        (
            {"group": "karpenter.azure.com", "kind": "AKSNodeClass", "name": "d"},
            {"kaito.sh/workspace": "phi"},
            False,
        ),
        (None, {"kaito.sh/workspace": "phi"}, True),
        (None, {}, False),
    ],
)
def test_claims_for_another_providers_class_are_left_alone(
    reference: dict[str, str] | None, labels: dict[str, str], is_ours: bool
) -> None:
    claim = nodeclaim(metadata={"labels": labels}, spec={"nodeClassRef": reference})
    assert ours(claim) is is_ours


def test_a_birth_date_that_is_no_date_proves_nothing() -> None:
    assert time_of({"kaito.sh/creation-timestamp": "yesterday"}, CREATED) is None
    assert not made_by_kaito({**OURS, "kaito.sh/creation-timestamp": "yesterday"})


def test_the_birth_date_survives_the_way_through_the_label() -> None:
    assert time_of(OURS, CREATED) == 1_767_225_600.0


def test_machines_of_workspaces_and_rag_engines_are_served_and_no_others() -> None:
    assert served({"kaito.sh/workspace": "phi"})
    assert served({"kaito.sh/ragengine": "rag"})
    assert served({"kaito.sh/kaitonodeclass": "default"})
    assert not served({"karpenter.sh/provisioner-name": "default"})
