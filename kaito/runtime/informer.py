"""A cache of one kind that tells its handlers what changed.

The store and its indexes are up to date before any handler hears of a change. Handlers are plain
functions that map a change to work and return at once; they run in the order of registration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from kaito.runtime.cache import Cache, Transform
from kaito.runtime.change import Handler
from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.feed import Feed
from kaito.runtime.fence import Write, at_least
from kaito.runtime.metrics import Metrics
from kaito.runtime.reflector import Fill, Reflector
from kaito.runtime.resource import Key, Resource
from kaito.runtime.selectors import field_test, label_test
from kaito.runtime.store import Index, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which objects of a kind are cached. No namespaces means all of them."""

    namespaces: tuple[str, ...] = ()
    labels: str = ""
    fields: str = ""

    def __str__(self) -> str:
        parts = {
            "namespaces": ",".join(self.namespaces),
            "labels": self.labels,
            "fields": self.fields,
        }
        return " ".join(f"{name}:{text}" for name, text in parts.items() if text)


class Informer(Generic[T]):
    """Runs reflectors (one per namespace of the scope) into one store."""

    def __init__(
        self,
        client: Client,
        resource: Resource[T],
        *,
        scope: Scope | None = None,
        indexes: Mapping[str, Index] | None = None,
        transform: Transform | None = None,
        fill: Fill = "list",
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.resource = resource
        self.scope = scope or Scope()
        self._cache = Cache(
            resource,
            keep_manager=client.field_manager,
            indexes=indexes,
            transform=transform,
            told=self._release,
        )
        self._takes_labels = label_test(self.scope.labels)
        self._takes_fields = field_test(self.scope.fields)
        self._client = client
        clock = clock or SystemClock()
        self._clock = clock
        metrics = metrics or client.metrics
        self._feeds = [
            Feed(self._cache, namespace, clock=clock, moved=self._release_all)
            for namespace in self.scope.namespaces or ("",)
        ]
        self._reflectors = [
            Reflector(
                client,
                resource,
                feed,
                clock=clock,
                metrics=metrics,
                namespace=feed.namespace,
                labels=self.scope.labels,
                fields=self.scope.fields,
                fill=fill,
            )
            for feed in self._feeds
        ]
        self._awaited: dict[Key, list[tuple[Write, asyncio.Future[None]]]] = {}
        self._meter(metrics)

    def _meter(self, metrics: Metrics) -> None:
        part = "metadata" if self.resource.partial else ""
        labels = str(self.resource), f"{part} {self.scope}".strip()
        cache = self._cache
        metrics.last_event_age.labels(*labels).set_function(self.silence)
        metrics.store_objects.labels(*labels).set_function(lambda: len(cache.store))
        metrics.unreadable_objects.labels(*labels).set_function(lambda: len(cache.unreadable))

    @property
    def store(self) -> Store[T]:
        """The cache, for reading."""
        return self._cache.store

    @property
    def synced(self) -> bool:
        """Whether the first list is complete and every handler has been told."""
        return all(feed.synced.is_set() for feed in self._feeds)

    async def wait_synced(self) -> None:
        for feed in self._feeds:
            await feed.synced.wait()

    @property
    def versions(self) -> tuple[str, ...]:
        """The resourceVersion that each watch has reached, "" before the first list is complete.

        One, or one for each namespace of the scope.
        """
        return tuple(feed.version for feed in self._feeds)

    @property
    def trouble(self) -> str:
        """What keeps us from listing or watching at the moment, and the way out; "" if nothing."""
        return next((each.trouble for each in self._reflectors if each.trouble), "")

    @property
    def following(self) -> bool:
        """Whether the store has been filled, and every watch of ours is open or about to be for
        the first time. Between two watches, a moment or a long outage, nothing is heard."""
        return bool(self._reflectors) and all(each.following for each in self._reflectors)

    def silence(self) -> float:
        """Seconds since the quietest of our watches was last heard of."""
        return max(self._clock.monotonic() - feed.heard_at for feed in self._feeds)

    def on_change(self, handler: Handler) -> Callable[[], None]:
        """Call `handler` at each change; what is returned ends that.

        What is cached already is replayed to it as added: the first 256 objects at once, the
        others between turns of the event loop while the informer runs.
        """
        return self._cache.listeners.add(handler)

    async def run(self) -> None:
        """Keep the cache up to date until cancelled; any exception out of here is a defect."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cache.listeners.run(), name=f"listeners/{self.resource}")
            for reflector in self._reflectors:
                tasks.create_task(reflector.run(), name=f"reflector/{self.resource}")

    # Read your own writes

    def has_seen(self, write: Write) -> bool:
        """Whether the cache is at or past this write."""
        feeds = [feed for feed in self._feeds if feed.covers(write.key)]
        header = self.store.header(write.key)
        if not feeds or not write.resource_version or not self._takes(write):
            # Never to be seen here: at most its old state is yet to go.
            return header is None or header.uid != write.uid
        if header is not None and header.uid == write.uid:
            return at_least(header.resource_version, write.resource_version)
        # Not here: deleted since or out of scope, if we know of a later state than the write.
        versions = [feed.version for feed in feeds]
        versions.append(self._cache.live.get(write.key, ""))
        return any(at_least(version, write.resource_version) for version in versions)

    def _takes(self, write: Write) -> bool:
        known = write.labels is None or self._takes_labels(write.labels)
        return known and self._takes_fields(write.key)

    async def wait_seen(self, write: Write) -> None:
        """Return as soon as `has_seen(write)`."""
        if self.has_seen(write):
            return
        seen = asyncio.get_running_loop().create_future()
        waiting = self._awaited.setdefault(write.key, [])
        waiting.append((write, seen))
        try:
            await seen
        finally:
            waiting.remove((write, seen))
            if not waiting:
                self._awaited.pop(write.key, None)

    async def refresh(self, key: Key) -> None:
        """Read one object from the server into the cache, for when the watch lags too far behind.

        Asked as a list of one name, so that the selectors of the scope hold and the answer has a
        version even when the object is gone. The client's errors are the caller's.
        """
        cache = self._cache
        name = f"metadata.name={key.name}"
        pages = self._client.pages(
            self.resource,
            namespace=key.namespace,
            labels=self.scope.labels,
            fields=f"{self.scope.fields},{name}" if self.scope.fields else name,
        )
        async for page in pages:
            version = page.metadata.resource_version
            if any(feed.has_passed(version) for feed in self._feeds if feed.covers(key)):
                return  # the watch was faster, and this is history
            for item in page.items:
                entry = cache.open(bytes(item))
                if entry is not None and not cache.knows(entry[0], entry[1]):
                    cache.put(*entry)
            if not page.items:
                cache.remove(key)
            cache.live[key] = version

    def _release(self, key: Key) -> None:
        for write, seen in self._awaited.get(key, ()):
            if not seen.done() and self.has_seen(write):
                seen.set_result(None)

    def _release_all(self) -> None:
        for key in tuple(self._awaited):
            self._release(key)
