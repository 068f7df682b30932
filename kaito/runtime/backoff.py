"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential delays with jitter: step n waits between d and d * (1 + jitter) seconds.

    The defaults are client-go's for list and watch: a dead server sees 0.22 calls a second.
    """

    first: float = 0.8
    factor: float = 2.0
    cap: float = 30.0
    jitter: float = 1.0
    quiet: float = 120.0
    """After so many seconds without a failure the next one starts at `first` again."""

    def delay(self, step: int, draw: Callable[[], float] = random.random) -> float:
        """Seconds to wait before try number `step` (0 is the first repetition)."""
        base = min(self.first * self.factor ** min(step, 64), self.cap)
        return base * (1 + self.jitter * draw())


class Pacer:
    """Walks through a Backoff, and starts over after a quiet time."""

    def __init__(
        self,
        backoff: Backoff,
        monotonic: Callable[[], float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._backoff = backoff
        self._monotonic = monotonic
        self._draw = draw
        self._step = 0
        self._last = float("-inf")

    def next_delay(self) -> float:
        now = self._monotonic()
        if now - self._last > self._backoff.quiet:
            self._step = 0
        self._last = now
        delay = self._backoff.delay(self._step, self._draw)
        self._step += 1
        return delay


# Per item, without jitter: 5 ms, 10 ms ... 655 s on the 18th failure in a row, then 1000 s.
ITEM_BACKOFF = Backoff(first=0.005, cap=1000.0, jitter=0.0)
# For keys that ask to come back at once, from the second time in a row on: 10 ms ... 10 s.
AGAIN_BACKOFF = Backoff(first=0.005, cap=10.0, jitter=0.0)


class ItemFailures:
    """Counts failures in a row per item. Forget an item when it succeeds or vanishes."""

    def __init__(self, backoff: Backoff = ITEM_BACKOFF) -> None:
        self._backoff = backoff
        self._failures: dict[Hashable, int] = {}

    def next_delay(self, item: Hashable) -> float:
        failures = self._failures.get(item, 0)
        self._failures[item] = failures + 1
        return self._backoff.delay(failures, lambda: 0.0)

    def forget(self, item: Hashable) -> None:
        self._failures.pop(item, None)

    def count(self, item: Hashable) -> int:
        return self._failures.get(item, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRate:
    """How often the failed keys of one controller are retried, all together.

    The defaults are client-go's: a hundred at once, then ten a second. ValueError when either is
    not positive.
    """

    per_second: float = 10.0
    burst: int = 100

    def __post_init__(self) -> None:
        if self.per_second <= 0 or self.burst < 1:
            raise ValueError(
                f"A retry rate needs per_second > 0 and burst >= 1; "
                f"got {self.per_second:g} and {self.burst}."
            )


RETRY_RATE = RetryRate()


class TokenBucket:
    """Hands out the tokens of a rate, future ones too: who takes one is told how long to wait."""

    def __init__(self, rate: RetryRate, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._tokens = float(rate.burst)
        self._at = monotonic()

    def reserve(self) -> float:
        """Take the next token; the seconds until it is good."""
        tokens = self._level()
        self._tokens = tokens - 1.0
        return max(-self._tokens / self._rate.per_second, 0.0)

    def take(self) -> bool:
        """Take a token if there is one now."""
        if self._level() < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _level(self) -> float:
        now, rate = self._monotonic(), self._rate
        gained = (now - self._at) * rate.per_second
        self._tokens = min(self._tokens + gained, float(rate.burst))
        self._at = now
        return self._tokens
