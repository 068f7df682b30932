"""Trying again."""

from __future__ import annotations

import pytest

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.patience import PROGRESS, Pace, Passing, Patience, asked_pause

DOWN = Passing(Ending.SOURCE_UNAVAILABLE, "It is down.")


def failing(times: int, error: Exception = DOWN) -> tuple[list[float], Patience, object]:
    slept: list[float] = []
    left = [error] * times

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    return slept, Patience(jitter=lambda: 0.0, sleep=slept.append), work


def test_pauses_double() -> None:
    slept, patience, work = failing(4)
    assert patience.until_done(work) == "done"  # type: ignore[arg-type]
    assert slept == [1, 2, 4, 8]


def test_it_ends_when_it_has_been_tried_often_enough() -> None:
    slept, patience, work = failing(5)
    with pytest.raises(Ended, match="It is down") as caught:
        patience.until_done(work)  # type: ignore[arg-type]
    assert caught.value.ending == Ending.SOURCE_UNAVAILABLE
    assert len(slept) == 4


def test_a_server_says_how_long_it_wants_to_be_left_alone() -> None:
    slept, patience, work = failing(1, Passing(Ending.SOURCE_UNAVAILABLE, "", after=40))
    patience.until_done(work)  # type: ignore[arg-type]
    assert slept == [40]


def test_a_server_that_wants_too_much_of_that_is_down() -> None:
    slept, patience, work = failing(1, Passing(Ending.SOURCE_UNAVAILABLE, "", after=4000))
    with pytest.raises(Ended):
        patience.until_done(work)  # type: ignore[arg-type]
    assert slept == []


def test_what_makes_progress_is_tried_as_long_as_it_does() -> None:
    slept, patience, work = failing(20)
    have = iter(range(0, 100 * PROGRESS, PROGRESS))
    assert patience.until_done(work, lambda: next(have)) == "done"  # type: ignore[arg-type]
    assert set(slept) == {1}


def test_other_errors_are_not_tried_again() -> None:
    slept, patience, work = failing(1, ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        patience.until_done(work)  # type: ignore[arg-type]
    assert slept == []


def test_a_trickle_is_too_slow() -> None:
    pace = Pace(0.0)
    assert not any(pace.too_slow(second, 1) for second in range(60))
    assert pace.too_slow(60.0, 1)


def test_bytes_that_come_are_fast_enough() -> None:
    pace = Pace(0.0)
    assert not any(pace.too_slow(second, 2048) for second in range(600))


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), (None, 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("²", 0)]
)
def test_a_pause_that_is_asked_for_is_a_number_of_seconds(
    header: str | None, seconds: float
) -> None:
    assert asked_pause(header) == seconds
