"""The first signal asks a process to stop, the second does not wait."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest
from structlog.testing import capture_logs

from kaito.runtime.signals import STOP_SIGNALS, stopping_on


@pytest.mark.parametrize("number", STOP_SIGNALS)
async def test_the_first_signal_asks_to_stop(number: signal.Signals) -> None:
    stopped = asyncio.Event()
    ended: list[int] = []
    with capture_logs() as logs, stopping_on(STOP_SIGNALS, stopped.set, end=ended.append):
        os.kill(os.getpid(), number)
        async with asyncio.timeout(10):
            await stopped.wait()
    assert ended == []
    assert logs[0]["signal"] == number.name


async def test_the_second_ends_the_process_though_the_loop_is_blocked() -> None:
    ended: list[int] = []
    with stopping_on(STOP_SIGNALS, lambda: None, end=ended.append):
        # The loop does not turn in between.
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended == [143]


async def test_the_handlers_from_before_are_back_afterwards() -> None:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    with stopping_on(STOP_SIGNALS, lambda: None):
        assert [signal.getsignal(number) for number in STOP_SIGNALS] != before
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def test_outside_of_the_main_thread_it_says_so() -> None:
    caught: list[str] = []

    async def attempt() -> None:
        try:
            with stopping_on(STOP_SIGNALS, lambda: None):
                pass
        except ValueError as error:
            caught.append(str(error))

    thread = threading.Thread(target=lambda: asyncio.run(attempt()))
    thread.start()
    thread.join(10)
    assert len(caught) == 1
    assert "main thread" in caught[0]
