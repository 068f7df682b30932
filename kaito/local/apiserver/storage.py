"""The store: objects under keys, one global revision, and a log of changes that watches read.

Objects are kept as JSON bytes without apiVersion and kind, beside the little that selectors need.
Every change gets a revision of its own; the log remembers changes back to the floor, so that an
older state can be listed and a watch can start in the past. Below the floor lies `Compacted`.
Nothing here knows what an object means.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from sys import intern
from typing import Any, Protocol

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

LOG_LIMIT = 50_000  # changes kept for watches; an hour of a busy test cluster
LOG_BYTES = 32 * 2**20  # of objects as they were, kept for the same


class Compacted(Exception):
    """The revision asked for is older than the log reaches."""


class Future(Exception):
    """The revision asked for has not happened yet."""


class Stale(Exception):
    """Somebody wrote the object since it was read."""


class Record:
    """One stored object. `raw` is its JSON without apiVersion and kind; never changed in place."""

    __slots__ = ("cache", "key", "labels", "raw", "revision", "selectable", "version")

    def __init__(
        self,
        key: str,
        raw: bytes,
        revision: int,
        labels: dict[str, str],
        selectable: dict[str, str],
        version: str,
    ) -> None:
        self.key = key
        self.raw = raw
        self.revision = revision
        self.labels = labels
        self.selectable = selectable
        self.version = version
        self.cache: dict[object, bytes] | None = None

    def value(self) -> dict[str, Any]:
        """A fresh decoded copy."""
        value: dict[str, Any] = _decode(self.raw)
        return value


class Event:
    """One change: `new` is None for a deletion, `old` for a creation."""

    __slots__ = ("frames", "new", "old", "revision")

    def __init__(self, revision: int, new: Record | None, old: Record | None) -> None:
        self.revision = revision
        self.new = new
        self.old = old
        self.frames: dict[object, bytes] = {}

    @property
    def past(self) -> int:
        """Bytes of the object as it was, which nothing but history keeps."""
        return len(self.old.raw) if self.old is not None else 0


def _shared(texts: dict[str, str]) -> dict[str, str]:
    return {intern(name): intern(text) for name, text in texts.items()}


class Sink(Protocol):
    """Receives the changes of one bucket; must not block."""

    def push(self, event: Event) -> None: ...


class Journal(Protocol):
    """Keeps what must survive the process; returns only once it is safe."""

    def put(self, bucket: str, record: Record) -> None: ...
    def drop(self, bucket: str, key: str, revision: int) -> None: ...


class Bucket:
    """All objects of one resource, by key `namespace/name` (or `name`), in the order of keys."""

    __slots__ = ("_keys", "behind", "events", "floor", "name", "objects", "sinks")

    def __init__(self, name: str, floor: int) -> None:
        self.name = name
        self.floor = floor
        self.objects: dict[str, Record] = {}
        self.events: deque[Event] = deque()
        # In the order in which they came, so that one run is told as another.
        self.sinks: dict[Sink, None] = {}
        self.behind: int | None = None
        """The revision at which the watch cache has fallen behind; None while it keeps up."""
        self._keys: list[str] = []

    def keys(self, prefix: str = "", start: str = "") -> Iterator[str]:
        """Sorted keys with a prefix, from `start` on."""
        keys = self._keys
        at = bisect_left(keys, start or prefix)
        for i in range(at, len(keys)):
            key = keys[i]
            if prefix and not key.startswith(prefix):
                return
            yield key

    def join(self, sink: Sink) -> None:
        """Have `sink` told of each change from now on."""
        self.sinks[sink] = None

    def leave(self, sink: Sink) -> None:
        """Tell `sink` no more; harmless when it is not told anyway."""
        self.sinks.pop(sink, None)

    def add_key(self, key: str) -> None:
        insort(self._keys, key)

    def drop_key(self, key: str) -> None:
        del self._keys[bisect_left(self._keys, key)]

    def since(self, revision: int) -> Iterator[Event]:
        """Changes after a revision, oldest first."""
        newer: list[Event] = []
        for event in reversed(self.events):
            if event.revision <= revision:
                break
            newer.append(event)
        return reversed(newer)

    def at(self, revision: int) -> dict[str, Record]:
        """The objects as they were at a revision. Raises Compacted."""
        if revision < self.floor:
            raise Compacted
        state = dict(self.objects)
        for event in reversed(self.events):
            if event.revision <= revision:
                break
            if event.old is None:
                assert event.new is not None
                state.pop(event.new.key, None)
            else:
                state[event.old.key] = event.old
        return state


class Store:
    """All buckets and the global revision. `most` tells of buckets how many objects they hold:
    then the oldest go."""

    def __init__(
        self,
        journal: Journal | None = None,
        *,
        revision: int = 1,
        most: Mapping[str, int] | None = None,
    ) -> None:
        self.revision = revision
        self.floor = revision
        self.buckets: dict[str, Bucket] = {}
        self._most = most or {}
        self._journal = journal
        self._log: deque[tuple[Bucket, Event]] = deque()
        self._log_bytes = 0
        self.moved: list[Callable[[], None]] = []

    def bucket(self, name: str) -> Bucket:
        bucket = self.buckets.get(name)
        if bucket is None:
            bucket = self.buckets[name] = Bucket(name, self.floor)
        return bucket

    def load(self, name: str, record: Record) -> None:
        """Put a record that was kept by the journal."""
        bucket = self.bucket(name)
        bucket.objects[record.key] = record
        bucket.add_key(record.key)

    def put(
        self,
        name: str,
        key: str,
        value: dict[str, Any],
        *,
        expect: int,
        labels: dict[str, str],
        selectable: dict[str, str],
        version: str,
        encode: Callable[[object], bytes] = _encode,
    ) -> Record:
        """Write an object whose revision is `expect` (0: it must not exist). Raises Stale.

        `value` gets its new resourceVersion.
        """
        bucket = self.bucket(name)
        old = bucket.objects.get(key)
        if (old.revision if old else 0) != expect:
            raise Stale
        revision = self.revision + 1
        value["metadata"]["resourceVersion"] = str(revision)
        # Trimmed to its size, and every text once: there may be a hundred thousand records.
        raw = memoryview(encode(value)).tobytes()
        record = Record(key, raw, revision, _shared(labels), _shared(selectable), version)
        if self._journal is not None:
            self._journal.put(name, record)
        self.revision = revision
        bucket.objects[key] = record
        if old is None:
            bucket.add_key(key)
        self._publish(bucket, Event(revision, record, old))
        while len(bucket.objects) > self._most.get(name, len(bucket.objects)):
            oldest = next(iter(bucket.objects.values()))
            self.drop(name, oldest.key, expect=oldest.revision)
        return record

    def drop(self, name: str, key: str, *, expect: int) -> int:
        """Remove an object whose revision is `expect`. Raises Stale. Gives the revision."""
        bucket = self.bucket(name)
        old = bucket.objects.get(key)
        if old is None or old.revision != expect:
            raise Stale
        revision = self.revision + 1
        if self._journal is not None:
            self._journal.drop(name, key, revision)
        self.revision = revision
        del bucket.objects[key]
        bucket.drop_key(key)
        self._publish(bucket, Event(revision, None, old))
        return revision

    def _publish(self, bucket: Bucket, event: Event) -> None:
        bucket.events.append(event)
        self._log.append((bucket, event))
        self._log_bytes += event.past
        while len(self._log) > LOG_LIMIT or self._log_bytes > LOG_BYTES:
            stale, dropped = self._log.popleft()
            self._log_bytes -= dropped.past
            if stale.events and stale.events[0] is dropped:
                stale.events.popleft()
            self.floor = stale.floor = dropped.revision
        for sink in tuple(bucket.sinks):
            sink.push(event)
        # Whoever follows has them; whoever comes later is rare, and pays for it.
        event.frames.clear()
        for moved in self.moved:
            moved()

    def compact(self) -> int:
        """Forget all history; older revisions are gone for lists and watches alike."""
        self._log.clear()
        self._log_bytes = 0
        self.floor = self.revision
        for bucket in self.buckets.values():
            bucket.events.clear()
            bucket.floor = self.revision
        return self.revision

    def forget(self, name: str) -> None:
        """Drop a bucket and its watchers, as when a kind is no longer served."""
        self.buckets.pop(name, None)
