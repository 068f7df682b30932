"""Time as an argument: nothing in this library reads the clock of the machine by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol


class Timer(Protocol):
    """A callback that has been booked and can be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has run already."""


class Clock(Protocol):
    """What the library asks of time. Tests pass a virtual one."""

    def now(self) -> float:
        """Seconds since the epoch, for what people and other programs read."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, for measuring and for deadlines."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in the event loop after `seconds`."""


class SystemClock:
    """The machine's clock and the running event loop."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


@asynccontextmanager
async def deadline(clock: Clock, seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """asyncio.timeout by `clock`: TimeoutError when the block takes longer. None: no deadline."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as scope:
        timer = None
        if seconds is not None:
            timer = clock.call_later(seconds, lambda: scope.reschedule(loop.time()))
        try:
            yield scope
        finally:
            if timer is not None:
                timer.cancel()


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as Kubernetes writes a `Time`: UTC, whole seconds, a final Z."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """Seconds since the epoch as Kubernetes writes a `MicroTime`: UTC with microseconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_rfc3339(text: str) -> float:
    """Seconds since the epoch of a `Time` or `MicroTime`; ValueError when it is neither."""
    return datetime.fromisoformat(text).timestamp()
