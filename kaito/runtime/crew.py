"""The workers of one controller: they take keys, call the reconcile, and act on what it says.

A fixed number of tasks over one queue. Whatever a reconcile raises concerns its key alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import structlog

from kaito.runtime import fence
from kaito.runtime.backoff import (
    AGAIN_BACKOFF,
    ITEM_BACKOFF,
    RETRY_RATE,
    Backoff,
    ItemFailures,
    RetryRate,
    TokenBucket,
)
from kaito.runtime.clock import Clock, deadline
from kaito.runtime.correlation import ReconcileIds
from kaito.runtime.errors import Conflict, RuntimeFailure, describe
from kaito.runtime.informer import Informer
from kaito.runtime.ledgers import Ledgers
from kaito.runtime.metrics import Metrics
from kaito.runtime.queue import QueueClosed, WorkQueue
from kaito.runtime.resource import Key
from kaito.runtime.verdict import Again, Reconcile, Terminal

DEFAULT_WORKERS = 4

log = structlog.get_logger("kaito.runtime.controller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Practice:
    """How a controller works: with how many workers, how long, and how it tries again."""

    workers: int = DEFAULT_WORKERS
    timeout: float | None = None
    backoff: Backoff = ITEM_BACKOFF
    retry_rate: RetryRate | None = RETRY_RATE


class Crew:
    """One run of a controller."""

    def __init__(
        self,
        name: str,
        reconcile: Reconcile,
        practice: Practice,
        *,
        informers: Iterable[Informer[Any]],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._name = name
        self._reconcile = reconcile
        self._practice = practice
        self._clock = clock
        self._metrics = metrics
        self.queue: WorkQueue[Key] = WorkQueue(clock, _QueueMeters(metrics, name))
        self._ledgers = Ledgers(name, informers, clock=clock, metrics=metrics)
        self._failures = ItemFailures(practice.backoff)
        self._retries = (
            TokenBucket(practice.retry_rate, clock.monotonic) if practice.retry_rate else None
        )
        self._returns = ItemFailures(AGAIN_BACKOFF)
        self._held: set[asyncio.Task[None]] = set()
        self._outside = copy_context()
        self._begin = ReconcileIds(name).begin
        self._log = log.bind(controller=name)
        # Children are looked up once, and made now so that rate() is right from the first scrape.
        self._results = {
            result: metrics.reconcile_total.labels(name, result)
            for result in ("success", "error", "requeue", "requeue_after")
        }
        self._errors = metrics.reconcile_errors.labels(name)
        self._terminals = metrics.terminal_errors.labels(name)
        self._panics = metrics.reconcile_panics.labels(name)
        self._timeouts = metrics.reconcile_timeouts.labels(name)
        self._took = metrics.reconcile_time.labels(name)
        self._busy = metrics.active_workers.labels(name)
        metrics.max_concurrent.labels(name).set(practice.workers)
        queue = self.queue
        metrics.queue_unfinished.labels(name, name).set_function(lambda: sum(queue.ages()))
        metrics.queue_longest.labels(name, name).set_function(
            lambda: max(queue.ages(), default=0.0)
        )

    async def until(self, stop: asyncio.Event, lead: asyncio.Event | None = None) -> None:
        """Work from `lead` on until `stop`, then finish what has been started."""
        async with asyncio.TaskGroup() as tasks:
            workers = [
                tasks.create_task(self._work(f"{self._name}/worker-{number}", lead, tasks))
                for number in range(self._practice.workers)
            ]
            await stop.wait()
            self.queue.close()
            self.queue.clear()
            for held in self._held:
                held.cancel()
            if lead is not None and not lead.is_set():
                for worker in workers:
                    worker.cancel()

    async def _work(self, name: str, lead: asyncio.Event | None, tasks: asyncio.TaskGroup) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name(name)
        if lead is not None:
            await lead.wait()
        queue, busy = self.queue, self._busy
        while True:
            try:
                key = await queue.get()
            except QueueClosed:
                return
            text = str(key)
            if self._ledgers.behind(key):
                # Set aside: a cache that lags holds one key, and no worker.
                # In a context of its own: the last reconcile of this worker is not concerned.
                held = tasks.create_task(
                    self._hold(key),
                    name=f"{self._name}/fence {text}",
                    context=self._outside.copy(),
                )
                self._held.add(held)
                held.add_done_callback(self._held.discard)
                continue
            busy.inc()
            # Named by its key, so that who looks at the tasks sees what they are about.
            task.set_name(f"{name} {text}")
            try:
                await self._turn(key, text)
            finally:
                busy.dec()
                queue.done(key)
                task.set_name(name)
            # A reconcile that finds all it needs in the caches never waits, and ten thousand of
            # them in a row would keep probes and watches from being heard.
            await asyncio.sleep(0)

    async def _hold(self, key: Key) -> None:
        """Keep a key to ourselves until the caches have seen what its last run wrote."""
        try:
            await self._ledgers.catch_up(key)
            self.queue.add(key, priority=self.queue.priority(key))
        except asyncio.CancelledError:
            if _told_to_end():
                raise
            self._failed(key, RuntimeError("what the live read waited for was cancelled"))
        except Exception as error:  # noqa: BLE001 - the live read's concerns its key alone
            self._failed(key, error)
        finally:
            self.queue.done(key)

    async def _turn(self, key: Key, text: str) -> None:
        ledger = fence.open_ledger()
        self._begin(text)
        started = self._clock.monotonic()
        try:
            again = await self._call(key)
        except Terminal as error:
            self._terminals.inc()
            self._errors.inc()
            self._results["error"].inc()
            self._failures.forget(key)
            self._returns.forget(key)
            self._log.error("gave up", key=text, error=str(error))
        except asyncio.CancelledError:
            if _told_to_end():
                raise
            # Nobody cancelled us: something that it waited for was cancelled. Let out, this would
            # end the worker without a word.
            self._failed(key, RuntimeError("what the reconcile waited for was cancelled"))
        except Exception as error:  # noqa: BLE001 - whatever it raises concerns its key alone
            self._failed(key, error)
        else:
            self._succeeded(key, again)
        finally:
            self._took.observe(self._clock.monotonic() - started)
            self._ledgers.remember(key, ledger)

    async def _call(self, key: Key) -> Again | None:
        timeout = self._practice.timeout
        if timeout is None:
            return _checked(await self._reconcile(key))
        scope: asyncio.Timeout | None = None
        try:
            async with deadline(self._clock, timeout) as scope:
                return _checked(await self._reconcile(key))
        finally:
            if scope is not None and scope.expired():
                self._timeouts.inc()

    def _succeeded(self, key: Key, again: Again | None) -> None:
        self._failures.forget(key)
        if again is not None and again.seconds <= 0:
            self._results["requeue"].inc()
            first = not self._returns.count(key)
            delay = self._returns.next_delay(key)
            self._come_back(key, 0.0 if first else delay)
            return
        self._returns.forget(key)
        if again is None:
            self._results["success"].inc()
        else:
            self._results["requeue_after"].inc()
            self._come_back(key, again.seconds)

    def _failed(self, key: Key, error: Exception) -> None:
        self._errors.inc()
        self._results["error"].inc()
        self._returns.forget(key)
        delay = self._failures.next_delay(key)
        conflict = isinstance(error, Conflict)
        if self._retries is not None and not conflict:
            delay = max(delay, self._retries.reserve())
        retry_after = getattr(error, "retry_after", None)
        # Any exception may carry one, and not every one means seconds by it.
        if isinstance(retry_after, int | float):
            delay = max(delay, retry_after)
        self._come_back(key, delay)
        fields = {"key": str(key), "retry_in": round(delay, 3), **describe(error)}
        if conflict:
            # The ordinary price of optimistic locking.
            self._log.debug("reconcile conflicted", **fields)
        elif isinstance(error, RuntimeFailure | TimeoutError):
            self._log.warning("reconcile failed", **fields)
        else:
            self._panics.inc()
            self._log.error("reconcile crashed", **fields, exc_info=error)

    def _come_back(self, key: Key, seconds: float) -> None:
        # With the priority it came with: a thousand failing keys of the first list stay behind
        # the one that somebody has just changed.
        self.queue.add_after(key, seconds, priority=self.queue.priority(key))


def _told_to_end() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _checked(answer: object) -> Again | None:
    if answer is None or isinstance(answer, Again):
        return answer
    raise TypeError(
        f"The reconcile returned {answer!r}; return None, Again.now() or Again.after(seconds)."
    )


class _QueueMeters:
    """A queue's reports as metrics; label children are looked up once."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        depth = metrics.queue_depth.labels(name, name, "")
        self._depth: Callable[[float], None] = depth.set
        self._adds = metrics.queue_adds.labels(name, name)
        self._retries = metrics.queue_retries.labels(name, name)
        self._latency = metrics.queue_latency.labels(name, name)
        self._worked = metrics.queue_work.labels(name, name)

    def ready(self, depth: int) -> None:
        self._adds.inc()
        self._depth(depth)

    def retried(self) -> None:
        self._retries.inc()

    def handed_out(self, depth: int, waited: float) -> None:
        self._depth(depth)
        self._latency.observe(waited)

    def done(self, worked: float) -> None:
        self._worked.observe(worked)
