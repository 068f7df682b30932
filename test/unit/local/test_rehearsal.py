"""What annotations ask for."""

from __future__ import annotations

import pytest

from kaito.local.kinds import NAMESPACES
from kaito.local.rehearsal import Asked, NodeFault, PodFault, Rehearsal, asked_of_node
from kaito.runtime import Object, Store


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"local.kaito.sh/fault": "image-pull"}, Asked(fault=PodFault.IMAGE)),
        (
            {"local.kaito.sh/fault": "crash", "local.kaito.sh/exit-code": "3"},
            Asked(fault=PodFault.CRASH, exit_code=3),
        ),
        (
            {"local.kaito.sh/fault": "crash", "local.kaito.sh/exit-code": "999"},
            Asked(fault=PodFault.CRASH),
        ),
        (
            {"local.kaito.sh/fault-after": "1.5m", "local.kaito.sh/fault-times": "2"},
            Asked(after=90, times=2),
        ),
        (
            {"local.kaito.sh/image-size": "12Gi", "local.kaito.sh/start": "250ms"},
            Asked(image_size=12 * 2**30, start=0.25),
        ),
        (
            {"local.kaito.sh/image-size": "big", "local.kaito.sh/fault": "whatever"},
            Asked(),
        ),
        ({"local.kaito.sh/exit-code": "²", "local.kaito.sh/fault-times": "9" * 5000}, Asked()),
        ({"local.kaito.sh/fault-after": "²s", "local.kaito.sh/start": "9" * 400}, Asked()),
    ],
)
def test_annotations_are_read(annotations: dict[str, str], expected: Asked) -> None:
    assert Asked.of(annotations) == expected


def test_a_pod_without_any_is_asked_for_nothing() -> None:
    rehearsal = Rehearsal(Store(NAMESPACES))
    assert rehearsal.of({"metadata": {"namespace": "ns", "annotations": {"a": "b"}}}) == Asked()


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"annotations": {"local.kaito.sh/fault": "lost"}}, NodeFault.LOST),
        ({"labels": {"local.kaito.sh/fault": "no-gpu"}}, NodeFault.NO_GPU),
        (
            {
                "labels": {"local.kaito.sh/fault": "no-gpu"},
                "annotations": {"local.kaito.sh/fault": ""},
            },
            None,
        ),
        ({"labels": {"local.kaito.sh/fault": "quota"}}, None),
        ({}, None),
    ],
)
def test_a_node_is_asked_by_annotation_before_label(
    metadata: Object, expected: NodeFault | None
) -> None:
    assert asked_of_node({"metadata": metadata}) is expected
