"""docs/workspace.md names every reason that a Workspace's conditions and Events can have."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaito.api import conditions

PAGE = (Path(__file__).parents[2] / "docs" / "workspace.md").read_text()
WORDS = sorted(
    value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)
)


@pytest.mark.parametrize("word", WORDS)
def test_a_reason_is_explained(word: str) -> None:
    assert f"`{word}`" in PAGE
