"""What a reconcile says when it ends: nothing, come back, or never mind.

A failure is said by raising; any exception but Terminal means to try again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import isnan
from typing import TypeAlias

from kaito.runtime.resource import Key


@dataclass(frozen=True, slots=True)
class Again:
    """When to reconcile a key again although nothing may have changed. ValueError: no number."""

    seconds: float

    def __post_init__(self) -> None:
        if not isinstance(self.seconds, int | float) or isnan(self.seconds):
            raise ValueError(f"Again needs a number of seconds; got {self.seconds!r}.")

    @staticmethod
    def after(seconds: float) -> Again:
        """In `seconds`; a change before that comes first. Zero or less is `now`."""
        return Again(seconds)

    @staticmethod
    def now() -> Again:
        """At once, behind the keys that wait already.

        A key that answers so again and again waits longer each time, 10 ms, 20 ms ... 10 s, so
        that it cannot keep a processor busy. Any other answer ends that.
        """
        return Again(0.0)


class Terminal(Exception):
    """Trying again is useless until something changes: the key is not retried."""


Reconcile: TypeAlias = Callable[[Key], Awaitable[Again | None]]
