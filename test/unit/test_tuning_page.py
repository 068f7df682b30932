"""docs/tuning.md names every setting, every form of data and every way in which it can fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from kaito.api import tuning
from kaito.engine.tuning.data.files import KINDS
from kaito.engine.tuning.data.forms import ANSWERS, CHATS, PLAIN, REQUESTS, SYSTEMS
from kaito.engine.tuning.keys import OLDER, SECTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text()
# As a CSV and a parquet file, to whoever calls them so.
OTHER_NAMES = {"pq"}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_is_listed_in_its_section(section: str) -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| `{section}` |")]
    assert row == f"| `{section}` | {', '.join(f'`{name}`' for name in SECTIONS[section])} |"


@pytest.mark.parametrize("word", [*OLDER, *CHATS, *REQUESTS, *ANSWERS, SYSTEMS[0], PLAIN])
def test_a_word_that_is_taken_is_told(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("extension", sorted(KINDS.keys() - OTHER_NAMES))
def test_a_kind_of_file_is_told(extension: str) -> None:
    assert f"`.{extension}`" in PAGE


@pytest.mark.parametrize("ending", tuning.ENDINGS.values(), ids=lambda ending: ending.reason)
def test_an_ending_is_told_with_its_code_and_whether_it_is_tried_again(
    ending: tuning.Ending,
) -> None:
    again = "" if ending.final else "3 times"
    assert f"| `{ending.reason}` | {ending.code} |{f' {again}' if again else ''} |" in PAGE
