"""Ends what has fallen silent.

A moved timeout at each event would cost as much as splitting the event; here one timer looks at
the time of the last one.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from kaito.runtime.clock import Clock, Timer
from kaito.runtime.errors import CallTimedOut


class Watchdog:
    """Ends a block in which `pat` has not been called for `limit` seconds with CallTimedOut."""

    def __init__(self, clock: Clock, limit: float, what: str) -> None:
        self._clock = clock
        self._limit = limit
        self._what = what
        self._last = clock.monotonic()
        self._timeout = asyncio.timeout(None)
        self._timer: Timer | None = None

    def pat(self) -> None:
        """There is life."""
        self._last = self._clock.monotonic()

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._look()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise CallTimedOut(f"{self._what} was silent for {self._limit:g} s.") from None

    def _look(self) -> None:
        left = self._last + self._limit - self._clock.monotonic()
        if left <= 0:
            self._timeout.reschedule(asyncio.get_running_loop().time())
        else:
            self._timer = self._clock.call_later(left, self._look)
