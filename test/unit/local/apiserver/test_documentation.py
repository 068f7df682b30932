"""The words of the installed client about the fields of built-in kinds."""

from __future__ import annotations

import pytest

from kaito.local.apiserver.documentation import Documentation


@pytest.mark.parametrize(
    ("model", "field", "words"),
    [
        ("V1ConfigMap", "data", "Data contains the configuration data."),
        ("V1PodSpec", "terminationGracePeriodSeconds", "Optional duration in seconds the pod"),
        ("V1Taint", "", 'has the "effect" on any pod'),
        ("V1ObjectMeta", "creationTimestamp", "in UTC.\n\nPopulated by the system."),
    ],
)
def test_a_field_is_described_by_its_wire_name(model: str, field: str, words: str) -> None:
    assert words in Documentation().fields(model)[field]


def test_a_field_without_words_is_left_out() -> None:
    assert all(Documentation().fields("V1Affinity").values())
    assert not any(":return" in text for text in Documentation().fields("V1Affinity").values())


def test_an_unknown_model_has_no_words() -> None:
    assert Documentation().fields("V1Nothing") == {}
