"""The manager: starts what a process consists of in order, and stops it in the reverse order.

    probes and metrics  before caches, or the kubelet kills a slow first list
    informers           until every one has synced
    lease               until this process leads
    controllers         until told to stop

Each layer is a block inside the one before, so the order of stopping cannot be got wrong, and an
informer or task that dies takes the whole process with it: nothing is ever silently idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeAlias, TypeVar

import structlog

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.controller import Controller
from kaito.runtime.events import EventRecorder
from kaito.runtime.informer import Informer, Scope, Transform
from kaito.runtime.lease import Leadership, LeaseLost, LeaseSettings
from kaito.runtime.metrics import Metrics
from kaito.runtime.reflector import IDLE_SECONDS
from kaito.runtime.resource import Resource
from kaito.runtime.serving import Address, Checks, serving
from kaito.runtime.store import Index

T = TypeVar("T")

SYNC_SECONDS = 120.0  # controller-runtime's CacheSyncTimeout
GRACE_SECONDS = 30.0  # for running reconciles to end
# Twice the reflector's own limit: it has then failed to reopen the watch as well.
SILENCE_SECONDS = 2 * IDLE_SECONDS

Task: TypeAlias = Callable[[], Awaitable[None]]

log = structlog.get_logger("kaito.runtime.manager")


class SyncTimeout(Exception):
    """Caches did not fill in time; the message names them."""


class Manager:
    """One process's informers and controllers over one client.

    `connect` makes another client with the given timeout, for the lease's own thread; it is
    needed only with `lease`.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        lease: LeaseSettings | None = None,
        connect: Callable[[float], Client] | None = None,
        namespaces: Sequence[str] = (),
        probes: Address | None = None,
        metrics_address: Address | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        sync_timeout: float = SYNC_SECONDS,
        grace: float = GRACE_SECONDS,
    ) -> None:
        if lease is not None and connect is None:
            raise ValueError("A manager with a lease needs `connect`.")
        self.client = client
        self.clock = clock or SystemClock()
        self.metrics = metrics or Metrics()
        self.checks = Checks()
        self.recorder = EventRecorder(client, component=name, clock=self.clock)
        self._name = name
        self._lease = lease
        self._connect = connect
        self._namespaces = tuple(sorted(set(namespaces)))
        self._probes = probes
        self._metrics_address = metrics_address
        self._sync_timeout = sync_timeout
        self._grace = grace
        self._informers: dict[tuple[Resource[Any], Scope], Informer[Any]] = {}
        self._controllers: list[Controller] = []
        self._tasks: list[tuple[str, Task]] = []
        self._stop = asyncio.Event()
        self._running = False
        self.leading = asyncio.Event()
        """Set while the controllers run."""
        self.checks.ready["caches"] = self._unready

    def informer(
        self,
        resource: Resource[T],
        *,
        labels: str = "",
        fields: str = "",
        namespaces: Sequence[str] | None = None,
        indexes: Mapping[str, Index] | None = None,
        transform: Transform | None = None,
    ) -> Informer[T]:
        """The informer of this kind and scope, made at the first call.

        `namespaces` defaults to the manager's own for namespaced kinds. ValueError when the
        informer exists already and is asked for with indexes or a transform (give them to the
        first call), and when it is new but the manager runs already: nobody would feed it.
        """
        if not resource.namespaced:
            within: tuple[str, ...] = ()
        elif namespaces is None:
            within = self._namespaces
        else:
            within = tuple(sorted(set(namespaces)))
        scope = Scope(namespaces=within, labels=labels, fields=fields)
        known = self._informers.get((resource, scope))
        if known is None:
            self._before_run(f"The informer of {resource}")
            known = Informer(
                self.client,
                resource,
                scope=scope,
                indexes=indexes,
                transform=transform,
                clock=self.clock,
                metrics=self.metrics,
            )
            self._informers[resource, scope] = known
        elif indexes or transform:
            raise ValueError(f"The informer of {resource} exists already.")
        return known

    def add(self, controller: Controller) -> None:
        """Run this controller while we lead.

        ValueError when its name is taken, when one of its informers is not this manager's, and
        when the manager runs already.
        """
        self._before_run(f"Controller {controller.name!r}")
        if any(controller.name == other.name for other in self._controllers):
            raise ValueError(f"There is a controller {controller.name!r} already.")
        ours = list(self._informers.values())
        for informer in controller.informers:
            if not any(informer is each for each in ours):
                raise ValueError(
                    f"Controller {controller.name!r} watches {informer.resource} through an "
                    f"informer that nobody runs; make it with manager.informer()."
                )
        self._controllers.append(controller)

    def add_task(self, name: str, task: Task) -> None:
        """Run this beside the controllers, while we lead. Its end ends nothing, its error all."""
        self._before_run(f"Task {name!r}")
        self._tasks.append((name, task))

    def _before_run(self, what: str) -> None:
        if self._running:
            raise ValueError(f"{what} comes too late: the manager runs already.")

    def stop(self) -> None:
        """Have `run` return, after running reconciles have ended. Safe to call twice."""
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop` or cancellation.

        Raises LeaseLost, SyncTimeout, UnfinishedWork, OSError for an address in use, or the
        ExceptionGroup of what died.
        """
        self._running = True
        ending: Exception | None = None
        async with AsyncExitStack() as layers:
            await layers.enter_async_context(
                serving(
                    probes=self._probes,
                    metrics=self._metrics_address,
                    checks=self.checks,
                    registry=self.metrics.registry,
                )
            )
            async with asyncio.TaskGroup() as background:
                servants = [
                    (f"informer/{informer.resource}", informer.run)
                    for informer in self._informers.values()
                ]
                servants.append(("events", self.recorder.run))
                running = [
                    background.create_task(_endless(name, run), name=name) for name, run in servants
                ]
                try:
                    if await self._synced():
                        await self._elect()
                except (LeaseLost, SyncTimeout, UnfinishedWork) as error:
                    ending = error  # raised below, outside of the group and its wrapping
                finally:
                    for task in running:
                        task.cancel()
        if ending is not None:
            raise ending

    async def _synced(self) -> bool:
        """Whether the caches are full; False when told to stop before."""
        waiting = asyncio.ensure_future(self._wait_synced())
        stopping = asyncio.ensure_future(self._stop.wait())
        deadline = asyncio.ensure_future(self.clock.sleep(self._sync_timeout))
        ends: set[asyncio.Future[Any]] = {waiting, stopping, deadline}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and not stopping.done():
                late = [str(key[0]) for key, each in self._informers.items() if not each.synced]
                raise SyncTimeout(
                    f"No first list of {', '.join(late)} within {self._sync_timeout:g} s; "
                    f"the log says why."
                )
            return not stopping.done()
        finally:
            for end in ends:
                end.cancel()

    async def _wait_synced(self) -> None:
        for informer in self._informers.values():
            await informer.wait_synced()

    async def _elect(self) -> None:
        if self._lease is None:
            await self._lead(None)
            return
        assert self._connect is not None
        leadership = Leadership(self._lease, self._connect, metrics=self.metrics, clock=self.clock)
        async with leadership:
            events = (self._stop, leadership.acquired, leadership.lost)
            ends = [asyncio.ensure_future(event.wait()) for event in events]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
            if leadership.why is not None:
                raise leadership.why
            if not self._stop.is_set():
                await self._lead(leadership)

    async def _lead(self, leadership: Leadership | None) -> None:
        """Run the controllers until told to stop; raise LeaseLost when deposed."""
        finish = asyncio.Event()
        work = asyncio.ensure_future(self._work(finish))
        stopping = asyncio.ensure_future(self._stop.wait())
        ends: set[asyncio.Future[Any]] = {work, stopping}
        if leadership is not None:
            ends.add(asyncio.ensure_future(leadership.lost.wait()))
        self.leading.set()
        log.info("started", manager=self._name, controllers=[c.name for c in self._controllers])
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if leadership is not None and leadership.why is not None:
                raise leadership.why
            finish.set()
            bound = self.clock.call_later(self._grace, lambda: _cancel(work))
            try:
                await work
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                log.warning("reconciles cancelled", after_seconds=self._grace)
                raise UnfinishedWork(
                    f"Reconciles were still running {self._grace:g} s after the stop."
                ) from None
            finally:
                bound.cancel()
        finally:
            self.leading.clear()
            for end in ends:
                end.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _work(self, finish: asyncio.Event) -> None:
        informers = list(self._informers.values())
        async with asyncio.TaskGroup() as tasks:
            extra = [tasks.create_task(_run(task), name=name) for name, task in self._tasks]
            controllers = [
                tasks.create_task(
                    controller.run(
                        informers=informers, clock=self.clock, metrics=self.metrics, stop=finish
                    ),
                    name=f"controller/{controller.name}",
                )
                for controller in self._controllers
            ]
            await finish.wait()
            for task in extra:
                task.cancel()
            if controllers:
                await asyncio.wait(controllers)

    def _unready(self) -> str:
        late = [str(key[0]) for key, each in self._informers.items() if not each.synced]
        if late:
            return f"waiting for the first list of {', '.join(late)}"
        silent = [
            str(key[0]) for key, each in self._informers.items() if each.silence() > SILENCE_SECONDS
        ]
        return f"nothing heard of {', '.join(silent)}" if silent else ""


class UnfinishedWork(Exception):
    """Reconciles outlasted the grace period, so the lease was left to run out."""


class Ended(Exception):
    """Something that runs for as long as the process does came to an end by itself."""


async def _endless(name: str, run: Task) -> None:
    """Run until cancelled by the manager; any other end is a failure, never a silence."""
    try:
        await run()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
    raise Ended(f"{name} ended, and nothing would be kept up to date by it any more.")


async def _run(task: Task) -> None:
    await task()


def _cancel(future: asyncio.Future[Any]) -> None:
    future.cancel()
