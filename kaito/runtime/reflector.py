"""List, then watch, for ever: keeps a sink equal to what the server holds.

What to do next is decided by pure functions over `Step` (`after_...`); the `Reflector` below only
carries the steps out. Rules of client-go: a watch that ends is reopened where it ended; only an
expired version, or an answer that makes no sense, leads to a new list, and a new list is compared
with what the sink holds, so that objects deleted during a gap are noticed. Every read has a
deadline: a silent connection is a dead one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import structlog

from kaito.runtime.advice import advice
from kaito.runtime.backoff import Backoff, Pacer
from kaito.runtime.client import PAGE_SIZE, Client
from kaito.runtime.clock import Clock
from kaito.runtime.errors import (
    ApiError,
    CallTimedOut,
    ConnectionFailed,
    Expired,
    RuntimeFailure,
    Status,
    TooManyRequests,
    api_error,
    describe,
)
from kaito.runtime.fence import at_least
from kaito.runtime.metrics import Metrics
from kaito.runtime.pages import Page
from kaito.runtime.resource import Resource
from kaito.runtime.streamed import NotStreamed, WatchStream
from kaito.runtime.watchdog import Watchdog
from kaito.runtime.wire import open_bookmark, split_event

ANY_VERSION = "0"  # whatever the server's watch cache holds; no read from etcd
LATEST = ""  # a consistent read
WATCH_SECONDS = (300, 600)  # the server ends a watch after a time drawn from here
IDLE_SECONDS = 120.0  # silence taken for death; servers send a bookmark about once a minute
SHORT_WATCH = 1.0  # seconds; a watch that ends sooner without an event did not work
YIELD_EVERY = 256  # members of a page or events of a chunk between two looks at the event loop
# Answers to a request for initial events that mean: not here. 403 because who may not watch may
# still list, and is told about the watch in its own turn.
UNSTREAMED = frozenset({400, 403, 405, 406, 415, 422, 501})

Fill: TypeAlias = Literal["list", "stream", "pages"]
"""How a cache is filled.

"list"    one answer, from the server's watch cache: the fastest, by measurement.
"stream"  the latest state, as the beginning of the watch: no server builds a whole answer for it.
          Where the server cannot (by default before Kubernetes 1.34), "list" is used.
"pages"   the latest state, 500 objects an answer: for servers without a watch cache.

Answers are cut while they arrive, so that none of them needs memory beside the cache.
"""

log = structlog.get_logger("kaito.runtime.reflector")


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: list at, or watch from, `version`; with `wait`, after a backoff."""

    do: Literal["list", "watch"]
    version: str
    wait: bool = False
    reason: str = ""
    pause: float = 0.0
    """Seconds that the backoff is at least to last, because the server said so."""


FIRST = Step("list", ANY_VERSION, reason="start")


def after_list(version: str) -> Step:
    """The sink now holds the list of `version`."""
    return Step("watch", version)


def after_list_failure(step: Step, error: Exception) -> Step:
    """A list failed. A version the server cannot serve is given up for a consistent read."""
    unservable = isinstance(error, Expired) or (
        isinstance(error, ApiError) and error.version_too_large
    )
    if unservable and step.version != LATEST:
        return Step("list", LATEST, reason="version unavailable")
    return replace(step, wait=True, pause=_pause(error))


def cannot_stream(error: Exception) -> bool:
    """Whether a streamed list failed because this server does not have such lists."""
    return isinstance(error, NotStreamed) or (
        isinstance(error, ApiError) and error.status.code in UNSTREAMED
    )


def after_watch_end(version: str, *, lasted: float, moved: bool) -> Step:
    """A running watch ended or was cut: go on at `version`, slower if it was no watch at all.

    A cut is no reason to wait: load balancers cut for their own reasons, once a minute if they
    like, and whether the server is gone shows when the watch is reopened.
    """
    return Step("watch", version, wait=lasted < SHORT_WATCH and not moved)


def after_watch_failure(version: str, error: Exception, *, again: bool = False) -> Step:
    """A watch could not be opened, fell silent or reported an error.

    `again` says that the watch before failed, too, and nothing came in between.
    """
    match error:
        case ApiError() if isinstance(error, Expired):
            # Not older than what the handlers have seen: no travel back in time.
            return Step("list", version, wait=again, reason="expired")
        case ApiError() if error.version_too_large:
            return Step("list", LATEST, wait=again, reason="version unavailable")
        case TooManyRequests() | ConnectionFailed():
            return Step("watch", version, wait=True, pause=_pause(error))
        case CallTimedOut():
            return Step("watch", version)
        case ApiError() if error.transient:
            return Step("watch", version, wait=True, pause=_pause(error))
        case _:
            return Step("list", version, wait=True, reason=type(error).__name__)


def _pause(error: Exception) -> float:
    return (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0


class Sink(Protocol):
    """Where the objects go. Calls come in the server's order, one at a time."""

    async def replace(self, pages: AsyncIterator[Page]) -> str:
        """Hold exactly the objects of these pages; return the list's version."""

    def event(self, kind: str, body: bytes) -> str:
        """ADDED, MODIFIED or DELETED; returns the object's version, "" if it is not known."""

    def heard(self, version: str) -> None:
        """The server is alive, and `version` has been reached."""


class Reflector:
    """Keeps `sink` up to date until cancelled.

    `run` never returns: failures of the API are survived, counted and logged; any other exception
    is a defect and leaves `run`, for the supervisor to see.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource[Any],
        sink: Sink,
        *,
        clock: Clock,
        metrics: Metrics,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        fill: Fill = "list",
        backoff: Backoff | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._resource = resource
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._namespace = namespace
        self._labels = labels
        self._fields = fields
        self._fill = fill
        self._pacer = Pacer(backoff or Backoff(), clock.monotonic, draw)
        self._draw = draw
        self._version = ANY_VERSION
        self._stream: WatchStream | None = None
        self._in_vain = False  # the last watch failed, and none has said anything since
        self._log = log.bind(resource=str(resource), namespace=namespace or "*")
        self.trouble = ""
        """What is wrong at the moment, "" when nothing is."""
        self.following = False
        """Whether a list is complete and the watch from it is open, or about to be opened."""

    async def run(self) -> None:
        step = FIRST
        try:
            while True:
                if step.wait:
                    await self._clock.sleep(max(self._pacer.next_delay(), step.pause))
                step = await (self._list(step) if step.do == "list" else self._watch(step))
        finally:
            await self._close()

    async def _list(self, step: Step) -> Step:
        if step.reason:
            self._metrics.relists.labels(str(self._resource), step.reason).inc()
        try:
            async with aclosing(self._pages(step.version)) as pages:
                version = await self._sink.replace(pages)
        except RuntimeFailure as error:
            await self._close()
            if self._fill == "stream" and cannot_stream(error):
                self._log.info("lists are not streamed here", **describe(error))
                self._fill = "list"
                return replace(step, wait=False, reason="")
            self._complain("list", "list failed", error)
            return after_list_failure(step, error)
        self._version = version
        self.following = True
        self._sink.heard(version)
        self._recovered()
        return after_list(version)

    def _pages(self, version: str) -> AsyncGenerator[Page, None]:
        if self._fill == "stream":
            return self._streamed(LATEST if version == ANY_VERSION else version)
        paged = self._fill == "pages"
        return self._client.pages(
            self._resource,
            namespace=self._namespace,
            labels=self._labels,
            fields=self._fields,
            # A limit is heeded only where etcd is read, and there the latest costs no more.
            resource_version=LATEST if paged else version,
            page_size=PAGE_SIZE if paged else 0,
        )

    async def _streamed(self, version: str) -> AsyncGenerator[Page, None]:
        self._stream = await self._open(version, initial_events=True)
        async with aclosing(self._stream.initial_pages(self._clock)) as pages:
            async for page in pages:
                yield page

    async def _watch(self, step: Step) -> Step:
        started = self._clock.monotonic()
        self._version = step.version
        try:
            if self._stream is None:
                self._stream = await self._open(step.version)
                self.following = True
                # An answer is a sign of life even where no bookmark ever follows.
                self._sink.heard(step.version)
                self._recovered()
            try:
                await self._follow(self._stream)
            except ConnectionFailed as error:
                self._complain("watch", "watch cut", error, quiet=True)
        except RuntimeFailure as error:
            # An expired version and a silent server are the ordinary ends of a watch.
            quiet = isinstance(error, Expired | CallTimedOut)
            self._complain("watch", "watch failed", error, quiet=quiet)
            again, self._in_vain = self._in_vain, True
            return after_watch_failure(self._version, error, again=again)
        finally:
            self.following = False
            await self._close()
        lasted = self._clock.monotonic() - started
        moved = self._version != step.version
        return after_watch_end(self._version, lasted=lasted, moved=moved)

    async def _open(self, version: str, *, initial_events: bool = False) -> WatchStream:
        low, high = WATCH_SECONDS
        reply = await self._client.open_watch(
            self._resource,
            namespace=self._namespace,
            labels=self._labels,
            fields=self._fields,
            resource_version=version,
            timeout_seconds=int(low + (high - low) * self._draw()),
            initial_events=initial_events,
        )
        return WatchStream(reply)

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.aclose()

    async def _follow(self, stream: WatchStream) -> None:
        """Feed the stream into the sink until it ends."""
        count = self._metrics.events.labels(str(self._resource)).inc
        events = 0
        async with Watchdog(self._clock, IDLE_SECONDS, f"The watch of {self._resource}") as dog:
            async for lines in stream.batches():
                dog.pat()
                for line in lines:
                    self._take(line)
                    events += 1
                    if events % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
                count(len(lines))
                self._in_vain = False
                self._sink.heard(self._version)

    def _take(self, line: bytes) -> None:
        kind, body = split_event(line)
        match kind:
            case "ADDED" | "MODIFIED" | "DELETED":
                self._version = self._sink.event(kind, body) or self._version
            case "BOOKMARK":
                version = open_bookmark(body).resource_version
                if version != self._version and at_least(self._version, version):
                    # A server that lost its data would otherwise have us wait for ever for
                    # versions beyond the one we know.
                    message = f"the server is at version {version}, behind {self._version}"
                    raise Expired(Status(410, "Expired", message))
                self._version = version or self._version
            case "ERROR":
                raise api_error(0, body)
            case _:
                self._log.warning("event skipped", type=kind)

    def _complain(self, verb: str, what: str, error: Exception, *, quiet: bool = False) -> None:
        hint = advice(error, self._resource, verb, self._namespace)
        fields = {**describe(error), **({"hint": hint} if hint else {})}
        said = f"{what}: {fields['error']}" + (f"; {hint}" if hint else "")
        # Told once, not at every try: what is still wrong a second later is no news.
        emit = self._log.debug if quiet or said == self.trouble else self._log.warning
        emit(what, **fields)
        if not quiet:
            self.trouble = said

    def _recovered(self) -> None:
        if self.trouble:
            self.trouble = ""
            self._log.info("recovered")
