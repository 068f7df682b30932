"""What a StatefulSet keeps of its templates."""

from __future__ import annotations

from typing import Any

from kaito.local.workloads.revisions import in_order, new_revision, outdated, revision_name
from kaito.runtime import Object
from test.unit.local.workloads.shapes import pod_template


def stateful_set(name: str = "t", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "ns", "uid": "u", "annotations": {"c": "d"}},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": pod_template(a="b", e="f"),
            **spec,
        },
    }


def revision(name: str, number: int, owner: str = "u") -> Object:
    return {"metadata": {"name": name, "ownerReferences": [{"uid": owner}]}, "revision": number}


def test_a_revision_has_the_name_that_a_real_cluster_gives_it() -> None:
    wanted = stateful_set()
    del wanted["spec"]["template"]["metadata"]["labels"]["e"]
    assert revision_name(wanted) == "t-76dd778b6f"


def test_a_long_name_is_cut_before_the_hash() -> None:
    assert len(revision_name(stateful_set("x" * 240))) <= 234


def test_a_revision_carries_the_labels_of_the_template_and_the_annotations_of_the_set() -> None:
    made = new_revision(stateful_set(), 3)
    label = made["metadata"]["name"].removeprefix("t-")
    assert made["metadata"]["labels"] == {
        "a": "b",
        "e": "f",
        "controller.kubernetes.io/hash": label,
    }
    assert made["metadata"]["annotations"] == {"c": "d"}
    assert made["revision"] == 3
    assert made["data"]["spec"]["template"]["$patch"] == "replace"


def test_the_newest_revision_comes_last() -> None:
    found = in_order([revision("b", 2), revision("a", 1), revision("c", 2)])
    assert [each["metadata"]["name"] for each in found] == ["a", "b", "c"]


def test_the_oldest_revisions_go_and_those_in_use_stay() -> None:
    own = [revision(name, number) for number, name in enumerate("abcde", 1)]
    assert outdated(stateful_set(revisionHistoryLimit=1), own, {"a", "e"}) == ["b", "c"]
    assert outdated(stateful_set(), own, {"a", "e"}) == []
