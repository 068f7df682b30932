"""What each key's last reconcile wrote, until the caches have caught up with it.

The writes themselves are noted by the client (fence.py). Entries of keys that are never worked on
again are dropped once the caches have seen them: memory is bounded by the writes under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import structlog

from kaito.runtime.clock import Clock, deadline
from kaito.runtime.fence import Write
from kaito.runtime.informer import Informer
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Key

FENCE_SECONDS = 5.0  # a cache that lags longer than this is read around, not waited for
LIVE_READS = 4  # at once: a watch that lags for one key lags for many
SLACK = 256  # entries worth keeping rather than sweeping

log = structlog.get_logger("kaito.runtime.ledgers")


class Ledgers:
    """The unseen writes of one controller, by key."""

    def __init__(
        self,
        controller: str,
        informers: Iterable[Informer[Any]],
        *,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._holds = metrics.fence_holds
        # By path: an informer of the metadata sees a write of the whole object, too.
        self._informers: dict[str, list[Informer[Any]]] = {}
        for informer in informers:
            self._informers.setdefault(informer.resource.path(), []).append(informer)
        self._ledgers: dict[Key, list[Write]] = {}
        self._sweep_at = SLACK
        self._live_reads = asyncio.Semaphore(LIVE_READS)

    def __len__(self) -> int:
        return len(self._ledgers)

    def remember(self, key: Key, ledger: Sequence[Write]) -> None:
        """A reconcile of `key` has ended and has written this."""
        known = self._ledgers.get(key)
        if not ledger and known is None:
            return
        unseen = self._unseen((*(known or ()), *ledger))
        if not unseen:
            self._ledgers.pop(key, None)
            return
        self._ledgers[key] = unseen
        if len(self._ledgers) > self._sweep_at:
            self._sweep()

    def behind(self, key: Key) -> bool:
        """Whether some cache has yet to see what the last reconcile of `key` wrote."""
        writes = self._ledgers.get(key)
        return writes is not None and any(self._unseen_by(write) for write in writes)

    async def catch_up(self, key: Key) -> None:
        """Hold the key until the caches have seen what its last run wrote, within a bound.

        When the bound passes, what they lack is read live; the client's errors are the caller's.
        """
        writes = self._ledgers.get(key)
        if writes is None:
            return
        behind = [(each, write) for write in writes for each in self._unseen_by(write)]
        if not behind:
            return
        outcome = "caught up"
        try:
            async with deadline(self._clock, FENCE_SECONDS):
                for informer, write in behind:
                    await informer.wait_seen(write)
        except TimeoutError:
            outcome = "read live"
        for informer, write in behind:
            if not informer.has_seen(write):
                log.warning(
                    "cache lags",
                    controller=self._controller,
                    key=str(key),
                    resource=str(write.resource),
                )
                async with self._live_reads:
                    await informer.refresh(write.key)
        # A live read is newer than any write before it: these need no more waiting.
        self._ledgers.pop(key, None)
        self._holds.labels(self._controller, outcome).inc()

    def _unseen(self, writes: Iterable[Write]) -> list[Write]:
        return [write for write in writes if self._unseen_by(write)]

    def _unseen_by(self, write: Write) -> list[Informer[Any]]:
        candidates = self._informers.get(write.resource.path(), ())
        return [informer for informer in candidates if not informer.has_seen(write)]

    def _sweep(self) -> None:
        swept = ((key, self._unseen(writes)) for key, writes in self._ledgers.items())
        self._ledgers = {key: unseen for key, unseen in swept if unseen}
        # Twice what is left: each sweep is paid for by as many reconciles as it looks at.
        self._sweep_at = 2 * len(self._ledgers) + SLACK
