"""Where a run can be disturbed, and how: a fault, and the write or watch event that it strikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What happens to a process, and to the cache of one kind in it."""

    CRASH = "crash"
    """It dies when a write of its own has taken effect, before it hears so."""
    BACK = "back"
    """It has seen an event and dies of its next write, or when all rests. When it starts again the
    cache is from before the event, and stays so for a while."""
    AGO = "ago"
    """The same, but it lives on until all rests: far more has happened since."""
    LAG = "lag"
    """The cache stops before the event for a while."""
    UNSEEN = "unseen"
    """The cache stops before the event until the object has changed again, and is then filled by a
    list: the state between was never there for it."""


FAULTS: tuple[Fault, ...] = tuple(Fault)


@dataclass(frozen=True, slots=True)
class Point:
    """One fault. Its text is its name: the same scenario has the same ones each time."""

    fault: Fault
    daemon: str
    at: str
    """A write or an event: its verb, the resource, the object, and which of these alike it is."""

    def __str__(self) -> str:
        return f"{self.fault}: {self.daemon} {self.at}"


@dataclass(frozen=True, slots=True)
class Wrote:
    """A process has changed something."""

    at: str


@dataclass(frozen=True, slots=True)
class Saw:
    """A watch event has reached the cache of a process."""

    at: str
    kind: str
    """The resource, as its path names it."""
    key: str
    revision: int


def points(
    daemon: str, record: Sequence[Wrote | Saw], faults: Sequence[Fault] = FAULTS
) -> list[Point]:
    """Every way to disturb a process that has lived as recorded, in the order of its life."""
    last = {(each.kind, each.key): n for n, each in enumerate(record) if isinstance(each, Saw)}
    written = max((n for n, each in enumerate(record) if isinstance(each, Wrote)), default=-1)
    found: list[Point] = []
    for n, each in enumerate(record):
        if isinstance(each, Wrote):
            strikes: Sequence[Fault] = (Fault.CRASH,)
        elif last[each.kind, each.key] > n:
            strikes = (Fault.BACK, Fault.AGO, Fault.LAG, Fault.UNSEEN)
        else:
            # What comes last cannot be hidden by what follows.
            strikes = (Fault.BACK, Fault.AGO, Fault.LAG)
        if n > written:
            # It dies of no write any more, but when all rests.
            strikes = [fault for fault in strikes if fault is not Fault.BACK]
        found += [Point(fault, daemon, each.at) for fault in strikes if fault in faults]
    return found
