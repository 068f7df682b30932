"""Patterns of schemas mean what they mean on a real server."""

from __future__ import annotations

import pytest

from kaito.local.apiserver.custom.matching import matches
from kaito.local.apiserver.custom.patterns import compiled


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a$", "a", True),
        ("^a$", "a\n", False),
        ("^[a$]+$", "a$", True),
        (r"^a\$$", "a$", True),
        (r"^a\z", "a", True),
        ("(?m)^a$", "a\nb", True),
        (r"[]$]x", "$x", True),
    ],
)
def test_the_end_of_a_text_is_its_end(pattern: str, text: str, found: bool) -> None:
    assert bool(compiled(pattern).search(text)) is found


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|a)*$", "(a*)*b$", "^(([a-z])+.)+[A-Z]$", ".{0,99}" * 9 + "b$"]
)
def test_no_pattern_is_tried_for_ever(pattern: str) -> None:
    assert not matches(pattern, "a" * 3_000 + "!")


@pytest.mark.parametrize("text", ["", "a", "ab", "aab", "é\n", "\U0001f600b"])
@pytest.mark.parametrize("pattern", ["(?:a|é)+$", "^(a*b?)*$", r"(.\n?)+b", "[^a]+[b-z]*.?$"])
def test_both_engines_agree(pattern: str, text: str) -> None:
    assert matches(pattern, text) is bool(compiled(pattern).search(text))
