"""Who owns the volume claims of a StatefulSet."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.workloads.retention import claims_of, owners_due
from kaito.runtime import Object

POD: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "t-0", "uid": "p"}}


def stateful_set(scaled: str = "Retain", deleted: str = "Retain", replicas: int = 1) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "t", "namespace": "ns", "uid": "s"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"a": "b"}},
            "persistentVolumeClaimRetentionPolicy": {"whenScaled": scaled, "whenDeleted": deleted},
            "volumeClaimTemplates": [
                {"metadata": {"name": "data", "labels": {"k": "l"}}, "spec": {"resources": {}}}
            ],
        },
    }


def claim(*owners: Any) -> Object:
    return {"metadata": {"ownerReferences": list(owners)}}


def owner(kind: str, uid: str, name: str = "t", *, controller: bool = True) -> Object:
    return {"kind": kind, "name": name, "uid": uid, "controller": controller}


def test_a_claim_is_named_after_its_template_and_its_pod() -> None:
    (made,) = claims_of(stateful_set(), 0)
    assert made["metadata"]["name"] == "data-t-0"
    assert made["metadata"]["labels"] == {"a": "b", "k": "l"}
    assert "ownerReferences" not in made["metadata"]


@pytest.mark.parametrize(
    ("scaled", "deleted", "replicas", "expected"),
    [
        ("Retain", "Retain", 1, []),
        ("Retain", "Delete", 1, ["s"]),
        ("Retain", "Delete", 0, ["s"]),
        ("Delete", "Retain", 1, []),
        ("Delete", "Retain", 0, ["p"]),
        ("Delete", "Delete", 1, ["s"]),
        ("Delete", "Delete", 0, ["p"]),
    ],
)
def test_a_claim_belongs_to_whatever_it_shall_end_with(
    scaled: str, deleted: str, replicas: int, expected: list[str]
) -> None:
    due = owners_due(stateful_set(scaled, deleted, replicas), POD, 0, claim(owner("Pod", "p")))
    assert [each["uid"] for each in due] == expected


def test_a_claim_that_another_controls_is_left_to_it() -> None:
    other = owner("Volume", "x")
    due = owners_due(stateful_set(deleted="Delete"), POD, 0, claim(other, owner("Pod", "p")))
    assert due == [other]


def test_a_claim_of_a_set_that_is_gone_is_left_to_garbage_collection() -> None:
    stale = owner("StatefulSet", "before")
    assert owners_due(stateful_set(deleted="Delete"), POD, 0, claim(stale)) == [stale]
