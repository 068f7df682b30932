"""Sets of indexes of a Job's pods."""

from __future__ import annotations

import pytest

from kaito.local.apiserver.behaviours.indexes import IndexesError, intervals, overlap, size


def test_indexes_are_numbers_and_intervals() -> None:
    found = intervals("0,2-4", 5)
    assert found == [(0, 0), (2, 4)]
    assert size(found) == 4
    assert intervals("", 5) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x", 'cannot convert string to integer for index: "x"'),
        ("5", 'too large index: "5"'),
        ("3,1", "non-increasing order, previous: 3, current: 1"),
        ("2-1", "non-increasing order, previous: 2, current: 1"),
    ],
)
def test_bad_indexes_say_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(IndexesError) as caught:
        intervals(text, 5)
    assert str(caught.value) == why


def test_two_sets_may_share_an_index() -> None:
    assert overlap("0-2", "2,4", 5) == 2
    assert overlap("0-1", "2,4", 5) is None
    assert overlap("0-1,x", "1", 5) == 1
