"""A clock that moves only when a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest


@dataclass
class Booked:
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class ManualClock:
    """Satisfies kaito.runtime.Clock; `advance` runs what has become due, in order."""

    at: float = 1_767_225_600.0  # 2026-01-01T00:00:00Z
    _booked: list[tuple[float, int, Booked]] = field(default_factory=list)
    _order: itertools.count[int] = field(default_factory=itertools.count)

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.Event()
        self.call_later(seconds, woken.set)
        await woken.wait()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Booked:
        booked = Booked(callback)
        heapq.heappush(self._booked, (self.at + seconds, next(self._order), booked))
        return booked

    def advance(self, seconds: float) -> None:
        until = self.at + seconds
        while self._booked and self._booked[0][0] <= until:
            self.at, _, booked = heapq.heappop(self._booked)
            if not booked.cancelled:
                booked.callback()
        self.at = until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
