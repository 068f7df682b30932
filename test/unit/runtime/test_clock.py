"""Time as an argument, and the virtual one that tests pass."""

from __future__ import annotations

import asyncio

import pytest

from kaito.runtime import SystemClock, parse_rfc3339, rfc3339, rfc3339_micro
from kaito.runtime.clock import deadline
from kaito.testing import VirtualClock


def test_times_are_written_as_kubernetes_writes_them() -> None:
    assert rfc3339(1_750_000_000.987) == "2025-06-15T15:06:40Z"
    assert rfc3339_micro(1_750_000_000.5) == "2025-06-15T15:06:40.500000Z"


@pytest.mark.parametrize(
    "text",
    ["2025-06-15T15:06:40Z", "2025-06-15T15:06:40.000000Z", "2025-06-15T17:06:40+02:00"],
)
def test_times_are_read_in_every_form_that_servers_send(text: str) -> None:
    assert parse_rfc3339(text) == 1_750_000_000


def test_what_is_no_time_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="soon"):
        parse_rfc3339("soon")


async def test_the_machines_clock_sleeps_and_calls() -> None:
    clock = SystemClock()
    called = asyncio.Event()
    clock.call_later(0, called.set)
    await clock.sleep(0)
    async with asyncio.timeout(5):
        await called.wait()
    assert clock.monotonic() <= clock.monotonic()
    assert clock.now() > 1_750_000_000


async def test_a_deadline_passes_on_the_given_clock(clock: VirtualClock) -> None:
    async def work() -> None:
        async with deadline(clock, 5):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.1)
    with pytest.raises(TimeoutError):
        await task
    assert clock.pending == 0


async def test_work_that_ends_in_time_leaves_no_timer(clock: VirtualClock) -> None:
    async with deadline(clock, 5):
        pass
    async with deadline(clock, None):
        assert clock.pending == 0
    assert clock.pending == 0


async def test_virtual_timers_run_in_order_each_at_its_moment(clock: VirtualClock) -> None:
    ran: list[tuple[str, float]] = []
    start = clock.monotonic()
    for name, seconds in (("late", 3), ("early", 1), ("also early", 1)):
        clock.call_later(seconds, lambda name=name: ran.append((name, clock.monotonic() - start)))  # type: ignore[misc]  # early binding
    clock.call_later(2, lambda: clock.call_later(0.5, lambda: ran.append(("nested", 2.5))) and None)
    await clock.advance(3)
    assert ran == [("early", 1), ("also early", 1), ("nested", 2.5), ("late", 3)]


async def test_a_virtual_sleep_wakes_at_its_time_and_not_before(clock: VirtualClock) -> None:
    task = asyncio.create_task(clock.sleep(10))
    await clock.advance(9)
    assert not task.done()
    assert await clock.run_until(task.done) == 1


async def test_waiting_for_what_never_comes_is_an_error_and_not_a_hang(
    clock: VirtualClock,
) -> None:
    with pytest.raises(AssertionError, match="nothing is booked"):
        await clock.run_until(lambda: False)
    clock.call_later(100, lambda: None)
    with pytest.raises(AssertionError, match="50 s have passed"):
        await clock.run_until(lambda: False, limit=50)


async def test_the_wall_clock_can_jump_and_nothing_is_due_for_it(clock: VirtualClock) -> None:
    before = clock.monotonic()
    clock.call_later(10, lambda: pytest.fail("a jump is not the passing of time"))
    clock.step(3600)
    await clock.settle()
    assert clock.monotonic() == before


async def test_after_a_jump_what_fell_due_runs_once(clock: VirtualClock) -> None:
    ran: list[float] = []

    def tick() -> None:
        ran.append(clock.now())
        clock.call_later(60, tick)

    clock.call_later(60, tick)
    start = clock.now()
    await clock.jump(86_400)
    assert ran == [start + 86_400]
    await clock.advance(60)
    assert len(ran) == 2


async def test_what_is_waited_for_may_be_a_coroutine_function(clock: VirtualClock) -> None:
    start = clock.now()

    async def an_hour_has_passed() -> bool:
        return clock.now() - start >= 3600

    for minute in range(1, 100):
        clock.call_later(60 * minute, lambda: None)
    assert await clock.run_until(an_hour_has_passed) == 3600
