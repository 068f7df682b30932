"""The manager: starts what a process consists of in order, and stops it in the reverse order.

    probes and metrics  before caches, or the kubelet kills a slow first list
    heartbeat           of the event loop
    informers, events   until every cache has synced
    lease               until this process leads
    controllers         until told to stop
    events              those recorded last are still written, within a bound

Each layer is a block inside the one before, so the order of stopping cannot be got wrong, and an
informer or task that dies takes the whole process with it: nothing is ever silently idle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

from kaito.runtime import inspection
from kaito.runtime.cache import Transform
from kaito.runtime.certificate import Certificate, ServedCertificate
from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock
from kaito.runtime.collector import freeze_heap, heap_is_frozen, thaw_heap
from kaito.runtime.controller import Controller
from kaito.runtime.events import EventRecorder
from kaito.runtime.heartbeat import BLOCKED_SECONDS, Heartbeat
from kaito.runtime.informer import Informer, Scope
from kaito.runtime.lease import Leadership, LeaseLost, LeaseSettings
from kaito.runtime.metrics import Metrics
from kaito.runtime.reflector import IDLE_SECONDS, Fill
from kaito.runtime.resource import Resource
from kaito.runtime.serving import (
    Address,
    Check,
    Checks,
    Page,
    Site,
    debug_routes,
    metric_routes,
    probe_routes,
    serving,
)
from kaito.runtime.signals import STOP_SIGNALS, stopping_on
from kaito.runtime.store import Index
from kaito.runtime.tenure import Task, Tenure, UnfinishedWork, elected

T = TypeVar("T")

SYNC_SECONDS = 120.0  # controller-runtime's CacheSyncTimeout
GRACE_SECONDS = 30.0  # for running reconciles to end
FLUSH_SECONDS = 5.0  # for the events recorded last to be written
# Twice the reflector's own limit: it has then failed to reopen the watch as well.
SILENCE_SECONDS = 2 * IDLE_SECONDS


class SyncTimeout(Exception):
    """Caches did not fill in time; the message names them."""


class Manager:
    """One process's informers and controllers over one client.

    `connect` makes another client with the given timeout, for the lease's own thread; it is
    needed only with `lease`. `warm` has controllers gather their keys before this process leads,
    so that it reconciles at once when it does.

    `probes` serves /healthz and /readyz, `metrics_address` /metrics, over TLS with `certificate`.
    `debug` serves /debug, and must be on loopback. `grace` and `sync_timeout` are seconds.
    `blocked_after` seconds without a turn of the event loop are a warning; 0: never.
    `freeze_heap` exempts what lives for long from garbage collection while the manager runs,
    unless somebody has done so in this process before.

    What is built upon it uses its `clock`, `metrics` and `recorder` (of Events), adds to its
    `checks`, and finds in `addresses` what is served where.
    """

    def __init__(
        self,
        client: Client,
        *,
        name: str,
        lease: LeaseSettings | None = None,
        connect: Callable[[float], Client] | None = None,
        warm: bool = False,
        namespaces: Sequence[str] = (),
        probes: Address | None = None,
        metrics_address: Address | None = None,
        certificate: Certificate | None = None,
        debug: Address | None = None,
        metrics: Metrics | None = None,
        clock: Clock | None = None,
        sync_timeout: float = SYNC_SECONDS,
        grace: float = GRACE_SECONDS,
        blocked_after: float = BLOCKED_SECONDS,
        freeze_heap: bool = True,
    ) -> None:
        if lease is not None and connect is None:
            raise ValueError("A manager with a lease needs `connect`.")
        if debug is not None and not debug.is_loopback:
            raise ValueError(
                f"The debug page shows the inside of the process to whoever asks; {debug} is not "
                f"on loopback, 127.0.0.1 or [::1] are."
            )
        self.client = client
        self.clock = clock or SystemClock()
        self.metrics = metrics or client.metrics
        self.checks = Checks()
        self.addresses: Mapping[str, Address] = {}
        """Where "probes", "metrics", "debug" and what `serve` adds are found while the manager
        runs; port 0 is resolved."""
        self.recorder = EventRecorder(
            client, component=name, clock=self.clock, metrics=self.metrics
        )
        self._name = name
        self._lease = lease
        self._connect = connect
        self._namespaces = tuple(sorted(set(namespaces)))
        self._probes = probes
        self._metrics_address = metrics_address
        self._certificate = certificate
        self._debug = debug
        self._sync_timeout = sync_timeout
        self._grace = grace
        self._warm = warm
        self._freeze_heap = freeze_heap
        self._heartbeat = Heartbeat(self.metrics, blocked_after=blocked_after)
        self._leadership: Leadership | None = None
        self._informers: dict[tuple[Resource[Any], Scope], Informer[Any]] = {}
        self._controllers: list[Controller] = []
        self._tasks: list[tuple[str, Task]] = []
        self._served: dict[str, Site] = {}
        self._servants: list[tuple[str, Task]] = []
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
        fill: Fill = "list",
    ) -> Informer[T]:
        """The informer of this kind and scope, made at the first call.

        `namespaces` defaults to the manager's own for namespaced kinds. `fill` says how the cache
        is filled, see `Fill`. ValueError when the informer exists already and is asked for with
        indexes, a transform or a `fill` (give them to the first call), and when it is new but the
        manager runs already: nobody would feed it.
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
                fill=fill,
                clock=self.clock,
                metrics=self.metrics,
            )
            self._informers[resource, scope] = known
        elif indexes or transform or fill != "list":
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

    def serve(
        self, name: str, site: Site, *, beside: Task | None = None, ready: Check | None = None
    ) -> None:
        """Serve this too, whether we lead or not; `addresses` says where.

        `beside` runs for as long as it is served, and its end is a failure; `ready` becomes a
        readiness check. ValueError when the name is taken, and when the manager runs already.
        """
        self._before_run(f"Site {name!r}")
        if name in {"probes", "metrics", "debug", *self._served}:
            raise ValueError(f"There is a site {name!r} already.")
        self._served[name] = site
        if beside is not None:
            self._servants.append((name, beside))
        if ready is not None:
            self.checks.ready[name] = ready

    def _before_run(self, what: str) -> None:
        if self._running:
            raise ValueError(f"{what} comes too late: the manager runs already.")

    def stop(self) -> None:
        """Have `run` return, after running reconciles have ended. Safe to call twice."""
        self._stop.set()

    async def run(self, *, signals: bool = False) -> None:
        """Run until `stop` or cancellation; with `signals` until SIGTERM or SIGINT, too.

        A second signal ends the process at once, with 128 plus its number. Raises LeaseLost,
        SyncTimeout, UnfinishedWork, CannotListen, OSError for a certificate that is none,
        or the ExceptionGroup of what died. ValueError for a second run, and for `signals` outside
        of the main thread.
        """
        self._before_run("Another run")
        self._running = True
        freezing = self._freeze_heap and not heap_is_frozen()
        ending: Exception | None = None
        async with AsyncExitStack() as layers:
            if freezing:
                freeze_heap()
                # A process that goes on, as tests do, must get our memory back.
                layers.callback(thaw_heap)
            if signals:
                layers.enter_context(stopping_on(STOP_SIGNALS, self.stop))
            self.addresses = await layers.enter_async_context(serving(self._sites(layers)))
            await layers.enter_async_context(self._heartbeat)
            async with asyncio.TaskGroup() as background:
                servants: list[tuple[str, Task]] = [
                    (f"informer/{informer.resource}", informer.run)
                    for informer in self._informers.values()
                ]
                servants += [("events", self.recorder.run), *self._servants]
                running = [
                    background.create_task(_endless(name, run), name=name) for name, run in servants
                ]
                try:
                    if await self._synced():
                        if freezing:
                            freeze_heap()
                        await self._elect()
                    await self.recorder.flush(FLUSH_SECONDS)
                except (LeaseLost, SyncTimeout, UnfinishedWork) as error:
                    ending = error  # raised below, outside of the group and its wrapping
                finally:
                    for task in running:
                        task.cancel()
        if ending is not None:
            raise ending

    def _sites(self, layers: AsyncExitStack) -> dict[str, Site]:
        sites = dict(self._served)
        if self._probes is not None:
            sites["probes"] = Site(address=self._probes, routes=probe_routes(self.checks))
        if self._metrics_address is not None:
            tls = None
            if self._certificate is not None:
                served = ServedCertificate(
                    self._certificate, clock=self.clock, metrics=self.metrics
                )
                tls = layers.enter_context(served).context
            routes = metric_routes(self.metrics.registry)
            sites["metrics"] = Site(address=self._metrics_address, routes=routes, tls=tls)
        if self._debug is not None:
            pages: dict[str, Page] = {
                "loop": partial(inspection.loop_page, self._heartbeat),
                "queues": partial(inspection.queues_page, self._controllers),
                "informers": lambda: inspection.informers_page(self._informers.values()),
                "lease": lambda: inspection.lease_page(self._leadership),
                "tasks": inspection.tasks_page,
            }
            sites["debug"] = Site(address=self._debug, routes=debug_routes(pages))
        return sites

    async def _synced(self) -> bool:
        """Whether the caches are full; False when told to stop before."""
        waiting = asyncio.ensure_future(self._wait_synced())
        stopping = asyncio.ensure_future(self._stop.wait())
        deadline = asyncio.ensure_future(self.clock.sleep(self._sync_timeout))
        ends: set[asyncio.Future[Any]] = {waiting, stopping, deadline}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and not stopping.done():
                late = [each for each in self._informers.values() if not each.synced]
                names = ", ".join(str(each.resource) for each in late)
                troubles = "; ".join(each.trouble for each in late if each.trouble)
                raise SyncTimeout(
                    f"No first list of {names} within {self._sync_timeout:g} s"
                    + (f": {troubles}" if troubles else ".")
                )
            return not stopping.done()
        finally:
            for end in ends:
                end.cancel()

    async def _wait_synced(self) -> None:
        for informer in self._informers.values():
            await informer.wait_synced()

    async def _elect(self) -> None:
        tenure = Tenure(
            self._name,
            self._controllers,
            self._tasks,
            informers=list(self._informers.values()),
            clock=self.clock,
            metrics=self.metrics,
            grace=self._grace,
            stop=self._stop,
            leading=self.leading,
        )
        if self._lease is None:
            await tenure.run(None)
            return
        assert self._connect is not None
        self._leadership = leadership = Leadership(
            self._lease, self._connect, metrics=self.metrics, clock=self.clock
        )
        async with leadership:
            if self._warm or await elected(leadership, self._stop):
                await tenure.run(leadership)

    def _unready(self) -> str:
        informers = self._informers.values()
        late = [_named(each) for each in informers if not each.synced]
        if late:
            return f"waiting for the first list of {', '.join(late)}"
        silent = [_named(each) for each in informers if each.silence() > SILENCE_SECONDS]
        return f"nothing heard of {', '.join(silent)}" if silent else ""


def _named(informer: Informer[Any]) -> str:
    """An informer with what is wrong with it, for a probe that nobody reads the log beside."""
    return str(informer.resource) + (f" ({informer.trouble})" if informer.trouble else "")


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
