"""Which changes are worth a reconcile."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kaito.runtime import (
    Change,
    Object,
    Predicate,
    Resource,
    all_of,
    annotations_changed,
    any_of,
    finalizers_changed,
    generation_changed,
    labels_changed,
)
from kaito.runtime.wire import open_object

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")


def change(kind: Any = "modified", *, uid: str = "u", **now: object) -> Change:
    def opened(**fields: object) -> tuple[Any, Any, bytes]:
        base = {"name": "a", "namespace": "ns", "uid": "u", "generation": 1}
        return open_object(msgspec.json.encode({"metadata": base | fields}))

    old = None if kind == "added" else opened()[1]
    return Change(PODS, *opened(uid=uid, **now), kind=kind, old=old)


MARKED = {"deletionTimestamp": "2025-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("predicate", "what", "expected"),
    [
        (generation_changed, change("added"), True),
        (generation_changed, change("deleted"), True),
        (generation_changed, change(generation=2), True),
        (generation_changed, change(**MARKED), True),
        (generation_changed, change(uid="other"), True),
        (generation_changed, change(labels={"x": "1"}), False),
        (generation_changed, change(resourceVersion="9"), False),
        (labels_changed, change("added"), True),
        (labels_changed, change("deleted"), True),
        (labels_changed, change(labels={"x": "1"}), True),
        (labels_changed, change(generation=2), False),
        (annotations_changed, change("added"), True),
        (annotations_changed, change(annotations={"x": "1"}), True),
        (annotations_changed, change(annotations={}), False),
        (finalizers_changed, change(finalizers=["f"]), True),
        (finalizers_changed, change("deleted"), True),
        (finalizers_changed, change(labels={"x": "1"}), False),
    ],
)
def test_row_13_a_status_write_wakes_nobody_who_asked_for_the_spec(
    predicate: Predicate, what: Change, expected: bool
) -> None:
    assert predicate(what) is expected


def test_predicates_combine() -> None:
    labelled = change(labels={"x": "1"})
    assert any_of(generation_changed, labels_changed)(labelled)
    assert not all_of(generation_changed, labels_changed)(labelled)
    assert all_of()(labelled)
    assert not any_of()(labelled)
