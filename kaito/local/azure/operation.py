"""A long operation: what a client polls while the cloud works."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from kaito.local.azure.errors import Failure


class Verb(StrEnum):
    """What a long operation does."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    DELETE_MACHINES = "delete machines"
    ABORT = "abort"


class Outcome(StrEnum):
    """The status of a long operation."""

    RUNNING = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A long operation. Times are seconds since the epoch; `due` is None when it never ends."""

    id: str
    pool: str
    verb: Verb
    started: float
    due: float | None
    ends: Outcome = Outcome.SUCCEEDED
    """How it will end, unless it is aborted."""
    failure: Failure | None = None
    """Why it fails, if it does."""
    machines: tuple[int, ...] = ()
    """Those that a deletion of machines removes."""
    outcome: Outcome = Outcome.RUNNING
    ended: float | None = None

    @property
    def running(self) -> bool:
        return self.outcome is Outcome.RUNNING
