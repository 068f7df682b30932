"""A time of leading: controllers and tasks run, until told to stop or deposed.

It may begin with a time of standing by, in which the controllers gather their keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import structlog

from kaito.runtime.clock import Clock
from kaito.runtime.controller import Controller
from kaito.runtime.informer import Informer
from kaito.runtime.lease import Leadership
from kaito.runtime.metrics import Metrics

Task: TypeAlias = Callable[[], Awaitable[None]]

log = structlog.get_logger("kaito.runtime.tenure")


class UnfinishedWork(Exception):
    """Reconciles outlasted the grace period, so the lease was left to run out."""


async def elected(
    leadership: Leadership, stop: asyncio.Event, *others: asyncio.Future[Any]
) -> bool:
    """Wait until we lead, and say so; False when `stop` is set or one of `others` is done before.

    Raises LeaseLost when we never will.
    """
    events = (stop, leadership.acquired, leadership.lost)
    ends = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait([*ends, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for end in ends:
            end.cancel()
    if leadership.why is not None:
        raise leadership.why
    return leadership.acquired.is_set() and not stop.is_set()


class Tenure:
    """Runs controllers, and tasks beside them. `leading` is set while they work."""

    def __init__(
        self,
        name: str,
        controllers: Sequence[Controller],
        tasks: Sequence[tuple[str, Task]],
        *,
        informers: Sequence[Informer[Any]],
        clock: Clock,
        metrics: Metrics,
        grace: float,
        stop: asyncio.Event,
        leading: asyncio.Event,
    ) -> None:
        self._name = name
        self._controllers = controllers
        self._tasks = tasks
        self._informers = informers
        self._clock = clock
        self._metrics = metrics
        self._grace = grace
        self._stop = stop
        self._leading = leading

    async def run(self, leadership: Leadership | None) -> None:
        """Work until told to stop, and end what has been started.

        Raises LeaseLost when deposed, UnfinishedWork when reconciles outlast the grace period,
        and what a controller or a task died of.
        """
        finish = asyncio.Event()
        work = asyncio.create_task(self._work(finish), name="work")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        ends: set[asyncio.Future[Any]] = {work, stopping}
        if leadership is not None:
            ends.add(asyncio.create_task(leadership.lost.wait(), name="lease lost"))
        try:
            if leadership is None or await elected(leadership, self._stop, work):
                self._leading.set()
                controllers = [controller.name for controller in self._controllers]
                log.info("started", manager=self._name, controllers=controllers)
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if leadership is not None and leadership.why is not None:
                raise leadership.why
            finish.set()
            await self._finished(work)
        finally:
            self._leading.clear()
            for end in ends:
                end.cancel()
            await asyncio.gather(work, return_exceptions=True)

    async def _finished(self, work: asyncio.Future[None]) -> None:
        """Wait for running reconciles, within the grace period."""
        bound = self._clock.call_later(self._grace, lambda: _cancel(work))
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

    async def _work(self, finish: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            extra = [
                tasks.create_task(_when(self._leading, task), name=name)
                for name, task in self._tasks
            ]
            controllers = [
                tasks.create_task(
                    controller.run(
                        informers=self._informers,
                        clock=self._clock,
                        metrics=self._metrics,
                        stop=finish,
                        lead=self._leading,
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


async def _when(leading: asyncio.Event, task: Task) -> None:
    await leading.wait()
    await task()


def _cancel(future: asyncio.Future[Any]) -> None:
    future.cancel()
