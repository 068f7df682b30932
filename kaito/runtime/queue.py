"""Work queue: hands each key to at most one worker, forgets nothing, invents nothing.

A key added while it is being worked on is handed out once more afterwards; a key added many times
while it waits is handed out once. This module knows no Kubernetes; keys are any hashable value.

Priorities age. A priority is a head start in seconds: of two ready keys the one with the smaller
`ready time - priority` comes first, so a key of priority -100 yields to keys of priority 0 for
at most a hundred seconds and can never starve.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from kaito.runtime.clock import Clock, Timer

K = TypeVar("K")

NORMAL = 0
INITIAL = -100  # controller-runtime's priority for what the first list brought
SLACK = 64  # overtaken bookings worth keeping rather than sweeping


class QueueMetrics(Protocol):
    """What a queue reports."""

    def ready(self, depth: int) -> None:
        """A key became ready to be worked on; so many wait now."""

    def retried(self) -> None:
        """A key was added with a delay."""

    def handed_out(self, depth: int, waited: float) -> None: ...

    def done(self, worked: float) -> None: ...


@dataclass(frozen=True, slots=True)
class _Ready:
    score: float
    order: int
    priority: int
    since: float


@dataclass(frozen=True, slots=True)
class _Work:
    since: float
    priority: int


class WorkQueue(Generic[K]):
    """See the module. Not thread-safe: one event loop owns it."""

    def __init__(self, clock: Clock, metrics: QueueMetrics | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._ready: dict[K, _Ready] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._delayed: dict[K, tuple[float, int]] = {}
        self._schedule: list[tuple[float, int, K]] = []
        self._working: dict[K, _Work] = {}
        self._again: dict[K, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: Timer | None = None
        self._timer_at = float("inf")
        self._order = 0
        self._closed = False

    def add(self, key: K, *, priority: int = NORMAL) -> None:
        """Have `key` worked on. A waiting key keeps the higher of its priorities."""
        if self._closed:
            return
        if key in self._working:
            self._again[key] = max(priority, self._again.get(key, priority))
            return
        delayed = self._delayed.pop(key, None)
        if delayed is not None:
            priority = max(priority, delayed[1])
        waiting = self._ready.get(key)
        if waiting is not None and waiting.priority >= priority:
            return
        since = waiting.since if waiting is not None else self._clock.monotonic()
        self._order += 1
        entry = _Ready(since - priority, self._order, priority, since)
        self._ready[key] = entry
        heapq.heappush(self._heap, (entry.score, entry.order, key))
        if waiting is None:
            if self._metrics is not None:
                self._metrics.ready(len(self._ready))
            self._wake()

    def add_after(self, key: K, seconds: float, *, priority: int = NORMAL) -> None:
        """Have `key` worked on in `seconds`. Of several times the earliest holds."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key, priority=priority)
            return
        if self._metrics is not None:
            self._metrics.retried()
        if key in self._ready:
            return
        at = self._clock.monotonic() + seconds
        booked = self._delayed.get(key)
        if booked is not None:
            priority = max(priority, booked[1])
            if booked[0] <= at:
                self._delayed[key] = (booked[0], priority)
                return
        self._delayed[key] = (at, priority)
        self._order += 1
        heapq.heappush(self._schedule, (at, self._order, key))
        if len(self._schedule) > 2 * len(self._delayed) + SLACK:
            self._sweep()
        self._arm()

    async def get(self) -> K:
        """The next key; the caller owns it until `done`. QueueClosed when closed and empty."""
        while True:
            key = self._take()
            if key is not None:
                return key
            if self._closed:
                raise QueueClosed
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                # A wake-up that reached us on the way out belongs to the next in line.
                if getter.done() and not getter.cancelled():
                    self._wake()
                raise
            finally:
                if getter in self._getters:
                    self._getters.remove(getter)

    def done(self, key: K) -> None:
        """The work on `key` has ended. KeyError when it was not handed out."""
        work = self._working.pop(key)
        if self._metrics is not None:
            self._metrics.done(self._clock.monotonic() - work.since)
        priority = self._again.pop(key, None)
        if priority is not None:
            self.add(key, priority=priority)

    def close(self) -> None:
        """Take no more keys and drop the delayed ones; what is ready is still handed out."""
        self._closed = True
        self._delayed.clear()
        self._schedule.clear()
        self._again.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for getter in self._getters:
            if not getter.done():
                getter.set_result(None)

    def clear(self) -> None:
        """Drop everything that waits."""
        self._ready.clear()
        self._heap.clear()

    @property
    def depth(self) -> int:
        """Keys ready to be worked on; delayed ones do not count."""
        return len(self._ready)

    @property
    def delayed(self) -> int:
        return len(self._delayed)

    @property
    def oldest(self) -> float:
        """Seconds for which the key that waits longest has been ready; 0 when none waits."""
        if not self._ready:
            return 0.0
        return self._clock.monotonic() - min(entry.since for entry in self._ready.values())

    @property
    def working(self) -> dict[K, float]:
        """The keys now worked on, each with the seconds since it was handed out."""
        now = self._clock.monotonic()
        return {key: now - work.since for key, work in self._working.items()}

    def ages(self) -> list[float]:
        """Seconds since each of the keys now worked on was handed out."""
        now = self._clock.monotonic()
        return [now - work.since for work in self._working.values()]

    def priority(self, key: K) -> int:
        """The priority with which a key now worked on was handed out."""
        return self._working[key].priority

    def _take(self) -> K | None:
        while self._heap:
            _, order, key = heapq.heappop(self._heap)
            entry = self._ready.get(key)
            if entry is None or entry.order != order:
                continue  # raised to another priority since
            del self._ready[key]
            now = self._clock.monotonic()
            self._working[key] = _Work(now, entry.priority)
            if self._metrics is not None:
                self._metrics.handed_out(len(self._ready), now - entry.since)
            return key
        return None

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _sweep(self) -> None:
        """Drop the bookings that were overtaken, so that they do not pile up until they are due."""
        self._schedule = [(at, n, key) for n, (key, (at, _)) in enumerate(self._delayed.items())]
        heapq.heapify(self._schedule)

    def _arm(self) -> None:
        while (
            self._schedule
            and self._delayed.get(self._schedule[0][2], (None,))[0] != (self._schedule[0][0])
        ):
            heapq.heappop(self._schedule)
        if not self._schedule:
            return
        at = self._schedule[0][0]
        if self._timer is not None and self._timer_at <= at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._clock.call_later(max(at - self._clock.monotonic(), 0), self._due)

    def _due(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._schedule and self._schedule[0][0] <= now:
            at, _, key = heapq.heappop(self._schedule)
            booked = self._delayed.get(key)
            if booked is not None and booked[0] == at:
                del self._delayed[key]
                self.add(key, priority=booked[1])
        self._arm()


class QueueClosed(Exception):
    """There is nothing left to do, and nothing more will come."""
