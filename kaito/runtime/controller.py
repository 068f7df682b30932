"""A controller: changes become keys, keys become reconciles, outcomes become the next wake-up.

Fixed workers take keys from one queue. A reconcile gets a key and nothing else: it reads what is
true now, whatever woke it. What its last run wrote it will see (fence.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog

from kaito.runtime import fence
from kaito.runtime.backoff import ITEM_BACKOFF, Backoff, ItemFailures
from kaito.runtime.clock import Clock, SystemClock, deadline
from kaito.runtime.errors import Conflict, RuntimeFailure, describe
from kaito.runtime.informer import Change, Informer
from kaito.runtime.metrics import Metrics
from kaito.runtime.queue import INITIAL, NORMAL, QueueClosed, WorkQueue
from kaito.runtime.resource import Key

FENCE_SECONDS = 5.0  # a cache that lags longer than this is read around, not waited for
DEFAULT_WORKERS = 4

log = structlog.get_logger("kaito.runtime.controller")


@dataclass(frozen=True, slots=True)
class Again:
    """When to reconcile a key again although nothing may have changed."""

    seconds: float

    @staticmethod
    def after(seconds: float) -> Again:
        """In `seconds`; a change before that comes first."""
        return Again(seconds)

    @staticmethod
    def now() -> Again:
        """At once, behind the keys that wait already."""
        return Again(0.0)


class Terminal(Exception):
    """Trying again is useless until something changes: the key is not retried."""


Reconcile: TypeAlias = Callable[[Key], Awaitable[Again | None]]
Predicate: TypeAlias = Callable[[Change], bool]
Mapper: TypeAlias = Callable[[Change], Iterable[Key]]


@dataclass(frozen=True, slots=True)
class Watch:
    """A source of keys: an informer, which of its changes count, and whom they concern."""

    informer: Informer[Any]
    when: Predicate | None = None
    to: Mapper | None = None


def watch(
    informer: Informer[Any], *, when: Predicate | None = None, to: Mapper | None = None
) -> Watch:
    """Watch `informer`; by default every change counts.

    `to` maps a change to the keys it concerns. Without it a change concerns the object itself
    (primary) or the controller that owns it (owned).
    """
    return Watch(informer, when, to)


class Controller:
    """Reconciles the keys of one kind.

    `primary` is the kind reconciled; `owned` are kinds whose objects carry a controller owner
    reference to it; `watches` are others, each with `to`.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        *,
        primary: Watch,
        owned: Sequence[Watch] = (),
        watches: Sequence[Watch] = (),
        workers: int = DEFAULT_WORKERS,
        timeout: float | None = None,
        backoff: Backoff = ITEM_BACKOFF,
    ) -> None:
        if any(source.to is None for source in watches):
            raise ValueError(f"Controller {name!r}: each of `watches` needs `to`.")
        self.name = name
        self.workers = workers
        self._reconcile = reconcile
        self._timeout = timeout
        self._backoff = backoff
        self._primary = primary
        kind = primary.informer.resource.kind
        self._runs: list[_Run] = []
        self._sources = [
            Watch(primary.informer, primary.when, primary.to or _itself),
            *(Watch(source.informer, source.when, source.to or _owner(kind)) for source in owned),
            *watches,
        ]

    @property
    def informers(self) -> list[Informer[Any]]:
        """Every informer this controller listens to."""
        return [source.informer for source in self._sources]

    async def run(
        self,
        *,
        informers: Iterable[Informer[Any]],
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        stop: asyncio.Event | None = None,
    ) -> None:
        """Work until `stop` is set, then finish what has been started.

        `informers` are all those of the process: writes to their kinds are fenced.
        Cancellation ends running reconciles where they wait.
        """
        run = _Run(self, list(informers), clock or SystemClock(), metrics or Metrics())
        self._runs.append(run)
        try:
            await run.until(stop or asyncio.Event())
        finally:
            self._runs.remove(run)

    def wake(self, key: Key) -> None:
        """Reconcile `key` soon, because of something that no informer sees: a process that ended,
        an answer from outside the cluster. Does nothing while the controller does not run."""
        for run in self._runs:
            run.add(key)


class _Run:
    """The state of one run of a controller."""

    def __init__(
        self,
        controller: Controller,
        informers: Sequence[Informer[Any]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._metrics = metrics
        self._informers: dict[Any, list[Informer[Any]]] = {}
        for informer in informers:
            self._informers.setdefault(informer.resource, []).append(informer)
        self._gauges = _QueueGauges(metrics, controller.name)
        self._queue: WorkQueue[Key] = WorkQueue(clock, self._gauges)
        self._failures = ItemFailures(controller._backoff)
        self._ledgers: dict[Key, list[fence.Write]] = {}
        self._log = log.bind(controller=controller.name)
        # Made now, so that rate() is right from the first scrape.
        for result in ("success", "error", "requeue", "requeue_after"):
            metrics.reconcile_total.labels(controller.name, result)
        for counter in (
            metrics.reconcile_errors,
            metrics.terminal_errors,
            metrics.reconcile_panics,
            metrics.reconcile_timeouts,
        ):
            counter.labels(controller.name)
        metrics.max_concurrent.labels(controller.name).set(controller.workers)
        metrics.queue_unfinished.labels(controller.name, controller.name).set_function(
            lambda: sum(self._queue.ages())
        )
        metrics.queue_longest.labels(controller.name, controller.name).set_function(
            lambda: max(self._queue.ages(), default=0.0)
        )

    async def until(self, stop: asyncio.Event) -> None:
        for source in self._controller._sources:
            source.informer.on_change(self._listen(source))
        async with asyncio.TaskGroup() as tasks:
            for number in range(self._controller.workers):
                tasks.create_task(self._work(), name=f"{self._controller.name}/worker-{number}")
            await stop.wait()
            self._queue.close()
            self._queue.clear()

    def add(self, key: Key) -> None:
        self._queue.add(key)

    def _listen(self, source: Watch) -> Callable[[Change], None]:
        when, to = source.when, source.to
        assert to is not None

        def enqueue(change: Change) -> None:
            if when is None or when(change):
                priority = INITIAL if change.initial else NORMAL
                for key in to(change):
                    self._queue.add(key, priority=priority)

        return enqueue

    async def _work(self) -> None:
        busy = self._metrics.active_workers.labels(self._controller.name)
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            busy.inc()
            try:
                await self._turn(key)
            finally:
                busy.dec()
                self._queue.done(key)
            # A reconcile that finds all it needs in the caches never waits, and ten thousand of
            # them in a row would keep probes and watches from being heard.
            await asyncio.sleep(0)

    async def _turn(self, key: Key) -> None:
        ledger = fence.open_ledger()
        name, metrics = self._controller.name, self._metrics
        started = self._clock.monotonic()
        try:
            await self._catch_up(key)
            again = await self._call(key)
        except Terminal as error:
            metrics.terminal_errors.labels(name).inc()
            metrics.reconcile_errors.labels(name).inc()
            self._count("error")
            self._failures.forget(key)
            self._log.error("gave up", key=str(key), error=str(error))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled us: something that it waited for was cancelled. Let out, this would
            # end the worker without a word.
            self._failed(key, RuntimeError("what the reconcile waited for was cancelled"))
        except Exception as error:  # noqa: BLE001 - whatever it raises concerns its key alone
            self._failed(key, error)
        else:
            self._failures.forget(key)
            if again is None:
                self._count("success")
            else:
                self._count("requeue_after" if again.seconds > 0 else "requeue")
                self._come_back(key, again.seconds)
        finally:
            metrics.reconcile_time.labels(name).observe(self._clock.monotonic() - started)
            self._remember(key, ledger)

    async def _call(self, key: Key) -> Again | None:
        if self._controller._timeout is None:
            return await self._controller._reconcile(key)
        scope: asyncio.Timeout | None = None
        try:
            async with deadline(self._clock, self._controller._timeout) as scope:
                return await self._controller._reconcile(key)
        finally:
            if scope is not None and scope.expired():
                self._metrics.reconcile_timeouts.labels(self._controller.name).inc()

    def _failed(self, key: Key, error: Exception) -> None:
        name, metrics = self._controller.name, self._metrics
        metrics.reconcile_errors.labels(name).inc()
        self._count("error")
        delay = self._failures.next_delay(key)
        retry_after = getattr(error, "retry_after", None)
        if retry_after:
            delay = max(delay, retry_after)
        self._come_back(key, delay)
        fields = {"key": str(key), "retry_in": round(delay, 3), **describe(error)}
        if isinstance(error, Conflict):
            # The ordinary price of optimistic locking.
            self._log.debug("reconcile conflicted", **fields)
        elif isinstance(error, RuntimeFailure | TimeoutError):
            self._log.warning("reconcile failed", **fields)
        else:
            metrics.reconcile_panics.labels(name).inc()
            self._log.error("reconcile crashed", **fields, exc_info=error)

    def _come_back(self, key: Key, seconds: float) -> None:
        # With the priority it came with: a thousand failing keys of the first list stay behind
        # the one that somebody has just changed.
        self._queue.add_after(key, seconds, priority=self._queue.priority(key))

    def _count(self, result: str) -> None:
        self._metrics.reconcile_total.labels(self._controller.name, result).inc()

    # Read your own writes

    def _remember(self, key: Key, ledger: Sequence[fence.Write]) -> None:
        writes = (*self._ledgers.get(key, ()), *ledger)
        unseen = [write for write in writes if self._unseen_by(write)]
        if unseen:
            self._ledgers[key] = unseen
        else:
            self._ledgers.pop(key, None)

    def _unseen_by(self, write: fence.Write) -> list[Informer[Any]]:
        candidates = self._informers.get(write.resource, ())
        return [informer for informer in candidates if not informer.has_seen(write)]

    async def _catch_up(self, key: Key) -> None:
        """Hold the key until the caches have seen what its last run wrote, within a bound."""
        behind = [
            (informer, write)
            for write in self._ledgers.get(key, ())
            for informer in self._unseen_by(write)
        ]
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
                self._log.warning("cache lags", key=str(key), resource=str(write.resource))
                await informer.refresh(write.key)
        # A live read is newer than any write before it: these need no more waiting.
        self._ledgers.pop(key, None)
        self._metrics.fence_holds.labels(self._controller.name, outcome).inc()


class _QueueGauges:
    """A queue's reports as metrics; label children are looked up once."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._depth = metrics.queue_depth.labels(name, name, "")
        self._adds = metrics.queue_adds.labels(name, name)
        self._retries = metrics.queue_retries.labels(name, name)
        self._latency = metrics.queue_latency.labels(name, name)
        self._worked = metrics.queue_work.labels(name, name)

    def ready(self, depth: int) -> None:
        self._adds.inc()
        self._depth.set(depth)

    def retried(self) -> None:
        self._retries.inc()

    def handed_out(self, depth: int, waited: float) -> None:
        self._depth.set(depth)
        self._latency.observe(waited)

    def done(self, worked: float) -> None:
        self._worked.observe(worked)


def _itself(change: Change) -> Iterable[Key]:
    return (change.key,)


def _owner(kind: str) -> Mapper:
    def to(change: Change) -> Iterable[Key]:
        # An owner lives in the namespace of what it owns, or in none at all.
        return [
            Key(change.key.namespace, owner.name)
            for owner in change.header.owners
            if owner.controller and owner.kind == kind
        ]

    return to
