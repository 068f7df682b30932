"""Labels prove whose a pool is; anything less proves nothing."""

from __future__ import annotations

import pytest

from kaito.provisioner import node_request
from kaito.provisioner.ownership import belongs_to, created_at, made_by_kaito, served
from test.unit.provisioner.machines import machine

OURS = node_request(machine()).labels
MACHINE = machine().metadata.labels


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


def test_a_pool_with_a_users_labels_only_is_nobodys_to_touch() -> None:
    assert not made_by_kaito({"apps": "phi"})
    assert not belongs_to({}, {})


def test_a_pool_made_for_a_nodeclaim_counts_as_made_by_kaito() -> None:
    assert made_by_kaito({**without("karpenter.sh/provisioner-name"), "karpenter.sh/nodepool": "k"})


def test_a_birth_date_that_is_no_date_proves_nothing() -> None:
    assert created_at({"kaito.sh/creation-timestamp": "yesterday"}) is None
    assert not made_by_kaito({**OURS, "kaito.sh/creation-timestamp": "yesterday"})


def test_the_birth_date_survives_the_way_through_the_label() -> None:
    assert created_at(OURS) == 1_767_225_600.0


def test_machines_of_workspaces_and_rag_engines_are_served_and_no_others() -> None:
    assert served({"kaito.sh/workspace": "phi"})
    assert served({"kaito.sh/ragengine": "rag"})
    assert not served({"karpenter.sh/provisioner-name": "default"})
