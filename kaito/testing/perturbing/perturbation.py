"""Runs a scenario with every fault at every point, and tells which one it does not survive."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import zip_longest

from structlog.testing import capture_logs

from kaito.testing.perturbing.branching import Branches
from kaito.testing.perturbing.life import Life, live
from kaito.testing.perturbing.point import FAULTS, Fault, Point, Wrote, points
from kaito.testing.perturbing.world import Scenario

AFTER = 6  # writes after the fault that are shown
_MEANING = {
    Fault.CRASH: "The process died when this write had taken effect, and started again.",
    Fault.BACK: "The process saw this event, died of its next write, and started again with a "
    "cache from before the event.",
    Fault.AGO: "The process saw this event, died when all had come to rest, and started again with "
    "a cache from before the event.",
    Fault.LAG: "The cache of the process stopped before this event for a while.",
    Fault.UNSEEN: "The process never saw this event, but what became of the object after it.",
}


class NotSurvived(AssertionError):
    """A scenario comes to another end with a fault in it."""


class NotRepeatable(AssertionError):
    """Two runs of a scenario differ without a fault: nothing can be said about it."""


@dataclass(frozen=True, slots=True)
class Perturbed:
    """What was tried."""

    points: Sequence[Point]
    """Every fault that the scenario was run with, each in a run of its own."""
    known: int
    """How many there are in all."""


def perturb(
    scenario: Scenario,
    *,
    faults: Sequence[Fault] = FAULTS,
    share: float = 1.0,
    seed: int = 0,
    only: str = "",
    part: tuple[int, int] = (0, 1),
) -> Perturbed:
    """Run a scenario without a fault, and then with each of `faults` at each point of that run.

    Each run must come to what the first came to after each step, compared by meaning, without
    having made more objects of any kind on the way. `share` of the points are tried, drawn by
    `seed`; `only` is the name of one, or a pattern with `*` in it. `part` (0, 2) is the first half
    of what is tried, for two workers.

    Raises NotSurvived, which tells the fault and how to repeat it alone, NotRepeatable when the
    same run does not go the same way twice, and ValueError when there is no point of a name. To be
    called where no event loop runs.
    """
    with capture_logs():
        reference = live(scenario, Branches())
        if reference.broken:
            raise NotSurvived(f"{scenario.name} fails without any fault: {reference.broken}")
        known = [
            point
            for daemon, record in reference.records.items()
            for point in points(daemon, record, faults)
        ]
        chosen = _chosen(known, share, seed, only)[part[0] :: part[1]]
        branches = Branches(chosen)
        _check_repeated(scenario, reference, live(scenario, branches))
    for point in chosen:
        _check(scenario, point, branches.came[point], reference)
    return Perturbed(chosen, len(known))


def _chosen(known: Sequence[Point], share: float, seed: int, only: str) -> Sequence[Point]:
    if only:
        found = [point for point in known if only == str(point) or fnmatchcase(str(point), only)]
        if not found:
            names = "\n  ".join(map(str, known))
            raise ValueError(f"There is no point {only!r}; there are\n  {names}")
        return found
    dice = random.Random(seed)  # noqa: S311 - which are tried, nothing secret
    return [point for point in known if dice.random() < share]


def _check_repeated(scenario: Scenario, first: Life, second: Life) -> None:
    """Without a fault every run is the same."""
    for daemon, record in first.records.items():
        pairs = zip_longest((each.at for each in record), (e.at for e in second.records[daemon]))
        for before, now in pairs:
            if before != now:
                raise NotRepeatable(
                    f"{scenario.name}: {daemon} came to {now!r} where it had come to {before!r} "
                    f"before. Neither random numbers of the system nor the machine's time must "
                    f"decide what it does."
                )


def _check(scenario: Scenario, point: Point, life: Life | None, reference: Life) -> None:
    if life is None:
        raise NotSurvived(f"{scenario.name} ends the whole process with {point}.")
    for step, found, expected in zip(scenario.steps, life.endings, reference.endings, strict=False):
        difference = found.difference(expected)
        if difference:
            after = f"After the step {getattr(step, '__name__', step)}, other than undisturbed:"
            raise NotSurvived(_told(scenario, point, life, [after, *difference]))
    if life.broken:
        raise NotSurvived(_told(scenario, point, life, [life.broken]))


def _told(scenario: Scenario, point: Point, life: Life, what: Sequence[str]) -> str:
    record = life.records[point.daemon][life.struck_at :]
    after = [each.at for each in record if isinstance(each, Wrote)]
    shown = ", ".join(after[:AFTER]) or "nothing"
    more = f" and {len(after) - AFTER} more" if len(after) > AFTER else ""
    return "\n  ".join(
        [
            f"{scenario.name} does not survive a fault.",
            str(point),
            _MEANING[point.fault],
            f"It then wrote: {shown}{more}.",
            *what,
            f'Repeat it alone: perturb(scenario, only="{point}")',
        ]
    )
