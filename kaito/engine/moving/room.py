"""How much may still arrive: a limit that was set, and the room that a disk has."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kaito.engine.endings import Ended, Ending

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def free(path: Path) -> int:
    """Bytes that may still be written to the file system of a path."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def spelled(size: int) -> str:
    """A size for people."""
    amount, unit = float(size), UNITS[0]
    for unit in UNITS:
        if amount < 1024 or unit == UNITS[-1]:
            break
        amount /= 1024
    return f"{amount:.3g} {unit}" if unit != UNITS[0] else f"{size} bytes"


@dataclass(slots=True)
class Budget:
    """A limit for all that arrives in one directory."""

    target: Path
    limit: int | None = None
    """Bytes; None for as much as fits."""
    free: Callable[[Path], int] = field(default=free)
    spent: int = 0
    """Bytes of what is finished."""

    def check(self, what: str, size: int, *, missing: int | None = None) -> None:
        """Whether something of this size may be, of which so much is missing.

        Ended DATASET_TOO_LARGE or DISK_FULL.
        """
        self.check_limit(what, size)
        wanted, room = size if missing is None else missing, self.free(self.target)
        if wanted > room:
            raise Ended(
                Ending.DISK_FULL,
                f"{what} needs {spelled(wanted)} and the disk of {self.target} has "
                f"{spelled(room)} left: give it more room.",
            )

    def check_limit(self, what: str, size: int) -> None:
        """The same without the disk, which says so itself when it is written to."""
        if self.limit is not None and self.spent + size > self.limit:
            before = f" after {spelled(self.spent)} of others" if self.spent else ""
            raise Ended(
                Ending.DATASET_TOO_LARGE,
                f"{what} has {spelled(size)} or more{before}, and all together may have "
                f"{spelled(self.limit)}: use less data, or have the administrator raise the "
                "limit with --data-limit.",
            )

    def spend(self, size: int) -> None:
        """Something of this size is finished."""
        self.spent += size
