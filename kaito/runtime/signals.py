"""The signals that stop a process: the first asks it to, the second does not wait."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger("kaito.runtime.signals")


def end_at_once(code: int) -> None:
    """End the process with what has been printed so far, and without any cleaning up."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@contextmanager
def stopping_on(
    signals: Iterable[signal.Signals],
    stop: Callable[[], None],
    *,
    end: Callable[[int], None] = end_at_once,
) -> Iterator[None]:
    """Call `stop` in the running loop at the first of `signals` while the block runs.

    At a second one the process ends with exit code 128 plus its number, even when the loop is
    blocked: the handlers are the process's own and not the loop's. ValueError outside of the main
    thread, where Python takes no signals.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def heard(number: int, _: FrameType | None) -> None:
        nonlocal asked
        if asked:
            end(128 + number)
            return
        asked = True
        loop.call_soon_threadsafe(obey, number)

    def obey(number: int) -> None:
        log.info("stopping", signal=signal.Signals(number).name)
        stop()

    earlier = {number: signal.signal(number, heard) for number in signals}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
