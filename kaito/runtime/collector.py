"""The garbage collector of this process: what it need not look at, and how long it stops us.

What is loaded at the start and what is cached live as long as the process. Frozen, they are not
walked again in each collection, which stops everything while it runs.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

NOTICEABLE = 0.001  # seconds; a shorter stop delays nobody


def freeze_heap() -> None:
    """Exempt everything that has been made so far from later collections.

    The first time in a process only what is young is collected before: imports leave next to no
    garbage, and to look through them takes 20 ms. What is frozen is still freed when nobody
    refers to it; cycles among it are not.
    """
    gc.collect(2 if heap_is_frozen() else 1)
    gc.freeze()


def thaw_heap() -> None:
    """Have everything collected again, cycles of what was frozen among it."""
    gc.unfreeze()


def heap_is_frozen() -> bool:
    """Whether anybody has frozen the heap of this process before."""
    return gc.get_freeze_count() > 0


class CollectorPauses:
    """Measures the stops by the collector while `with` it."""

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._since = 0.0
        self._noticed: list[float] = []

    def __enter__(self) -> Self:
        gc.callbacks.append(self.heard)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gc.callbacks.remove(self.heard)

    def drain(self) -> list[float]:
        """Seconds of each noticeable stop since this was asked last."""
        noticed, self._noticed = self._noticed, []
        return noticed

    def heard(self, phase: str, _: dict[str, Any]) -> None:
        """Called by the collector, wherever it interrupts: no locks, so no metrics in here."""
        now = self._now()
        if phase == "start":
            self._since = now
        elif now - self._since >= NOTICEABLE:
            self._noticed.append(now - self._since)
