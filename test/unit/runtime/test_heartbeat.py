"""A loop that does not come round is noticed, and what keeps it is named."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from kaito.runtime import Metrics
from kaito.runtime.heartbeat import FRAMES, Heartbeat, stack_of

SOON = 0.02  # seconds; short, so that a test blocks the loop no longer than it must


class Lines:
    """What is logged, by any thread; a test may wait for a line with the loop blocked."""

    def __init__(self) -> None:
        self.lines: list[Any] = []
        self.heard = threading.Event()

    def __call__(self, _: Any, level: str, line: Any) -> Any:
        self.lines.append({**line, "log_level": level})
        self.heard.set()
        raise structlog.DropEvent


@pytest.fixture
def lines() -> Iterator[Lines]:
    lines = Lines()
    configured = structlog.get_config()
    structlog.configure(processors=[lines])
    yield lines
    structlog.configure(**configured)


async def beaten(heartbeat: Heartbeat) -> None:
    """Return after the next beat."""
    beat = asyncio.Event()
    observe = heartbeat._observe_lag

    def observed(lag: float) -> None:
        observe(lag)
        beat.set()

    heartbeat._observe_lag = observed
    async with asyncio.timeout(10):
        await beat.wait()
    heartbeat._observe_lag = observe


async def test_row_17_what_blocks_the_loop_is_named_while_it_does(
    metrics: Metrics, lines: Lines
) -> None:
    def stubborn_handler() -> None:
        assert lines.heard.wait(10), "nobody noticed"

    async def work() -> None:
        stubborn_handler()

    async with Heartbeat(metrics, blocked_after=SOON) as heartbeat:
        await asyncio.create_task(work(), name="website/worker-0 default/a")
        await beaten(heartbeat)
    blocked, over = lines.lines
    assert blocked["log_level"] == "warning"
    assert blocked["event"] == "event loop blocked"
    assert blocked["task"] == "website/worker-0 default/a"
    assert "in stubborn_handler" in blocked["stack"]
    assert "asyncio/base_events.py" not in blocked["stack"]
    assert (over["log_level"], over["event"]) == ("info", "event loop runs again")
    assert over["late_by"] >= blocked["late_by"] >= SOON


async def test_a_callback_that_belongs_to_no_task_is_named_as_well(
    metrics: Metrics, lines: Lines
) -> None:
    def stubborn_callback() -> None:
        assert lines.heard.wait(10), "nobody noticed"

    async with Heartbeat(metrics, blocked_after=SOON) as heartbeat:
        asyncio.get_running_loop().call_soon(stubborn_callback)
        await beaten(heartbeat)
    assert lines.lines[0]["task"] == ""
    assert "in stubborn_callback" in lines.lines[0]["stack"]


async def test_a_block_is_told_once_and_the_next_one_again(metrics: Metrics, lines: Lines) -> None:
    async with Heartbeat(metrics, blocked_after=SOON) as heartbeat:
        for _ in range(2):
            lines.heard.clear()
            assert lines.heard.wait(10)
            await beaten(heartbeat)
    assert [line["event"] for line in lines.lines] == [
        "event loop blocked",
        "event loop runs again",
    ] * 2


async def test_many_short_pieces_of_work_have_no_culprit(
    metrics: Metrics, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look of the thread beside the loop finds another task at work."""
    heartbeat = Heartbeat(metrics, blocked_after=SOON)
    turn = threading.Semaphore(0)
    looked = threading.Semaphore(0)
    looks = 0

    def wait(_: float) -> bool:
        nonlocal looks
        looked.release()
        looks += 1
        assert turn.acquire(timeout=10)
        return looks > 20

    async def piece() -> None:
        # One look happens while this is at work, and it is at work for one look.
        assert looked.acquire(timeout=10)
        turn.release()

    async with heartbeat:
        monkeypatch.setattr(heartbeat, "_ended", SimpleNamespace(wait=wait, set=lambda: None))
        heartbeat._due -= 10  # the beat is overdue from the beginning
        await asyncio.gather(*(asyncio.create_task(piece()) for _ in range(21)))
    assert lines.lines == []


async def test_a_loop_that_comes_round_is_not_warned_of_and_its_lag_is_measured(
    metrics: Metrics, lines: Lines
) -> None:
    async with Heartbeat(metrics, blocked_after=10) as heartbeat:
        await beaten(heartbeat)
    assert lines.lines == []
    assert metrics.registry.get_sample_value("kaito_runtime_loop_lag_seconds_count") == 1
    assert 0 <= heartbeat.lag <= heartbeat.longest


async def test_nothing_is_left_behind(metrics: Metrics) -> None:
    async with Heartbeat(metrics):
        assert "heartbeat" in {thread.name for thread in threading.enumerate()}
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}


async def test_with_zero_there_is_no_thread_and_the_lag_is_measured(metrics: Metrics) -> None:
    async with Heartbeat(metrics, blocked_after=0) as heartbeat:
        assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
        await beaten(heartbeat)


def test_less_than_zero_is_refused(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="give seconds, or 0 for never"):
        Heartbeat(metrics, blocked_after=-1)


def test_a_stack_is_cut_and_none_is_none() -> None:
    def outer(levels: int) -> str:
        return inner(levels - 1) if levels else stack_of(sys._getframe())

    def inner(levels: int) -> str:
        return outer(levels - 1) if levels else stack_of(sys._getframe())

    assert outer(50).count("  File ") == FRAMES
    assert stack_of(None) == ""
