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
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import msgspec
import structlog

from kaito.runtime.backoff import Backoff, Pacer
from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, Timer
from kaito.runtime.errors import (
    ApiError,
    CallTimedOut,
    ConnectionFailed,
    Expired,
    Forbidden,
    NotFound,
    OversizedLine,
    RuntimeFailure,
    Status,
    TooManyRequests,
    api_error,
    describe,
)
from kaito.runtime.fence import at_least
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Resource
from kaito.runtime.transport import Reply
from kaito.runtime.wire import LineSplitter, Page, resource_version_of, split_event

ANY_VERSION = "0"  # whatever the server's watch cache holds; no read from etcd
LATEST = ""  # a consistent read
WATCH_SECONDS = (300, 600)  # the server ends a watch after a time drawn from here
IDLE_SECONDS = 120.0  # silence taken for death; servers send a bookmark about once a minute
SHORT_WATCH = 1.0  # seconds; a watch that ends sooner without an event did not work
YIELD_EVERY = 256  # members of a page or events of a chunk between two looks at the event loop

log = structlog.get_logger("kaito.runtime.reflector")


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: list at, or watch from, `version`; with `wait`, after a backoff."""

    do: Literal["list", "watch"]
    version: str
    wait: bool = False
    reason: str = ""


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
    return replace(step, wait=True)


def after_watch_end(version: str, *, lasted: float, moved: bool) -> Step:
    """A running watch ended or was cut: go on at `version`, slower if it was no watch at all.

    A cut is no reason to wait: load balancers cut for their own reasons, once a minute if they
    like, and whether the server is gone shows when the watch is reopened.
    """
    return Step("watch", version, wait=lasted < SHORT_WATCH and not moved)


def after_watch_failure(version: str, error: Exception) -> Step:
    """A watch could not be opened, fell silent or reported an error."""
    match error:
        case ApiError() if isinstance(error, Expired):
            # Not older than what the handlers have seen: no travel back in time.
            return Step("list", version, reason="expired")
        case ApiError() if error.version_too_large:
            return Step("list", LATEST, reason="version unavailable")
        case TooManyRequests() | ConnectionFailed():
            return Step("watch", version, wait=True)
        case CallTimedOut():
            return Step("watch", version)
        case ApiError() if error.transient:
            return Step("watch", version, wait=True)
        case _:
            return Step("list", version, wait=True, reason=type(error).__name__)


class Sink(Protocol):
    """Where the objects go. Calls come in the server's order, one at a time."""

    async def replace(self, pages: AsyncIterator[Page]) -> str:
        """Hold exactly the objects of these pages; return the list's version."""

    def event(self, kind: str, body: bytes) -> str:
        """ADDED, MODIFIED or DELETED; returns the object's version."""

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
        self._pacer = Pacer(backoff or Backoff(), clock.monotonic, draw)
        self._draw = draw
        self._version = ANY_VERSION
        self._trouble = ""
        self._log = log.bind(resource=str(resource), namespace=namespace or "*")

    async def run(self) -> None:
        step = FIRST
        while True:
            if step.wait:
                await self._clock.sleep(self._pacer.next_delay())
            step = await (self._list(step) if step.do == "list" else self._watch(step))

    async def _list(self, step: Step) -> Step:
        if step.reason:
            self._metrics.relists.labels(str(self._resource), step.reason).inc()
        try:
            version = await self._sink.replace(
                self._client.pages(
                    self._resource,
                    namespace=self._namespace,
                    labels=self._labels,
                    fields=self._fields,
                    resource_version=step.version,
                    # A limit makes the server read etcd unless any version will do.
                    page_size=0 if step.version not in (ANY_VERSION, LATEST) else 500,
                )
            )
        except (RuntimeFailure, msgspec.DecodeError, UnicodeDecodeError) as error:
            self._complain("list failed", error)
            return after_list_failure(step, error)
        self._version = version
        self._sink.heard(version)
        self._recovered()
        return after_list(version)

    async def _watch(self, step: Step) -> Step:
        started = self._clock.monotonic()
        low, high = WATCH_SECONDS
        seconds = int(low + (high - low) * self._draw())
        self._version = step.version
        try:
            reply = await self._client.open_watch(
                self._resource,
                namespace=self._namespace,
                labels=self._labels,
                fields=self._fields,
                resource_version=step.version,
                timeout_seconds=seconds,
            )
            try:
                # An answer is a sign of life even where no bookmark ever follows.
                self._sink.heard(step.version)
                self._recovered()
                await self._follow(reply)
            except ConnectionFailed as error:
                self._complain("watch cut", error, quiet=True)
            finally:
                await reply.aclose()
        except (RuntimeFailure, msgspec.DecodeError, UnicodeDecodeError) as error:
            # An expired version and a silent server are the ordinary ends of a watch.
            quiet = isinstance(error, Expired | CallTimedOut)
            self._complain("watch failed", error, quiet=quiet)
            return after_watch_failure(self._version, error)
        lasted = self._clock.monotonic() - started
        moved = self._version != step.version
        return after_watch_end(self._version, lasted=lasted, moved=moved)

    async def _follow(self, reply: Reply) -> None:
        """Feed the stream into the sink until it ends; how many events it had."""
        splitter = LineSplitter()
        count = self._metrics.events.labels(str(self._resource)).inc
        events = 0
        async with _Watchdog(self._clock, IDLE_SECONDS, f"The watch of {self._resource}") as dog:
            async for chunk in reply.chunks():
                dog.pat()
                lines = splitter.feed(chunk)
                for line in lines:
                    self._take(line)
                    events += 1
                    if events % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
                count(len(lines))
                self._sink.heard(self._version)

    def _take(self, line: bytes) -> None:
        kind, body = split_event(line)
        match kind:
            case "ADDED" | "MODIFIED" | "DELETED":
                self._version = self._sink.event(kind, body)
            case "BOOKMARK":
                version = resource_version_of(body)
                if version != self._version and at_least(self._version, version):
                    # A server that lost its data would otherwise have us wait for ever for
                    # versions beyond the one we know.
                    message = f"the server is at version {version}, behind {self._version}"
                    raise Expired(Status(410, "Expired", message))
                self._version = version
            case "ERROR":
                raise api_error(0, body)
            case _:
                self._log.warning("event skipped", type=kind)

    def _complain(self, verb: str, error: Exception, *, quiet: bool = False) -> None:
        hint = ""
        if isinstance(error, Forbidden):
            verbs = "list, watch"
            hint = f"grant {verbs} on {self._resource} to this user or service account"
        elif isinstance(error, NotFound):
            hint = f"install the definition of {self._resource}"
        elif isinstance(error, OversizedLine):
            hint = "select fewer objects or leave large ones out"
        fields = {**describe(error), **({"hint": hint} if hint else {})}
        said = f"{verb}: {fields['error']}"
        # Told once, not at every try: what is still wrong a second later is no news.
        emit = self._log.debug if quiet or said == self._trouble else self._log.warning
        emit(verb, **fields)
        if not quiet:
            self._trouble = said

    def _recovered(self) -> None:
        if self._trouble:
            self._trouble = ""
            self._log.info("recovered")


class _Watchdog:
    """Ends a block that has not been heard of for `limit` seconds with CallTimedOut.

    One timer looks at the time of the last `pat`: moving a timeout at each event would cost as
    much as splitting the event.
    """

    def __init__(self, clock: Clock, limit: float, what: str) -> None:
        self._clock = clock
        self._limit = limit
        self._what = what
        self._last = clock.monotonic()
        self._timeout = asyncio.timeout(None)
        self._timer: Timer | None = None

    def pat(self) -> None:
        self._last = self._clock.monotonic()

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._look()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise CallTimedOut(f"{self._what} was silent for {self._limit:g} s.") from None

    def _look(self) -> None:
        left = self._last + self._limit - self._clock.monotonic()
        if left <= 0:
            self._timeout.reschedule(asyncio.get_running_loop().time())
        else:
            self._timer = self._clock.call_later(left, self._look)
