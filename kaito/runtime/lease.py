"""Leader election with a Lease: at most one of several processes does the work.

The elector runs in a thread of its own, with its own event loop and connection, so that a busy
main loop cannot lose the lease. Rules of client-go: the record's timestamps are never compared
with our clock; a lease is free when its record has not changed, on our monotonic clock, for as
long as the record itself says it lasts. It is given back only after the guarded work has ended.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import structlog

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock, rfc3339_micro
from kaito.runtime.errors import AlreadyExists, Conflict, NotFound, RuntimeFailure, describe
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
        """Monotonic time of our last successful renewal."""

    async def acquire(self) -> None:
        """Return when the lease is ours; wait for that as long as it takes."""
        waiting = False
        while not await self._try():
            if not waiting:
                waiting = True
                holder = self._record.get("holderIdentity")
                log.info("waiting for the lease", lease=self._settings.name, holder=holder)
            await self._clock.sleep(self._settings.retry * (1 + JITTER * self._draw()))

    async def hold(self) -> None:
        """Renew until that fails for the renew deadline, then raise LeaseLost."""
        while True:
            await self._clock.sleep(self._settings.retry)
            while not await self._try():
                silent = self._clock.monotonic() - self.renewed_at
                if silent + self._settings.retry > self._settings.renew_deadline or not self._ours:
                    raise LeaseLost(
                        f"The lease {self._settings.namespace}/{self._settings.name} could not be "
                        f"renewed for {silent:.0f} s; it belongs to "
                        f"{self._record.get('holderIdentity') or 'nobody'} now."
                    )
                await self._clock.sleep(self._settings.retry)

    async def release(self) -> None:
        """Give the lease back, if it is still ours, so that others need not wait it out."""
        try:
            lease = await self._client.get(LEASES, self._key)
            if lease.get("spec", {}).get("holderIdentity") != self._settings.identity:
                return
            lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
            await self._client.update(LEASES, lease)
        except RuntimeFailure as error:
            log.warning("lease not released", lease=self._settings.name, **describe(error))

    @property
    def _key(self) -> Key:
        return Key(self._settings.namespace, self._settings.name)

    @property
    def _ours(self) -> bool:
        return self._record.get("holderIdentity") == self._settings.identity

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(self._settings.renew_deadline):
                return await self._try_once()
        except (RuntimeFailure, TimeoutError) as error:
            emit = log.debug if isinstance(error, Conflict) else log.warning
            emit("lease not renewed", lease=self._settings.name, **describe(error))
            return False

    async def _try_once(self) -> bool:
        settings = self._settings
        started = self._clock.monotonic()
        if self._lease is not None and self._ours and not self._expired(started):
            try:
                return self._won(await self._client.update(LEASES, self._next(self._lease)))
            except Conflict:
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
            try:
                return self._won(await self._client.create(LEASES, self._next(fresh)))
            except AlreadyExists:
                return False
        self._observe(lease)
        holder = self._record.get("holderIdentity")
        if holder and holder != settings.identity and not self._expired(self._clock.monotonic()):
            return False
        return self._won(await self._client.update(LEASES, self._next(lease)))

    def _observe(self, lease: Object) -> None:
        record = lease.get("spec") or {}
        if record != self._record:
            self._record = record
            self._observed_at = self._clock.monotonic()
        self._lease = lease

    def _won(self, lease: Object) -> bool:
        self._observe(lease)
        self._observed_at = self.renewed_at = self._clock.monotonic()
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
    because a second leader may be at work.
    """

    def __init__(
        self,
        settings: LeaseSettings,
        connect: Callable[[float], Client],
        *,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        abandon: Callable[[], None] = lambda: os._exit(70),
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._metrics = metrics or Metrics()
        self._clock = clock or SystemClock()
        self._abandon = abandon
        self._status = self._metrics.leader.labels(settings.name)
        self._status.set(0)
        self._ended = threading.Event()
        self._release = False
        self.acquired = asyncio.Event()
        self.lost: asyncio.Future[LeaseLost] | None = None

    async def __aenter__(self) -> Self:
        self._main = asyncio.get_running_loop()
        self.lost = self._main.create_future()
        self._elector_loop = asyncio.new_event_loop()
        self._finished = asyncio.Event()
        started = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name="lease", daemon=True
        )
        self._thread.start()
        await started.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        # Work that did not end in order may still be on its way: then the lease must run out.
        self._release = kind is None
        self._elector_loop.call_soon_threadsafe(self._task.cancel)
        await self._finished.wait()
        self._thread.join()
        self._elector_loop.close()

    def _run(self, started: asyncio.Event) -> None:
        loop = self._elector_loop
        asyncio.set_event_loop(loop)
        self._task = loop.create_task(self._elect())
        self._main.call_soon_threadsafe(started.set)
        try:
            loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            self._main.call_soon_threadsafe(self._finished.set)

    async def _elect(self) -> None:
        settings = self._settings
        async with self._connect(settings.call_timeout) as client:
            elector = Elector(client, settings, clock=self._clock, metrics=self._metrics)
            held = False
            try:
                await elector.acquire()
                held = True
                self._status.set(1)
                log.info("leading", lease=settings.name, identity=settings.identity)
                self._main.call_soon_threadsafe(self.acquired.set)
                await elector.hold()
            except LeaseLost as error:
                held = False
                self._status.set(0)
                log.error("lease lost", lease=settings.name, error=str(error))
                self._main.call_soon_threadsafe(self._report, error)
                await self._await_end(elector)
            finally:
                self._status.set(0)
                if held and self._release:
                    await elector.release()

    def _report(self, error: LeaseLost) -> None:
        if self.lost is not None and not self.lost.done():
            self.lost.set_result(error)

    async def _await_end(self, elector: Elector) -> None:
        left = elector.renewed_at + self._settings.duration - self._clock.monotonic()
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(None, self._ended.wait, max(left, 0.1)):
            log.critical("guarded work outlived the lease", lease=self._settings.name)
            self._abandon()
