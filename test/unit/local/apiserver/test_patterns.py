"""Patterns of schemas mean what they mean on a real server."""

from __future__ import annotations

import pytest

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
