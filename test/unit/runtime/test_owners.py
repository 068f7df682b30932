"""An owner reference names its owner, and says whether it controls."""

from __future__ import annotations

import pytest

from kaito.runtime import owner_reference

OWNER = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "ns", "uid": "u", "labels": {"a": "b"}},
}
NAMED = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", "uid": "u"}


def test_a_controller_holds_the_owners_foreground_deletion_up() -> None:
    assert owner_reference(OWNER) == {**NAMED, "controller": True, "blockOwnerDeletion": True}


def test_another_owner_is_named_and_no_more() -> None:
    assert owner_reference(OWNER, controller=False) == NAMED


def test_what_is_not_stored_yet_owns_nothing() -> None:
    with pytest.raises(KeyError, match="uid"):
        owner_reference({**OWNER, "metadata": {"name": "d"}})
