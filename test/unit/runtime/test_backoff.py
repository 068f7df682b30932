"""Delays grow, are capped, and start over after a quiet time."""

from __future__ import annotations

import pytest

from kaito.runtime import Backoff, RetryRate
from kaito.runtime.backoff import ITEM_BACKOFF, ItemFailures, Pacer, TokenBucket


def test_the_list_and_watch_delays_are_client_gos() -> None:
    delays = [Backoff().delay(step, lambda: 0.0) for step in range(8)]
    assert delays == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


def test_jitter_is_drawn_for_each_step_and_does_not_add_up() -> None:
    assert Backoff().delay(1, lambda: 0.5) == pytest.approx(2.4)
    assert Backoff().delay(1000, lambda: 0.99) == pytest.approx(59.7)


def test_a_pacer_starts_over_after_a_quiet_time() -> None:
    now = 0.0
    pacer = Pacer(Backoff(jitter=0), lambda: now)
    assert [pacer.next_delay(), pacer.next_delay()] == [0.8, 1.6]
    now = 119.0
    assert pacer.next_delay() == 3.2
    now = 240.0
    assert pacer.next_delay() == 0.8


def test_an_item_waits_655_s_on_its_18th_failure_in_a_row_and_1000_s_from_then_on() -> None:
    failures = ItemFailures(ITEM_BACKOFF)
    delays = [failures.next_delay("k") for _ in range(20)]
    assert delays[:3] == [0.005, 0.01, 0.02]
    assert delays[17] == pytest.approx(655.36)
    assert delays[18:] == [1000.0, 1000.0]


def test_a_forgotten_item_starts_over_and_leaves_nothing_behind() -> None:
    failures = ItemFailures()
    failures.next_delay("k")
    failures.next_delay("other")
    failures.forget("k")
    failures.forget("never seen")
    assert (failures.count("k"), failures.count("other")) == (0, 1)
    assert failures.next_delay("k") == 0.005
    assert len(failures._failures) == 2


def test_a_bucket_hands_out_its_burst_at_once_and_then_its_rate() -> None:
    now = 0.0
    bucket = TokenBucket(RetryRate(), lambda: now)
    assert [bucket.reserve() for _ in range(100)] == [0.0] * 100
    assert [bucket.reserve() for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    now = 0.3
    assert bucket.reserve() == pytest.approx(0.1)


def test_a_bucket_fills_up_again_and_never_beyond_its_burst() -> None:
    now = 0.0
    bucket = TokenBucket(RetryRate(per_second=1, burst=2), lambda: now)
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    now = 1.0
    assert [bucket.take() for _ in range(2)] == [True, False]
    now = 1000.0
    assert [bucket.take() for _ in range(3)] == [True, True, False]


@pytest.mark.parametrize(("per_second", "burst"), [(0, 10), (-1, 10), (10, 0)])
def test_a_rate_of_nothing_is_refused(per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="per_second > 0 and burst >= 1"):
        RetryRate(per_second=per_second, burst=burst)
