"""Who owns which field, on a Deployment's real schema."""

from __future__ import annotations

from typing import Any

import pytest

from kaito.local.apiserver.ownership.checking import Mismatch
from kaito.local.apiserver.ownership.entries import Conflicts
from kaito.local.apiserver.ownership.managers import Ownership
from kaito.local.apiserver.schema import TypeTable

Object = dict[str, Any]
TYPES = TypeTable()
NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
def ownership() -> Ownership:
    return Ownership(TYPES.node("V1Pod"), "v1")


def pod(*containers: Object, **labels: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "labels": labels},
        "spec": {"containers": list(containers)},
    }


def empty() -> Object:
    return {"apiVersion": "v1", "kind": "Pod"}


def owners(obj: Object) -> dict[str, Object]:
    return {e["manager"]: e["fieldsV1"] for e in obj["metadata"]["managedFields"]}


def test_an_update_owns_what_it_wrote(ownership: Ownership) -> None:
    obj = pod({"name": "c", "image": "i"}, a="1")
    ownership.update({}, obj, "me", NOW)
    mine = owners(obj)["me"]
    assert mine["f:metadata"]["f:labels"] == {".": {}, "f:a": {}}
    assert mine["f:spec"]["f:containers"]['k:{"name":"c"}'] == {
        ".": {},
        "f:image": {},
        "f:name": {},
    }


def test_an_apply_over_anothers_field_conflicts_and_force_takes_it(ownership: Ownership) -> None:
    live, _ = ownership.apply(empty(), pod(a="1"), "one", force=False, now=NOW)
    with pytest.raises(Conflicts) as conflict:
        ownership.apply(live, pod(a="2"), "two", force=False, now=NOW)
    assert ".metadata.labels.a" in str(conflict.value.status())
    taken, _ = ownership.apply(live, pod(a="2"), "two", force=True, now=NOW)
    assert taken["metadata"]["labels"] == {"a": "2"}
    assert "f:a" not in owners(taken).get("one", {}).get("f:metadata", {}).get("f:labels", {})


def test_equal_values_are_shared(ownership: Ownership) -> None:
    live, _ = ownership.apply(empty(), pod(a="1"), "one", force=False, now=NOW)
    live, _ = ownership.apply(live, pod(a="1"), "two", force=False, now=NOW)
    live, _ = ownership.apply(live, pod(), "one", force=False, now=NOW)
    assert live["metadata"]["labels"] == {"a": "1"}


def test_what_an_applier_no_longer_applies_goes(ownership: Ownership) -> None:
    both = pod({"name": "c", "image": "i"}, {"name": "d", "image": "i"}, a="1", b="1")
    live, _ = ownership.apply(empty(), both, "me", force=False, now=NOW)
    live, _ = ownership.apply(
        live, pod({"name": "d", "image": "i"}, b="1"), "me", force=False, now=NOW
    )
    assert [c["name"] for c in live["spec"]["containers"]] == ["d"]
    assert live["metadata"]["labels"] == {"b": "1"}


def test_a_value_of_the_wrong_shape_is_a_mismatch(ownership: Ownership) -> None:
    wrong = {**empty(), "metadata": {"name": "p"}, "spec": {"containers": {"name": "c"}}}
    with pytest.raises(Mismatch):
        ownership.apply(empty(), wrong, "me", force=False, now=NOW)


def test_client_side_apply_is_taken_over_without_conflict(ownership: Ownership) -> None:
    note = '{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"1"},"name":"p"},"spec":{}}\n'
    obj = pod(a="1")
    obj["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": note}
    ownership.update({}, obj, "kubectl-client-side-apply", NOW)
    live, _ = ownership.apply(obj, pod(a="2"), "kubectl", force=False, now=NOW)
    assert live["metadata"]["labels"] == {"a": "2"}
    assert '"a":"2"' in str(live["metadata"]["annotations"])
