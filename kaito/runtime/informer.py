"""A cache of one kind that tells its handlers what changed.

The store and its indexes are up to date before any handler hears of a change. Handlers are plain
functions that map a change to work and return at once; they run in the order of registration.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import structlog

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.fence import Write, at_least
from kaito.runtime.metrics import Metrics
from kaito.runtime.reflector import YIELD_EVERY, Reflector
from kaito.runtime.resource import Key, Resource
from kaito.runtime.selectors import field_test, label_test
from kaito.runtime.store import Index, Store, View, WritableStore
from kaito.runtime.wire import Header, Page, open_object

T = TypeVar("T")

ChangeKind: TypeAlias = Literal["added", "modified", "deleted"]
Transform: TypeAlias = Callable[[bytes], bytes]
"""Rewrites an object's JSON before it is cached, to leave out what nobody reads."""

log = structlog.get_logger("kaito.runtime.informer")


class Change(View):
    """Something happened to an object. `.object` is its latest state (the last known, if deleted).

    Added or modified is decided by what the cache held, not by what the server called it.
    """

    __slots__ = ("initial", "kind", "old")

    def __init__(
        self,
        resource: Resource[Any],
        key: Key,
        header: Header,
        body: bytes,
        *,
        kind: ChangeKind,
        old: Header | None = None,
        initial: bool = False,
    ) -> None:
        super().__init__(resource, key, header, body)
        self.kind = kind
        self.old = old
        """The header before, None for an added object."""
        self.initial = initial
        """Whether this is part of the first list, or of a replay to a late handler."""

    @property
    def replaced(self) -> bool:
        """Whether another object of the same name took the place of the old one."""
        return self.old is not None and self.old.uid != self.header.uid


Handler: TypeAlias = Callable[[Change], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which objects of a kind are cached. No namespaces means all of them."""

    namespaces: tuple[str, ...] = ()
    labels: str = ""
    fields: str = ""


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
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.resource = resource
        self.scope = scope or Scope()
        self._store = WritableStore(resource, indexes)
        self._transform = transform
        self._takes_labels = label_test(self.scope.labels)
        self._takes_fields = field_test(self.scope.fields)
        self._client = client
        self._handlers: list[Handler] = []
        self._clock = clock or SystemClock()
        metrics = metrics or Metrics()
        self._count = metrics.store_objects.labels(str(resource))
        self._feeds = [
            _Feed(self, namespace, self._clock) for namespace in self.scope.namespaces or ("",)
        ]
        self._reflectors = [
            Reflector(
                client,
                resource,
                feed,
                clock=self._clock,
                metrics=metrics,
                namespace=feed.namespace,
                labels=self.scope.labels,
                fields=self.scope.fields,
            )
            for feed in self._feeds
        ]
        metrics.last_event_age.labels(str(resource)).set_function(self.silence)
        self._awaited: dict[Key, list[tuple[Write, asyncio.Future[None]]]] = {}
        # Not on the server as of this version, says a live read that the watch has yet to reach.
        self._absent: dict[Key, str] = {}

    @property
    def store(self) -> Store[T]:
        """The cache, for reading."""
        return self._store

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

    def silence(self) -> float:
        """Seconds since the quietest of our watches was last heard of."""
        return max(self._clock.monotonic() - feed.heard_at for feed in self._feeds)

    def on_change(self, handler: Handler) -> Callable[[], None]:
        """Call `handler` at each change. What is cached already is replayed to it as added.

        What is returned ends that.
        """
        for key in self._store:
            header, body = self._store.header(key), self._store.body(key)
            if header is not None and body is not None:
                change = Change(self.resource, key, header, body, kind="added", initial=True)
                self._tell_one(handler, change)
        self._handlers.append(handler)
        return lambda: self._handlers.remove(handler)

    async def run(self) -> None:
        """Keep the cache up to date until cancelled; any exception out of here is a defect."""
        async with asyncio.TaskGroup() as tasks:
            for reflector in self._reflectors:
                tasks.create_task(reflector.run(), name=f"reflector/{self.resource}")

    # Read your own writes

    def has_seen(self, write: Write) -> bool:
        """Whether the cache is at or past this write."""
        feeds = [feed for feed in self._feeds if feed.covers(write.key)]
        header = self._store.header(write.key)
        if not feeds or not write.resource_version or not self._takes(write):
            # Never to be seen here: at most its old state is yet to go.
            return header is None or header.uid != write.uid
        if header is not None and header.uid == write.uid:
            return at_least(header.resource_version, write.resource_version)
        # Not here: deleted since or out of scope, if we know of a later state than the write.
        versions = [feed.version for feed in feeds]
        versions.append(self._absent.get(write.key, ""))
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
        name = f"metadata.name={key.name}"
        pages = self._client.pages(
            self.resource,
            namespace=key.namespace,
            labels=self.scope.labels,
            fields=f"{self.scope.fields},{name}" if self.scope.fields else name,
            page_size=0,
        )
        async for page in pages:
            for item in page.items:
                found, header, body = self._open(bytes(item))
                if not self._knows(found, header):
                    self._put(found, header, body)
            if not page.items:
                self._absent[key] = page.metadata.resource_version
                self._remove(key)

    def _release(self, key: Key) -> None:
        for write, seen in self._awaited.get(key, ()):
            if not seen.done() and self.has_seen(write):
                seen.set_result(None)

    # What the feeds write

    def _open(self, body: bytes) -> tuple[Key, Header, bytes]:
        if self._transform is not None:
            body = self._transform(body)
        return open_object(body, self._client.field_manager)

    def _knows(self, key: Key, header: Header) -> bool:
        """Whether the cache holds this version or, after a refresh, a later one.

        Only asked of watch events: a list is believed even when its versions run backwards, as
        they do after etcd was restored from a backup.
        """
        known = self._store.header(key)
        version = self._absent.get(key, "") if known is None else known.resource_version
        return bool(version) and at_least(version, header.resource_version)

    def _put(self, key: Key, header: Header, body: bytes, *, initial: bool = False) -> None:
        old = self._store.header(key)
        self._store.put(key, header, body)
        self._count.set(len(self._store))
        self._tell(
            Change(
                self.resource,
                key,
                header,
                body,
                kind="added" if old is None else "modified",
                old=old,
                initial=initial,
            )
        )

    def _remove(self, key: Key, header: Header | None = None, body: bytes = b"") -> None:
        known = self._store.remove(key)
        if known is None:
            return
        self._count.set(len(self._store))
        last_header, last_body = (header, body) if header is not None else known
        self._tell(Change(self.resource, key, last_header, last_body, kind="deleted", old=known[0]))

    def _tell(self, change: Change) -> None:
        for handler in self._handlers:
            self._tell_one(handler, change)
        if self._awaited:
            self._release(change.key)

    def _tell_one(self, handler: Handler, change: Change) -> None:
        try:
            handler(change)
        except Exception:  # one bad object must not stop the others
            log.exception("handler failed", resource=str(self.resource), key=str(change.key))


class _Feed:
    """The sink of one reflector: the part of the store that one namespace (or all) fills."""

    def __init__(self, informer: Informer[T], namespace: str, clock: Clock) -> None:
        self._informer = informer
        self._clock = clock
        self.namespace = namespace
        self.synced = asyncio.Event()
        self.version = ""
        self.heard_at = clock.monotonic()

    def covers(self, key: Key) -> bool:
        return self.namespace in ("", key.namespace)

    async def replace(self, pages: AsyncIterator[Page]) -> str:
        informer, store = self._informer, self._informer._store
        staged: dict[Key, tuple[Header, bytes] | None] = {}
        version = ""
        count = 0
        async for page in pages:
            if page.begins_anew:
                staged.clear()
            version = page.metadata.resource_version
            for item in page.items:
                key, header, body = informer._open(bytes(item))
                old = store.header(key)
                same = old is not None and (old.uid, old.resource_version) == (
                    header.uid,
                    header.resource_version,
                )
                # None: what the store holds is this very version; no second copy of it.
                staged[key] = None if same else (header, body)
                count += 1
                if count % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        # Deletions first, as client-go does: a name that moved is free before it is taken.
        for key in store:
            if key not in staged and self.covers(key):
                informer._remove(key)
        informer._absent = {
            key: known for key, known in informer._absent.items() if not self.covers(key)
        }
        initial = not self.synced.is_set()
        for position, (key, found) in enumerate(staged.items()):
            if found is not None:
                informer._put(key, *found, initial=initial)
            if position % YIELD_EVERY == YIELD_EVERY - 1:
                await asyncio.sleep(0)
        self.synced.set()
        return version

    def event(self, kind: str, body: bytes) -> str:
        key, header, body = self._informer._open(body)
        if kind == "DELETED":
            # After a refresh the name may belong to a later object than the one deleted here.
            known = self._informer._store.header(key)
            later = known is not None and known.uid != header.uid
            if not (later and self._informer._knows(key, header)):
                self._informer._remove(key, header, body)
        elif not self._informer._knows(key, header):
            self._informer._put(key, header, body)
        return header.resource_version

    def heard(self, version: str) -> None:
        self.heard_at = self._clock.monotonic()
        if version != self.version:
            self.version = version
            absent = self._informer._absent
            for key in [k for k, at in absent.items() if self.covers(k) and at_least(version, at)]:
                del absent[key]
            for key in list(self._informer._awaited):
                self._informer._release(key)
