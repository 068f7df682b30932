"""Watches: the stream of changes of one resource, from a revision on, under selectors.

An event is serialised once for all watchers that want the same form of it. A watcher that does
not keep up is cut off, as the server does; it can resume from its last version.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import msgspec

from kaito.local.apiserver.core import Core
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.listoptions import ListOptions, Selection, parse_revision
from kaito.local.apiserver.lists import Lister
from kaito.local.apiserver.status import StatusError, expired
from kaito.local.apiserver.storage import Bucket, Event, Record
from kaito.local.apiserver.tables import partial, row, table

BACKLOG = 20_000  # changes a watcher may lag behind before it is cut off
BOOKMARK_EVERY = 60.0  # seconds, as the server's watch cache
BOOKMARK_AFTER_START = 1.5  # seconds, where the initial events ended with a bookmark
BOOKMARK_BEFORE_END = 2.0  # seconds, so that a client can resume from it
DEFAULT_TIMEOUT = 1800.0  # seconds; the server takes between one and two times this
INITIAL_END = {"k8s.io/initial-events-end": "true"}
_encode = msgspec.json.Encoder().encode


class Cut(ConnectionResetError):
    """The stream was cut on purpose or for being too slow; the transport resets the connection."""


class Form(Protocol):
    """How a watcher wants objects: whole, metadata only, or as table rows."""

    def key(self) -> object: ...

    def encode(self, kind: Kind, obj: dict[str, Any]) -> bytes: ...


class Whole:
    """Objects as they are; the fast path never decodes them."""

    def key(self) -> object:
        return "whole"

    def encode(self, kind: Kind, obj: dict[str, Any]) -> bytes:
        return kind.encode(obj)


class MetadataOnly:
    def __init__(self, version: str = "v1") -> None:
        self._version = version

    def key(self) -> object:
        return ("partial", self._version)

    def encode(self, kind: Kind, obj: dict[str, Any]) -> bytes:
        found = partial(obj)
        found["apiVersion"] = f"meta.k8s.io/{self._version}"
        return _encode(found)


class Rows:
    """Table rows; the first event of a stream carries the column definitions."""

    def __init__(self, now: Callable[[], float], include: str, version: str = "v1") -> None:
        self._now = now
        self._include = include
        self._version = version
        self._first = True

    def key(self) -> object:
        return None

    def encode(self, kind: Kind, obj: dict[str, Any]) -> bytes:
        first, self._first = self._first, False
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        rows = [row(kind.columns, obj, self._now(), self._include, self._version)]
        return _encode(table(kind.columns, rows, meta, version=self._version, definitions=first))


class Watch:
    """One watcher: a sink of the bucket and an asynchronous stream of JSON lines."""

    def __init__(
        self,
        core: Core,
        kind: Kind,
        namespace: str,
        chosen: Selection,
        form: Form,
        *,
        timeout: float,
        bookmarks: bool,
    ) -> None:
        self._core = core
        self._kind = kind
        self._prefix = f"{namespace}/" if namespace and kind.namespaced else ""
        self._chosen = chosen
        self._form = form
        self._timeout = timeout
        self._bookmarks = bookmarks
        self._marked = False
        self._ready: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._ending: BaseException | None = None
        self._ended = False
        self._since = 0
        self.bucket: Bucket = core.store.bucket(kind.bucket)

    def push(self, event: Event) -> None:
        if self.bucket.behind is not None:
            return  # caught up with later, from the log
        frame = self._frame(event)
        if frame is None:
            return
        self._ready.append(frame)
        if len(self._ready) > BACKLOG:
            self.cut()
        self._wake.set()

    def _passes(self, record: Record | None) -> bool:
        return (
            record is not None
            and record.key.startswith(self._prefix)
            and self._chosen.takes(record)
        )

    def _frame(self, event: Event) -> bytes | None:
        now, before = self._passes(event.new), self._passes(event.old)
        if now:
            record = event.new
            kind = "MODIFIED" if before else "ADDED"
        elif before:
            record, kind = event.old, "DELETED"
        else:
            return None
        assert record is not None
        mark = self._form.key()
        shape = self._kind.shape
        cache = (kind, mark, self._kind.api_version, shape.epoch if shape else 0)
        found = event.frames.get(cache) if mark is not None else None
        if found is None:
            found = self._line(kind, record, event.revision if kind == "DELETED" else 0)
            if mark is not None:
                event.frames[cache] = found
        return found

    def _line(self, kind: str, record: Record, revision: int) -> bytes:
        head = b'{"type":"' + kind.encode() + b'","object":'
        if not revision and isinstance(self._form, Whole):
            return head + self._kind.json(record) + b"}\n"
        obj = self._kind.value(record)
        if revision:
            obj["metadata"]["resourceVersion"] = str(revision)
        return head + self._form.encode(self._kind, obj) + b"}\n"

    def begin(self, revision: int | None, initial: bool | None) -> None:
        """Queue what the stream starts with; must run in one go with joining the bucket."""
        bucket = self.bucket
        self._since = revision or 0
        if initial or (initial is None and not revision):
            behind = bucket.behind
            if behind is not None and behind < bucket.floor:
                self.fail(expired(f"too old resource version: {behind} ({bucket.floor})"))
                return
            state = bucket.objects if behind is None else bucket.at(behind)
            for key in bucket.keys(self._prefix) if behind is None else sorted(state):
                record = state[key]
                if self._passes(record):
                    self._ready.append(self._line("ADDED", record, 0))
            if initial and self._bookmarks:
                self._marked = True
                self._ready.append(self._bookmark(INITIAL_END))
        elif revision:
            floor = bucket.floor
            if revision < floor:
                self.fail(expired(f"too old resource version: {revision} ({floor})"))
                return
            for event in bucket.since(revision):
                if bucket.behind is not None and event.revision > bucket.behind:
                    break
                frame = self._frame(event)
                if frame is not None:
                    self._ready.append(frame)
        bucket.join(self)

    def catch_up(self, behind: int) -> None:
        """Tell what happened while the bucket was behind; cut where that is forgotten."""
        if behind < self.bucket.floor:
            self.cut()
            return
        for event in self.bucket.since(max(behind, self._since)):
            self.push(event)

    def bookmark(self) -> None:
        """Send a bookmark now, where bookmarks are wanted."""
        if self._bookmarks:
            self._ready.append(self._bookmark())
            self._wake.set()

    def _bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        behind = self.bucket.behind
        revision = self._core.store.revision if behind is None else max(behind, self._since)
        meta: dict[str, Any] = {"resourceVersion": str(revision)}
        if annotations:
            meta["annotations"] = annotations
        obj: dict[str, Any] = {
            "kind": self._kind.kind,
            "apiVersion": self._kind.api_version,
            "metadata": meta,
        }
        if not self._kind.custom:
            from kaito.local.apiserver.typed import zero_of

            zero = zero_of(self._kind.node)
            obj = {**zero, **obj}
        return b'{"type":"BOOKMARK","object":' + self._form.encode(self._kind, obj) + b"}\n"

    def fail(self, error: StatusError) -> None:
        """Make the error the only event."""
        self._ready.append(b'{"type":"ERROR","object":' + _encode(error.body()) + b"}\n")
        self.end()

    def end(self) -> None:
        """End the stream cleanly after what is queued."""
        self._ended = True
        self._wake.set()

    def cut(self) -> None:
        """Break the stream: what is queued is lost."""
        self._ready.clear()
        self._ending = Cut("watch cut")
        self._wake.set()

    async def stream(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        bookmark_at = _next_bookmark(loop.time(), deadline)
        if self._marked:
            bookmark_at = loop.time() + BOOKMARK_AFTER_START
        try:
            yield b""
            while True:
                if self._ending is not None:
                    raise self._ending
                if self._ready:
                    chunk = b"".join(self._ready)
                    self._ready.clear()
                    yield chunk
                    continue
                if self._ended or loop.time() >= deadline:
                    return
                self._wake.clear()
                until = min(deadline, bookmark_at) if self._bookmarks else deadline
                try:
                    async with asyncio.timeout_at(until):
                        await self._wake.wait()
                except TimeoutError:
                    if self._bookmarks and loop.time() >= bookmark_at:
                        bookmark_at = _next_bookmark(loop.time(), deadline)
                        self._ready.append(self._bookmark())
        finally:
            self.bucket.leave(self)


def _next_bookmark(now: float, deadline: float) -> float:
    """Every minute, and once shortly before the end."""
    late = deadline - BOOKMARK_BEFORE_END
    return min(now + BOOKMARK_EVERY, late) if late > now else now + BOOKMARK_EVERY


class Watcher:
    """Opens watches of any kind."""

    def __init__(self, core: Core, lister: Lister) -> None:
        self._core = core
        self._lister = lister

    async def open(
        self, kind: Kind, namespace: str, options: ListOptions, form: Form, name: str = ""
    ) -> Watch:
        """Raises StatusError where the parameters contradict each other."""
        options.check_watch()
        chosen = options.selection(kind, name)
        revision = parse_revision(options.version, listing=False)
        seconds = float(options.timeout or 0)
        if seconds <= 0:
            seconds = DEFAULT_TIMEOUT * (1 + self._core.random.random())
        watch = Watch(
            self._core,
            kind,
            namespace,
            chosen,
            form,
            timeout=seconds,
            bookmarks=options.bookmarks,
        )
        try:
            if options.initial and revision and revision > self._core.store.revision:
                await self._lister.wait_for(revision)
            watch.begin(revision, options.initial)
        except StatusError as error:
            watch.fail(error)
        return watch
