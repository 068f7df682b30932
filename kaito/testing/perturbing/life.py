"""One run of a scenario from its beginning to its end, with one fault in it or none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from kaito.testing.perturbing import loop
from kaito.testing.perturbing.branching import Branches
from kaito.testing.perturbing.ending import Ending, ending
from kaito.testing.perturbing.point import Saw, Wrote
from kaito.testing.perturbing.seat import Process
from kaito.testing.perturbing.world import HOUR, Scenario, World, new_world

RESTLESS = HOUR  # seconds after which what has not come to rest never will


class Broken(Exception):
    """A run has not come to an end that could be compared; the text says why, and when."""


@dataclass(frozen=True, slots=True)
class Life:
    """What has happened in a run."""

    endings: Sequence[Ending]
    """After each step, as far as it has come."""
    records: Mapping[str, Sequence[Wrote | Saw]]
    """What each daemon has written and seen."""
    struck_at: int
    """How long the record of the daemon was when the fault struck; 0 without one."""
    broken: str = ""
    """Why it has not come to its end, "" when it has."""


def live(scenario: Scenario, branches: Branches) -> Life:
    """Run a scenario in a loop of its own, and have `branches` leave it at their points.

    RuntimeError where a loop runs already.
    """
    return loop.run(lambda: _live(scenario, branches))


async def _live(scenario: Scenario, branches: Branches) -> Life:
    async with new_world(scenario) as world, AsyncExitStack() as stack:
        processes = [
            Process(name, main, world, branches) for name, main in scenario.daemons.items()
        ]
        for process in processes:
            process.start()
            stack.push_async_callback(process.aclose)
        endings: list[Ending] = []
        broken = ""
        try:
            await _play(world, processes, endings)
        except Broken as error:
            broken = str(error)
        except BaseException as error:
            branches.report(_told(processes, endings, repr(error)))
            raise
        life = _told(processes, endings, broken)
        branches.report(life)
        return life


def _told(processes: Sequence[Process], endings: Sequence[Ending], broken: str) -> Life:
    records = {each.name: each.record for each in processes}
    return Life(endings, records, max((each.struck_at for each in processes), default=0), broken)


async def _play(world: World, processes: Sequence[Process], endings: list[Ending]) -> None:
    await _rest(world, processes)
    for step in world.scenario.steps:
        try:
            await step(world)
            await _rest(world, processes)
            for process in processes:
                if process.waits:
                    process.rested()
                    await _rest(world, processes)
        except Exception as error:
            raise Broken(f"In the step {_name(step)}: {_said(error)}") from error
        things = (line for things in world.things for line in things())
        found = ending(world.objects(), things, world.created(), world.scenario.same)
        endings.append(found)


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
