"""A clock that moves when told to: an hour of waiting passes in a millisecond.

It replaces time and nothing else. The event loop is the real one, so code under test runs as it
does in production, between two moments of this clock.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable

ROUNDS = 200  # turns of the event loop granted to what a due timer has set going
EPOCH = 1_750_000_000.0  # an arbitrary day in 2025


class VirtualTimer:
    """A callback booked on a VirtualClock."""

    __slots__ = ("at", "callback")

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Call it off; harmless when it has run already."""
        self.callback = None


class VirtualClock:
    """A kaito.runtime Clock under the control of a test.

    Nothing is due before `advance`, `jump` or `run_until`; these run what is due in order of time
    and let the event loop come to rest in between. All but `jump` run each timer at its moment.
    """

    def __init__(self, now: float = EPOCH) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._booked = 0
        self._timers: list[tuple[float, int, VirtualTimer]] = []

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since an arbitrary beginning."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Return when the clock has been moved by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        timer = self.call_later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> VirtualTimer:
        """Run `callback` when the clock has been moved by `seconds`."""
        self._booked += 1
        timer = VirtualTimer(self._monotonic + max(seconds, 0.0), callback)
        heapq.heappush(self._timers, (timer.at, self._booked, timer))
        return timer

    @property
    def pending(self) -> int:
        """Timers that are booked and not called off; a leak shows here."""
        return sum(timer.callback is not None for _, _, timer in self._timers)

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or an administrator would; nothing is due."""
        self._now += seconds

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        end = self._monotonic + seconds
        await self.settle()
        while (at := self._next()) is not None and at <= end:
            await self._run_next(at)
        self._move(end)
        await self.settle()

    async def jump(self, seconds: float) -> None:
        """Let `seconds` pass at once, as for a machine that was suspended: what fell due in
        between runs now, once, however often it would have run. For days and years."""
        await self.settle()
        self._move(self._monotonic + seconds)
        due = [entry for entry in self._timers if entry[0] <= self._monotonic]
        for _, _, timer in sorted(due, key=lambda entry: entry[:2]):
            callback, timer.callback = timer.callback, None
            if callback is not None:
                callback()
                await self.settle()
        await self.settle()

    async def run_until(
        self, reached: Callable[[], bool | Awaitable[bool]], *, limit: float = 3600.0
    ) -> float:
        """Let time pass, timer by timer, until `reached()`; the seconds that it took.

        `reached` may be a coroutine function. AssertionError when `limit` seconds pass, or nothing
        is booked any more, before that.
        """
        start = self._monotonic
        await self.settle()
        while not (await answer if isinstance(answer := reached(), Awaitable) else answer):
            at = self._next()
            if at is None or at > start + limit:
                waited = "nothing is booked" if at is None else f"{limit:g} s have passed"
                raise AssertionError(f"{waited}, and the condition is not reached")
            await self._run_next(at)
        return self._monotonic - start

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(ROUNDS):
            await asyncio.sleep(0)

    def _next(self) -> float | None:
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    async def _run_next(self, at: float) -> None:
        self._move(at)
        _, _, timer = heapq.heappop(self._timers)
        callback, timer.callback = timer.callback, None
        if callback is not None:
            callback()
        await self.settle()

    def _move(self, to: float) -> None:
        self._now += to - self._monotonic
        self._monotonic = to
