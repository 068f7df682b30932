"""Ranges of time as people read them."""

from __future__ import annotations

import pytest

from kaito.catalog.timing import Range
from kaito.cli.ranges import as_seconds, spell


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (8, 71, "8-71 s"),
        (60, 121, "1-2 min"),
        (300, 7000, "5-117 min"),
        (3600, 9000, "1.0-2.5 h"),
        (86400, 10 * 86400, "1.0-10.0 days"),
    ],
)
def test_a_range_is_told_in_a_unit_that_fits(low: float, high: float, words: str) -> None:
    assert spell(Range(low=low, high=high)) == words


def test_what_is_not_known_is_said() -> None:
    assert spell(None) == "an unknown time"
    assert as_seconds(None) is None
