"""Label and field selectors."""

from __future__ import annotations

import pytest

from kaito.local.apiserver import selectors


def holds(text: str, **labels: str) -> bool:
    match = selectors.labels(text)
    return match is None or match(labels)


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("", True),
        ("a=1", True),
        ("a==1", True),
        ("a!=1", False),
        ("b!=1", True),
        ("a", True),
        ("!a", False),
        ("!b", True),
        ("a in (1, 2)", True),
        ("a notin (1)", False),
        ("b notin (1)", True),
        ("a>0", True),
        ("a<1", False),
        ("a=1,b", False),
    ],
)
def test_a_label_selector_takes_or_leaves(text: str, taken: bool) -> None:
    assert holds(text, a="1") is taken


@pytest.mark.parametrize("text", ["a in 1", "a in (", "=b", "a=b=c", "a,,b", "a in (x y)", "-a"])
def test_a_bad_label_selector_is_refused(text: str) -> None:
    with pytest.raises(selectors.SelectorError):
        selectors.labels(text)


def test_field_terms_compare_exactly() -> None:
    match = selectors.field_match(selectors.field_terms("metadata.name=a,spec.nodeName!=n"))
    assert match is not None
    assert match({"metadata.name": "a", "spec.nodeName": ""})
    assert not match({"metadata.name": "a", "spec.nodeName": "n"})


def test_a_field_value_may_hold_escaped_commas() -> None:
    (term,) = selectors.field_terms(r"metadata.name=a\,b")
    assert term.value == "a,b"
