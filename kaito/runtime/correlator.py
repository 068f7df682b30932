"""Which of many occurrences are worth an Event of their own: pure bookkeeping, no I/O.

Rules of client-go's correlator: the tenth different message for the same reason about the same
object, and all that follow without a pause of ten minutes, become one combined Event; and one
object gets 25 Events at once, then one in five minutes. What is remembered is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from kaito.runtime.backoff import RetryRate, TokenBucket

SIMILAR = 10  # the different message of one reason about one object that is combined first
SIMILAR_SECONDS = 600.0  # of silence, after which they count anew
PER_OBJECT = RetryRate(per_second=1 / 300, burst=25)
MAX_MESSAGE = 1024  # characters, the API's limit
REMEMBERED = 4096  # objects, and reasons about them
COMBINED = "(combined from similar events): "  # as client-go says it, for people know it

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A mapping that forgets what was used longest ago."""

    def __init__(self, limit: int, make: Callable[[], V]) -> None:
        self._limit = limit
        self._make = make
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, key: K) -> V:
        """What is remembered for `key`, made now if there is nothing."""
        found = self._entries.pop(key, None)
        if found is None:
            found = self._make()
        self._entries[key] = found
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What is to be told about an object. References are pairs of names and values."""

    regarding: tuple[tuple[str, str], ...]
    type: str
    reason: str
    action: str
    message: str
    related: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Similar:
    messages: set[int] = field(default_factory=set)
    last: float = float("-inf")
    combined: str = ""


class Correlator:
    """Sees every occurrence, and says under which it is to be told."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._similar: Recent[Hashable, _Similar] = Recent(REMEMBERED, _Similar)
        self._objects: Recent[Hashable, TokenBucket] = Recent(
            REMEMBERED, lambda: TokenBucket(PER_OBJECT, monotonic)
        )

    def combine(self, occurrence: Occurrence) -> Occurrence:
        """The occurrence itself, or the one that stands for it and others like it."""
        now = self._monotonic()
        group = (occurrence.regarding, occurrence.type, occurrence.reason)
        similar = self._similar[group]
        if now - similar.last > SIMILAR_SECONDS:
            similar.messages.clear()
            similar.combined = ""
        similar.last = now
        message = hash(occurrence.message)
        if message in similar.messages or len(similar.messages) < SIMILAR - 1:
            similar.messages.add(message)
            return occurrence
        # One of them stands as the example for all.
        similar.combined = similar.combined or f"{COMBINED}{occurrence.message}"[:MAX_MESSAGE]
        return replace(occurrence, message=similar.combined)

    def allows(self, occurrence: Occurrence) -> bool:
        """Whether the object may have one more Event now; if so, it has had it."""
        return self._objects[occurrence.regarding].take()
