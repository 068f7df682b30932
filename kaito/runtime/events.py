"""Events: what happened to an object, for the people who run `kubectl describe`.

Recording never waits, and no failure to write reaches its caller. Repetitions are counted in one
Event, similar ones are combined, one object cannot fill the cluster with them (correlator.py);
what waits to be written is bounded and dropped when there is no room, because an Event is a hint
and not a record.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import socket
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import structlog

from kaito.runtime.backoff import Backoff
from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock, deadline
from kaito.runtime.correlator import MAX_MESSAGE, Correlator, Occurrence
from kaito.runtime.errors import (
    AlreadyExists,
    ApiError,
    CallTimedOut,
    ConnectionFailed,
    Forbidden,
    NotFound,
    describe,
)
from kaito.runtime.eventforms import CORE, NEWER, Form, Told
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Key, Object

QUEUE = 1000  # client-go's: Events that wait to be created
REMEMBERED = 4096  # client-go's: Events whose repetitions are still recognised
IDLE_SECONDS = 360.0  # client-go's: after so long without a repetition the next is a new Event
# Written at the first repetition, then ever more rarely up to client-go's half an hour.
SERIES_SECONDS = (0.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1800.0)
TRIES = 12  # client-go's, ten seconds apart, when the server cannot be reached
RETRY = Backoff(first=10.0, factor=1.0, cap=10.0, jitter=0.25)
MAX_WORD = 128  # characters of a reason, an action, an instance
CLUSTER_SCOPED = "default"  # the namespace for Events about cluster-scoped objects

log = structlog.get_logger("kaito.runtime.events")


@dataclass(slots=True)
class _Series:
    """An occurrence and its repetitions."""

    told: Told
    seen_at: float
    last_at: float
    count: int = 1
    step: int = 0
    due: float = float("inf")


class EventRecorder:
    """Writes Events in the background while `run` runs.

    `component` is who reports. `core` writes core/v1 Events from the start; else they are of
    events.k8s.io/v1, unless the server has no such group or does not let us write there.
    """

    def __init__(
        self,
        client: Client,
        *,
        component: str,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        core: bool = False,
        instance: str = "",
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._component = component
        self._instance = (instance or f"{component}-{socket.gethostname()}")[:MAX_WORD]
        self._clock = clock or SystemClock()
        self._draw = draw
        self._form: Form = CORE if core else NEWER
        outcomes = (metrics or client.metrics).recorded_events
        self._written, self._repeated, self._limited, self._dropped, self._failed = (
            outcomes.labels(outcome)
            for outcome in ("written", "repeated", "limited", "dropped", "failed")
        )
        self._correlator = Correlator(self._clock.monotonic)
        self._series: OrderedDict[Occurrence, _Series] = OrderedDict()
        self._fresh: deque[_Series] = deque()
        self._overdue: dict[Occurrence, _Series] = {}
        self._number = 0
        self._busy = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._hurried = asyncio.Event()

    def event(
        self,
        regarding: Object,
        *,
        type: Literal["Normal", "Warning"] = "Normal",  # noqa: A002 - the field's name
        reason: str,
        message: str,
        action: str = "",
        related: Object | None = None,
    ) -> None:
        """Record that something happened to `regarding` (an object, or a reference to one).

        `action` is what was done or tried, the reason again when it is not given; `related` is
        another object that had to do with it. KeyError for an object without a name.
        """
        occurrence = self._correlator.combine(
            Occurrence(
                regarding=_reference(regarding),
                related=_reference(related) if related else (),
                type=type,
                reason=reason[:MAX_WORD],
                action=(action or reason)[:MAX_WORD],
                message=message[:MAX_MESSAGE],
            )
        )
        now = self._clock.monotonic()
        series = self._series.pop(occurrence, None)
        if series is not None and now - series.seen_at <= IDLE_SECONDS:
            self._series[occurrence] = series
            self._repeat(series, now)
        elif not self._correlator.allows(occurrence):
            self._limited.inc()
        elif len(self._fresh) >= QUEUE:
            self._dropped.inc()
            log.warning("event dropped", reason=reason, name=dict(occurrence.regarding)["name"])
        else:
            self._begin(occurrence, now)

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            self._wake.clear()
            self._busy = True
            try:
                while self._fresh:
                    await self._create(self._fresh.popleft())
                next_due = await self._write_overdue()
            finally:
                self._busy = False
            if self._quiet:
                self._idle.set()
            await self._sleep(next_due)

    async def flush(self, within: float) -> int:
        """Return when everything recorded is written, or after `within` seconds; how many were
        not. Only while `run` runs."""
        self._hurried.set()
        self._wake.set()
        try:
            if not self._quiet:
                self._idle.clear()
                async with deadline(self._clock, within):
                    await self._idle.wait()
        except TimeoutError:
            log.warning("events not written", count=self._waiting)
        finally:
            self._hurried.clear()
        return self._waiting

    # Recording

    def _begin(self, occurrence: Occurrence, now: float) -> None:
        self._number += 1
        at = self._clock.now()
        regarding = dict(occurrence.regarding)
        identity = f"{self._instance} {self._number} {at} {occurrence}"
        # Nanoseconds first, as client-go has it, so that a list by name is one by time; those of
        # one moment follow their number.
        moment = f"{int(at * 1e9) + self._number:016x}"
        digest = moment + hashlib.sha256(identity.encode()).hexdigest()[:4]
        # Cut to the limit of names, and never so that a label ends in a sign.
        name = regarding["name"][:200].rstrip("-.")
        told = Told(
            occurrence=occurrence,
            key=Key(regarding.get("namespace") or CLUSTER_SCOPED, f"{name}.{digest}"),
            component=self._component,
            instance=self._instance,
            at=at,
        )
        series = self._series[occurrence] = _Series(told, seen_at=now, last_at=at)
        while len(self._series) > REMEMBERED:
            self._forget(next(iter(self._series)))
        self._fresh.append(series)
        self._wake.set()

    def _repeat(self, series: _Series, now: float) -> None:
        self._repeated.inc()
        if series.due == float("inf"):
            series.due = now + SERIES_SECONDS[min(series.step, len(SERIES_SECONDS) - 1)]
            self._overdue[series.told.occurrence] = series
            self._wake.set()
        series.count += 1
        series.seen_at = now
        series.last_at = self._clock.now()

    # Writing

    @property
    def _waiting(self) -> int:
        return len(self._fresh) + len(self._overdue)

    @property
    def _quiet(self) -> bool:
        return not (self._waiting or self._busy)

    async def _write_overdue(self) -> float:
        """Write the repetitions whose time has come; when the next ones are due."""
        now = self._clock.monotonic()
        next_due = float("inf")
        for occurrence, series in list(self._overdue.items()):
            # A series that has gone quiet is closed with its last count.
            due = min(series.due, series.seen_at + IDLE_SECONDS)
            if due > now and not self._hurried.is_set():
                next_due = min(next_due, due)
                continue
            del self._overdue[occurrence]
            series.due = float("inf")
            series.step += 1
            await self._count(series)
        return next_due

    async def _create(self, series: _Series) -> None:
        told = series.told

        async def create() -> None:
            try:
                await self._client.create(self._form.resource, self._form.first(told))
            except (NotFound, Forbidden) as error:
                if self._form is CORE or not _is_closed_to_us(error):
                    raise
                log.info("events go to core/v1", **describe(error))
                self._form = CORE
                await self._client.create(CORE.resource, CORE.first(told))

        error = await self._try(create)
        # Nobody else makes up this name: the try before was heard, and its answer was lost.
        if error is None or isinstance(error, AlreadyExists):
            self._written.inc()
            return
        self._fail(told, error)
        # Not there, so nothing to be counted up: its repetition is the next try.
        self._forget(told.occurrence)

    async def _count(self, series: _Series) -> None:
        told, count, at = series.told, series.count, series.last_at

        async def patch() -> None:
            body = self._form.repeated(count, at)
            await self._client.patch(self._form.resource, told.key, body)

        error = await self._try(patch)
        if isinstance(error, NotFound):
            # The server forgets Events after an hour.
            self._forget(told.occurrence)
            self._begin(told.occurrence, self._clock.monotonic())
        elif error is not None:
            self._fail(told, error)

    async def _try(self, write: Callable[[], Awaitable[None]]) -> Exception | None:
        """What came in the way of a write; tried again while the server cannot be reached."""
        step = 0
        while True:
            try:
                await write()
            except Exception as error:  # noqa: BLE001 - a hint must not end the process
                step += 1
                if step == TRIES or not _may_pass(error) or self._hurried.is_set():
                    return error
            else:
                return None
            with contextlib.suppress(TimeoutError):
                async with deadline(self._clock, RETRY.delay(step, self._draw)):
                    await self._hurried.wait()

    def _fail(self, told: Told, error: Exception) -> None:
        self._failed.inc()
        log.warning("event not written", reason=told.occurrence.reason, **describe(error))

    def _forget(self, occurrence: Occurrence) -> None:
        self._series.pop(occurrence, None)
        self._overdue.pop(occurrence, None)

    async def _sleep(self, until: float) -> None:
        timer = None
        if until != float("inf"):
            timer = self._clock.call_later(until - self._clock.monotonic(), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ApiError):
        return error.transient
    return isinstance(error, ConnectionFailed | CallTimedOut)


def _is_closed_to_us(error: ApiError) -> bool:
    """Whether the group is missing or forbidden, rather than the namespace missing or ending."""
    if isinstance(error, NotFound):
        return not error.status.details.name
    return all(cause.reason != "NamespaceTerminating" for cause in error.causes)


def _reference(obj: Object) -> tuple[tuple[str, str], ...]:
    metadata = obj.get("metadata", obj)
    pairs = (
        ("apiVersion", obj.get("apiVersion")),
        ("kind", obj.get("kind")),
        ("namespace", metadata.get("namespace")),
        ("name", metadata["name"]),
        ("uid", metadata.get("uid")),
    )
    return tuple((name, value) for name, value in pairs if value)
