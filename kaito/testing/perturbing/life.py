"""One run of a scenario from its beginning to its end, with one fault in it or none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from kaito.testing.perturbing import loop
from kaito.testing.perturbing.ending import Ending, ending
from kaito.testing.perturbing.point import Point, Saw, Wrote
from kaito.testing.perturbing.seat import Process
from kaito.testing.perturbing.world import HOUR, Scenario, World, new_world

RESTLESS = HOUR  # seconds after which what has not come to rest never will


class Broken(Exception):
    """A run has not come to an end that could be compared; the text says why, and when."""


@dataclass(frozen=True, slots=True)
class Life:
    """What has happened in a run."""

    endings: Sequence[Ending]
    """After each step."""
    records: Mapping[str, Sequence[Wrote | Saw]]
    """What each daemon has written and seen."""
    struck_at: int | None
    """How long the record of the daemon was when the fault struck; None when it never did."""


@dataclass(frozen=True, slots=True)
class Death:
    """A run that has not come to its end."""

    why: str
    records: Mapping[str, Sequence[Wrote | Saw]]
    struck_at: int | None


def live(scenario: Scenario, point: Point | None = None) -> Life | Death:
    """Run a scenario in a loop of its own. RuntimeError where a loop runs already."""
    return loop.run(lambda: _live(scenario, point))


async def _live(scenario: Scenario, point: Point | None) -> Life | Death:
    processes: list[Process] = []
    endings: list[Ending] = []
    why = ""
    async with new_world(scenario) as world, AsyncExitStack() as stack:
        for name, main in scenario.daemons.items():
            process = Process(name, main, world, point)
            processes.append(process)
            process.start()
            stack.push_async_callback(process.aclose)
        try:
            await _rest(world, processes)
            for step in scenario.steps:
                try:
                    await step(world)
                    await _rest(world, processes)
                    for process in processes:
                        if process.waits:
                            process.rested()
                            await _rest(world, processes)
                except Exception as error:
                    raise Broken(f"In the step {_name(step)}: {_said(error)}") from error
                endings.append(
                    ending(
                        world.objects(),
                        (line for things in world.things for line in things()),
                        world.created(),
                        scenario.same,
                    )
                )
        except Broken as error:
            why = str(error)
        records = {each.name: each.record for each in processes}
        struck = next((each.struck_at for each in processes if each.struck_at is not None), None)
    return Death(why, records, struck) if why else Life(endings, records, struck)


async def _rest(world: World, processes: Sequence[Process]) -> None:
    """Return when nothing has been written for as long as the scenario takes for rest."""
    began = world.clock.monotonic()
    while True:
        before = world.moved()
        await asyncio.sleep(world.scenario.calm)
        for process in processes:
            if process.failure is not None:
                raise Broken(f"{process.name} ended: {process.failure!r}.") from process.failure
        if world.moved() == before:
            return
        if world.clock.monotonic() - began > RESTLESS:
            last = [each.at for p in processes for each in p.record if isinstance(each, Wrote)]
            raise Broken(f"It never comes to rest; written last: {', '.join(last[-3:])}.")


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, AssertionError | Broken) else repr(error)


def _name(step: object) -> str:
    return getattr(step, "__name__", repr(step))
