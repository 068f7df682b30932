"""YAML that we write reads back as what it was, with any reader."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kaito.api.manifest import render

UNUSUAL = (
    "\x00\x07\t\n\x1b\x7f\x85\xa0\xad\u2028\u2029\ud800\udfff\ufeff\ufffe\uffff\U0001f600\U0010ffff"
)
words = (
    st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x17F))
    | st.text(alphabet=UNUSUAL + "a :#", max_size=6)
    | st.text(alphabet=st.characters(exclude_categories=[]), max_size=4)
    | st.sampled_from(
        ["yes", "NO", "~", "null", ".5", "1e3", "-", "", " a", "a:", "a: b", "a #b", "=", "<<"]
    )
    | st.sampled_from(["a" * 1000, "a" * 1024, "\x85" * 300, "a " * 600])
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
)
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
        (1e22, "1.0e+22"),
        (1.5e-7, "1.5e-07"),
        ("\x7f\x85\u2028", '"\\u007f\\u0085\\u2028"'),
        ("\ud800", '"\\ud800"'),
        (True, "true"),
        ({}, "{}"),
        ([], "[]"),
    ],
)
def test_strings_are_quoted_only_where_a_reader_could_mistake_them(
    value: object, text: str
) -> None:
    assert render([{"a": value}]) == f"---\na: {text}\n"  # type: ignore[dict-item]  # JSON


def test_a_key_that_readers_would_lose_is_marked_as_one() -> None:
    key = "k" * 1025
    assert render([{key: {"a": [1]}}]) == f"---\n? {key}\n:\n  a:\n  - 1\n"


def test_a_number_that_json_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        render([{"a": float("nan")}])
