"""JSON, merge and strategic-merge patches."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.apiserver import patches, strategic
from kaito.local.apiserver.schema import TypeTable
from kaito.local.apiserver.status import StatusError

POD = TypeTable().node("V1Pod")


def containers(*names: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": n, "image": "old"} for n in names]}}


def test_a_merge_patch_drops_nulls_and_replaces_lists() -> None:
    before = {"a": 1, "b": {"c": 1, "d": 2}, "l": [1, 2]}
    after = patches.merge_patch(before, {"a": None, "b": {"c": None}, "l": [3]})
    assert after == {"b": {"d": 2}, "l": [3]}
    assert before["l"] == [1, 2]


def test_a_strategic_patch_merges_lists_by_key() -> None:
    patch = {"spec": {"containers": [{"name": "b", "image": "new"}]}}
    found = strategic.merge(POD, containers("a", "b"), patch)["spec"]["containers"]
    assert {c["name"]: c["image"] for c in found} == {"a": "old", "b": "new"}


def test_a_strategic_patch_deletes_and_replaces_on_request() -> None:
    gone = {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}}
    found = strategic.merge(POD, containers("a", "b"), gone)
    assert [c["name"] for c in found["spec"]["containers"]] == ["b"]
    only = {"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}]}}
    found = strategic.merge(POD, containers("a", "b"), only)
    assert [c["name"] for c in found["spec"]["containers"]] == ["z"]


def test_json_patch_operations_run_in_order_or_not_at_all() -> None:
    obj = {"a": {"b": [1, 2]}}
    patch = patches.parse_json_patch(
        b'[{"op":"test","path":"/a/b/0","value":1},{"op":"add","path":"/a/b/-","value":3}]'
    )
    assert patches.json_patch(obj, patch) == {"a": {"b": [1, 2, 3]}}
    failing = patches.parse_json_patch(
        b'[{"op":"remove","path":"/a"},{"op":"test","path":"/x","value":1}]'
    )
    with pytest.raises(StatusError):
        patches.json_patch(obj, failing)
    assert obj == {"a": {"b": [1, 2]}}


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"'])
def test_a_merge_patch_is_an_object(body: bytes) -> None:
    with pytest.raises(StatusError) as failure:
        patches.parse_merge_patch(body)
    assert failure.value.code == 400
