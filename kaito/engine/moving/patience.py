"""How often something is tried again, how long is waited in between, and how slow is too slow."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from kaito.engine.endings import Ended, Ending

T = TypeVar("T")
LONGEST_ASKED = 120.0  # seconds; a server that wants more of us is one that is down
PROGRESS = 1024 * 1024  # bytes after which a failure is no longer the same one again
WINDOW = 60.0  # seconds over which a speed is taken
SLOWEST = 1024  # bytes a second; a modem brings more


class Passing(Exception):
    """It failed in a way that may be over when it is tried again."""

    def __init__(self, ending: Ending, sentence: str, *, after: float = 0.0) -> None:
        super().__init__(sentence)
        self.ending = ending
        self.sentence = sentence
        self.after = after
        """Seconds that the server asks to be left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Tries, and pauses in seconds that double: 1, 2, 4, 8, each up to half longer."""

    tries: int = 5
    first: float = 1.0
    cap: float = 30.0
    jitter: Callable[[], float] = field(default=random.random)
    sleep: Callable[[float], None] = field(default=time.sleep)

    def until_done(self, work: Callable[[], T], have: Callable[[], int] = lambda: 0) -> T:
        """The answer of the work, tried again when that may help. Ended when it did not.

        `have` says how many bytes there are of what the work brings.
        """
        tries, before = Tries(self), have()
        while True:
            try:
                return work()
            except Passing as passing:
                pause = tries.after(passing, have() - before)
            before = have()
            self.sleep(pause)


class Tries:
    """Failures of one thing, counted."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._failed = 0

    def after(self, passing: Passing, arrived: int = 0) -> float:
        """Seconds to wait after a failure, which came when so many bytes had arrived since the last
        one. Ended when it has been tried often enough."""
        # A long file over a bad line is not a server that is down.
        self._failed = 1 if arrived >= PROGRESS else self._failed + 1
        patience = self._patience
        if self._failed >= patience.tries or passing.after > LONGEST_ASKED:
            raise Ended(passing.ending, passing.sentence) from passing
        own = min(patience.first * 2.0 ** (self._failed - 1), patience.cap)
        return max(passing.after, own * (1 + patience.jitter() / 2))


class Pace:
    """Whether bytes come too slowly. Times are seconds of any one clock."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._arrived = 0

    def too_slow(self, now: float, arrived: int) -> bool:
        """After so many bytes more have arrived."""
        self._arrived += arrived
        if now - self._since < WINDOW:
            return False
        slow = self._arrived < SLOWEST * (now - self._since)
        self._since, self._arrived = now, 0
        return slow


def asked_pause(header: str | None) -> float:
    """The seconds of a Retry-After header, 0 where it names none; dates are not read."""
    return float(header) if header and header.isascii() and header.isdigit() else 0.0
