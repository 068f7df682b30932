"""Completion indexes as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.local.workloads.completions import criteria_met, parse, write


@given(st.sets(st.integers(0, 200)))
def test_what_was_written_is_read(numbers: set[int]) -> None:
    assert parse(write(numbers), 201) == numbers


@pytest.mark.parametrize(
    ("numbers", "text"), [([0], "0"), ([1, 2], "1,2"), ([0, 1, 2, 5], "0-2,5"), ([], "")]
)
def test_three_in_a_row_are_a_range(numbers: list[int], text: str) -> None:
    assert write(numbers) == text


def test_numbers_beyond_the_completions_do_not_count() -> None:
    assert parse("1-9,x,12", 4) == {1, 2, 3}


@pytest.mark.parametrize("text", ["²", "1-²", "9" * 5000, "-", "-1", "1-", ""])
def test_what_is_no_number_does_not_count(text: str) -> None:
    assert parse(text, 4) <= {1}


@pytest.mark.parametrize(
    ("rule", "succeeded", "met"),
    [
        ({"succeededIndexes": "0-1"}, {0}, False),
        ({"succeededIndexes": "0-1"}, {0, 1}, True),
        ({"succeededIndexes": "0-2", "succeededCount": 1}, {2}, True),
        ({"succeededIndexes": "0-2", "succeededCount": 1}, {5}, False),
        ({"succeededCount": 2}, {4, 5}, True),
        ({"succeededCount": 2}, {4}, False),
    ],
)
def test_a_success_policy_asks_for_indexes_or_for_a_number(
    rule: dict[str, object], succeeded: set[int], met: bool
) -> None:
    job = {"spec": {"completions": 6, "successPolicy": {"rules": [rule]}}}
    assert bool(criteria_met(job, succeeded)) is met
