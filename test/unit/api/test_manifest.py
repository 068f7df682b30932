"""YAML that we write reads back as what it was, with any reader."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.manifest import render

words = st.text(
    alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x17F, exclude_categories=["Cc"])
) | st.sampled_from(
    ["yes", "NO", "~", "null", ".5", "1e3", "-", "", " a", "a:", "a: b", "a #b", "="]
)
scalars = st.none() | st.booleans() | st.integers() | words
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(words, values, min_size=1, max_size=4), max_size=3))
def test_what_is_rendered_reads_back(objects: list[dict[str, object]]) -> None:
    assert list(yaml.safe_load_all(render(objects))) == objects  # type: ignore[arg-type]  # JSON


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("phi-3-mini", "phi-3-mini"),
        ("A sentence, with signs; and (brackets).", "A sentence, with signs; and (brackets)."),
        ("on", '"on"'),
        ("key: value", '"key: value"'),
        ("0123", '"0123"'),
        (5, "5"),
        (True, "true"),
        ({}, "{}"),
        ([], "[]"),
    ],
)
def test_strings_are_quoted_only_where_a_reader_could_mistake_them(
    value: object, text: str
) -> None:
    assert render([{"a": value}]) == f"---\na: {text}\n"  # type: ignore[dict-item]  # JSON
