"""Leader election with a Lease: at most one of several processes does the work.

The elector runs in a thread of its own, with its own event loop and connection, so that a busy
main loop cannot lose the lease. Rules of client-go: the record's timestamps are never compared
with our clock; a lease is free when its record has not changed, on our monotonic clock, for as
long as the record itself says it lasts. It is given back only after the guarded work has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec
import structlog

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock, deadline, rfc3339_micro
from kaito.runtime.errors import AlreadyExists, Conflict, NotFound, RuntimeFailure, describe
from kaito.runtime.exits import ExitCode
from kaito.runtime.heartbeat import stack_of
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Key, Object, Resource

LEASES: Resource[Object] = Resource("coordination.k8s.io", "v1", "leases", "Lease")
JITTER = 1.2  # of the retry period, while waiting for somebody else's lease

log = structlog.get_logger("kaito.runtime.lease")


class LeaseLost(Exception):
    """We led and could not renew in time. The process must end: somebody else may lead now."""


def default_identity() -> str:
    """Host and a random part, so that two processes of one host differ."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseSettings:
    """Which lease, and its times in seconds. ValueError when the times do not fit together."""

    name: str
    namespace: str
    identity: str = field(default_factory=default_identity)
    duration: float = 15.0
    """How long others wait after our last renewal before they take over."""
    renew_deadline: float = 10.0
    """How long we try to renew before we consider ourselves deposed."""
    retry: float = 2.0
    """Between two tries."""

    def __post_init__(self) -> None:
        if not self.duration > self.renew_deadline > self.retry * JITTER > 0:
            raise ValueError(
                f"Lease times must satisfy duration > renew deadline > {JITTER} x retry > 0; "
                f"got {self.duration}, {self.renew_deadline}, {self.retry}."
            )
        if not self.identity:
            raise ValueError("A lease needs an identity.")

    @staticmethod
    def lasting(duration: float, *, name: str, namespace: str) -> LeaseSettings:
        """Settings for a lease of `duration` seconds, in client-go's proportions (15:10:2)."""
        return LeaseSettings(
            name=name,
            namespace=namespace,
            duration=duration,
            renew_deadline=duration * 10 / 15,
            retry=duration * 2 / 15,
        )

    @property
    def call_timeout(self) -> float:
        """One hung call must not eat the whole deadline (controller-runtime's rule)."""
        return max(1.0, self.renew_deadline / 2) if self.renew_deadline > 2 else self.retry


class Elector:
    """Acquires, renews and releases one lease. Knows nothing of threads."""

    def __init__(
        self,
        client: Client,
        settings: LeaseSettings,
        *,
        clock: Clock,
        metrics: Metrics,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        self._draw = draw
        self._slowpath = metrics.leader_slowpath.labels(settings.name)
        self._lease: Object | None = None
        self._record: Object = {}
        self._observed_at = float("-inf")
        self.renewed_at = float("-inf")
        """Monotonic time at which our last successful renewal was sent.

        Sent, not answered: whoever waits for our lease may have seen it from that moment on.
        """

    async def acquire(self) -> None:
        """Return when the lease is ours; wait for that as long as it takes."""
        waiting = False
        # An answer that was long on its way may tell of a lease that has run out since.
        while not (await self._try(self._settings.renew_deadline) and self._holds):
            if not waiting:
                waiting = True
                log.info("waiting for the lease", lease=self._settings.name, holder=self.holder)
            await self._clock.sleep(self._settings.retry * (1 + JITTER * self._draw()))

    async def hold(self) -> None:
        """Renew until that fails for the renew deadline, then raise LeaseLost."""
        settings = self._settings
        while True:
            await self._clock.sleep(settings.retry)
            # A try may take what is left of the deadline and no more, however many calls it makes.
            while not (self._holds and await self._try(self._left)):
                if not self._ours or self._left < settings.retry:
                    raise self._lost()
                await self._clock.sleep(settings.retry)
            # It was our turn too late: this process was stopped, or the answer was.
            if not self._holds:
                raise self._lost()

    async def release(self) -> None:
        """Give the lease back, if it is still ours, so that others need not wait it out."""
        try:
            async with deadline(self._clock, self._settings.renew_deadline):
                lease = await self._client.get(LEASES, self._key)
                if lease.get("spec", {}).get("holderIdentity") != self._settings.identity:
                    return
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.update(LEASES, lease)
        except (RuntimeFailure, TimeoutError) as error:
            log.warning("lease not released", lease=self._settings.name, **describe(error))

    @property
    def _left(self) -> float:
        """Seconds for which we may still consider ourselves the leader."""
        return self.renewed_at + self._settings.renew_deadline - self._now()

    @property
    def _holds(self) -> bool:
        return self._left > 0

    def _lost(self) -> LeaseLost:
        settings = self._settings
        return LeaseLost(
            f"The lease {settings.namespace}/{settings.name} could not be renewed for "
            f"{self._now() - self.renewed_at:.1f} s; the record names "
            f"{self.holder or 'nobody'} as its holder."
        )

    @property
    def holder(self) -> str:
        """Who holds the lease, as far as we know; "" for nobody."""
        return str(self._record.get("holderIdentity") or "")

    @property
    def _key(self) -> Key:
        return Key(self._settings.namespace, self._settings.name)

    @property
    def _ours(self) -> bool:
        return self.holder == self._settings.identity

    def _now(self) -> float:
        return self._clock.monotonic()

    async def _try(self, within: float) -> bool:
        try:
            async with deadline(self._clock, within):
                return await self._try_once()
        except (RuntimeFailure, TimeoutError, msgspec.DecodeError) as error:
            emit = log.debug if isinstance(error, Conflict) else log.warning
            emit("lease not renewed", lease=self._settings.name, **describe(error))
            return False

    async def _try_once(self) -> bool:
        settings = self._settings
        sent = self._now()
        if self._lease is not None and self._ours and not self._expired(sent):
            try:
                return self._won(await self._client.update(LEASES, self._next(self._lease)), sent)
            except (Conflict, NotFound):
                pass  # somebody touched it: look what it says now
        self._slowpath.inc()
        try:
            lease = await self._client.get(LEASES, self._key)
        except NotFound:
            fresh: Object = {
                "apiVersion": LEASES.api_version,
                "kind": LEASES.kind,
                "metadata": {"namespace": settings.namespace, "name": settings.name},
            }
            sent = self._now()
            try:
                return self._won(await self._client.create(LEASES, self._next(fresh)), sent)
            except AlreadyExists:
                return False
        self._observe(lease)
        holder = self._record.get("holderIdentity")
        if holder and holder != settings.identity and not self._expired(self._now()):
            return False
        sent = self._now()
        return self._won(await self._client.update(LEASES, self._next(lease)), sent)

    def _observe(self, lease: Object) -> None:
        record = lease.get("spec") or {}
        if record != self._record:
            self._record = record
            self._observed_at = self._now()
        self._lease = lease

    def _won(self, lease: Object, sent: float) -> bool:
        self._observe(lease)
        self._observed_at = self.renewed_at = sent
        return True

    def _expired(self, now: float) -> bool:
        lasts = self._record.get("leaseDurationSeconds") or 0
        return bool(now >= self._observed_at + lasts)

    def _next(self, lease: Object) -> Object:
        now = rfc3339_micro(self._clock.now())
        old = lease.get("spec") or {}
        kept = old.get("holderIdentity") == self._settings.identity
        transitions = old.get("leaseTransitions") or 0
        spec = {
            "holderIdentity": self._settings.identity,
            # The API wants whole seconds; rounding up keeps us on the safe side.
            "leaseDurationSeconds": max(1, int(-(-self._settings.duration // 1))),
            "renewTime": now,
            "acquireTime": old.get("acquireTime", now) if kept else now,
            "leaseTransitions": transitions if kept or not old else transitions + 1,
        }
        return {**lease, "spec": spec}


class Leadership:
    """Runs an Elector in its own thread. `async with` it; leave it when the work has ended.

    `connect` makes the thread's own client. When the lease is lost and the guarded work has not
    ended by the time it expires, `abandon` is called in the thread: by default the process ends,
    because a second leader may be at work. That nothing is heard of the thread is a loss, too.
    """

    def __init__(
        self,
        settings: LeaseSettings,
        connect: Callable[[float], Client],
        *,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        abandon: Callable[[], None] = lambda: os._exit(ExitCode.STUCK),
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._metrics = metrics or Metrics()
        self._clock = clock or SystemClock()
        self._abandon = abandon
        self._status = self._metrics.leader.labels(settings.name)
        self._status.set(0)
        self._release = False
        self._led = False
        self._elector: Elector | None = None
        self.acquired = asyncio.Event()
        self.lost = asyncio.Event()
        self.why: LeaseLost | None = None
        """Set with `lost`: why we do not lead, or can never lead."""

    async def __aenter__(self) -> Self:
        self._main = asyncio.get_running_loop()
        self._guarded = threading.get_ident()
        self._finished = asyncio.Event()
        self._elector_loop = asyncio.new_event_loop()
        self._task = self._elector_loop.create_task(self._elect())
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._thread.start()
        self._book()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Work that did not end in order may still be on its way: then the lease must run out.
        self._release = kind is None
        self._timer.cancel()
        self._elector_loop.call_soon_threadsafe(self._task.cancel)
        await self._finished.wait()
        self._thread.join()
        self._elector_loop.close()

    def describe(self) -> str:
        """In one line for people: which lease, who holds it, since when it was renewed."""
        settings, elector = self._settings, self._elector
        said = f"{settings.namespace}/{settings.name}, we are {settings.identity}: "
        if self.why is not None:
            return f"{said}lost; {self.why}"
        if elector is None:
            return f"{said}not asked for yet"
        if self.acquired.is_set():
            return f"{said}held, renewed {self._clock.monotonic() - elector.renewed_at:.1f} s ago"
        return f"{said}held by {elector.holder or 'nobody we know of'}"

    def _book(self) -> None:
        # Often enough to find a silence before the lease has ended.
        margin = self._settings.duration - self._settings.renew_deadline
        self._timer = self._clock.call_later(margin / 4, self._look)

    def _look(self) -> None:
        """The main loop's own look at the time, for a thread that hangs tells nobody."""
        settings, elector = self._settings, self._elector
        if self.why is None and self._led and elector is not None:
            silent = self._clock.monotonic() - elector.renewed_at
            if silent > (settings.renew_deadline + settings.duration) / 2:
                self.why = LeaseLost(
                    f"The thread that renews the lease {settings.namespace}/{settings.name} has "
                    f"been silent for {silent:.1f} s."
                )
                self.lost.set()
        if not self.lost.is_set():
            self._book()

    def _run(self) -> None:
        loop = self._elector_loop
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            self._tell(self._finished.set)

    async def _elect(self) -> None:
        # The connection is closed last: nothing that it waits for may keep a loss from being told.
        async with contextlib.AsyncExitStack() as ends:
            try:
                connection = self._connect(self._settings.call_timeout)
                await self._lead(await ends.enter_async_context(connection))
            except LeaseLost as error:
                await self._lose(error)
            except (Exception, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise  # the work has ended, and so may we
                # Whatever stopped the elector: nobody renews from now on.
                await self._lose(LeaseLost(f"The elector failed: {error!r}"), error)

    async def _lead(self, client: Client) -> None:
        settings = self._settings
        elector = Elector(client, settings, clock=self._clock, metrics=self._metrics)
        self._elector = elector
        await elector.acquire()
        self._led = True
        try:
            self._status.set(1)
            self._tell(self.acquired.set)
            log.info("leading", lease=settings.name, identity=settings.identity)
            await elector.hold()
        except asyncio.CancelledError:
            if self._release:
                await elector.release()
            raise
        finally:
            self._status.set(0)

    async def _lose(self, why: LeaseLost, cause: BaseException | None = None) -> None:
        """Tell the main loop, then wait to be cancelled, until the lease expires."""
        self.why = why
        self._tell(self.lost.set)
        # Told first: a log that cannot be written must not keep us from letting go.
        with contextlib.suppress(Exception):
            log.error("lease lost", lease=self._settings.name, error=str(why), exc_info=cause)
        elector = self._elector
        if not self._led or elector is None:
            return
        expires = elector.renewed_at + self._settings.duration
        await self._clock.sleep(max(expires - self._clock.monotonic(), 0.0))
        with contextlib.suppress(Exception):
            log.critical(
                "guarded work outlived the lease",
                lease=self._settings.name,
                stack=stack_of(sys._current_frames().get(self._guarded)),
            )
        self._abandon()

    def _tell(self, callback: Callable[[], None]) -> None:
        # A closed main loop has nobody left to tell.
        with contextlib.suppress(RuntimeError):
            self._main.call_soon_threadsafe(callback)
