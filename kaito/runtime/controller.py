"""A controller: changes become keys, keys become reconciles, outcomes become the next wake-up.

Fixed workers take keys from one queue (crew.py). A reconcile gets a key and nothing else: it reads
what is true now, whatever woke it. What its last run wrote it will see (fence.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

from kaito.runtime.backoff import ITEM_BACKOFF, RETRY_RATE, Backoff, RetryRate
from kaito.runtime.change import Change
from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.crew import DEFAULT_WORKERS, Crew, Practice
from kaito.runtime.informer import Informer
from kaito.runtime.metadata import Owner
from kaito.runtime.metrics import Metrics
from kaito.runtime.queue import INITIAL, NORMAL, WorkQueue
from kaito.runtime.resource import Key, Resource
from kaito.runtime.verdict import Reconcile

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
    reference to it; `watches` are others, each with `to`. `timeout` is in seconds. A failed key
    waits for `backoff` or for its turn in `retry_rate`, whichever is later; None: no rate.
    Conflicts are retried without a turn, for they say nothing of trouble.
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
        retry_rate: RetryRate | None = RETRY_RATE,
    ) -> None:
        if any(source.to is None for source in watches):
            raise ValueError(f"Controller {name!r}: each of `watches` needs `to`.")
        if workers < 1:
            raise ValueError(f"Controller {name!r}: {workers} workers would never do anything.")
        self.name = name
        self._reconcile = reconcile
        self._practice = Practice(
            workers=workers, timeout=timeout, backoff=backoff, retry_rate=retry_rate
        )
        self._crews: list[Crew] = []
        owner = primary.informer.resource
        self._sources = [
            Watch(primary.informer, primary.when, primary.to or _itself),
            *(Watch(source.informer, source.when, source.to or _owner(owner)) for source in owned),
            *watches,
        ]

    @property
    def informers(self) -> list[Informer[Any]]:
        """Every informer this controller listens to."""
        return [source.informer for source in self._sources]

    @property
    def queues(self) -> list[WorkQueue[Key]]:
        """The queue of each run under way; mostly one, to be looked at."""
        return [crew.queue for crew in self._crews]

    async def run(
        self,
        *,
        informers: Iterable[Informer[Any]],
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        stop: asyncio.Event | None = None,
        lead: asyncio.Event | None = None,
    ) -> None:
        """Work until `stop` is set, then finish what has been started.

        `informers` are all those of the process: writes to their kinds are fenced. With `lead`
        keys are gathered at once and worked on from the moment it is set. Cancellation ends
        running reconciles where they wait.
        """
        crew = Crew(
            self.name,
            self._reconcile,
            self._practice,
            informers=informers,
            clock=clock or SystemClock(),
            metrics=metrics or Metrics(),
        )
        self._crews.append(crew)
        with ExitStack() as ends:
            ends.callback(self._crews.remove, crew)
            for source in self._sources:
                ends.callback(source.informer.on_change(_listener(source, crew.queue)))
            await crew.until(stop or asyncio.Event(), lead)

    def wake(self, key: Key) -> None:
        """Reconcile `key` soon, because of something that no informer sees: a process that ended,
        an answer from outside the cluster. Does nothing while the controller does not run."""
        for crew in self._crews:
            crew.queue.add(key)


def _listener(source: Watch, queue: WorkQueue[Key]) -> Callable[[Change], None]:
    when, to = source.when, source.to
    assert to is not None

    def enqueue(change: Change) -> None:
        if when is None or when(change):
            priority = INITIAL if change.initial else NORMAL
            for key in to(change):
                queue.add(key, priority=priority)

    return enqueue


def _itself(change: Change) -> Iterable[Key]:
    return (change.key,)


def _owner(resource: Resource[Any]) -> Mapper:
    group, kind, namespaced = resource.group, resource.kind, resource.namespaced

    def to(change: Change) -> Iterable[Key]:
        # An owner lives in the namespace of what it owns, or in none at all.
        namespace = change.key.namespace if namespaced else ""
        owners = change.header.owners
        if change.old is not None and change.old.owners != owners:
            # Whose it is no more has something to do, too.
            owners += change.old.owners
        return [
            Key(namespace, owner.name)
            for owner in owners
            if owner.controller and owner.kind == kind and _group(owner) == group
        ]

    return to


def _group(owner: Owner) -> str:
    # The version may differ: a kind is the same in all of them.
    group, slash, _ = owner.api_version.partition("/")
    return group if slash else ""
