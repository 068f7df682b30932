"""Read, change, write; and the same again when somebody else wrote in between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from kaito.runtime.backoff import Backoff
from kaito.runtime.clock import Clock
from kaito.runtime.errors import Conflict

T = TypeVar("T")

TRIES = 5
# client-go's pauses where other clients write, too; more jitter, for replicas start together.
PAUSES = Backoff(first=0.01, factor=5.0, cap=1.0, jitter=1.0)


async def past_conflicts(clock: Clock, attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` returns, which reads afresh each time. Its last Conflict after TRIES of it."""
    for step in range(TRIES - 1):
        try:
            return await attempt()
        except Conflict:
            await clock.sleep(PAUSES.delay(step))
    return await attempt()
