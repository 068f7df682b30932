"""Runs that leave another run: each goes on, with a fault, in a copy of the process.

A run with a fault is the run without it until the fault strikes, so that part is lived once. The
copy is made by fork: memory is shared until it is written, and a loop without sockets and threads
does not notice.
"""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Sequence
from typing import Any

from kaito.testing.perturbing.point import Point


class Branches:
    """The points at which a run is left. All but `take` and `report` are the original's."""

    def __init__(self, points: Sequence[Point] = ()) -> None:
        self._at: dict[tuple[str, str], list[Point]] = {}
        for point in points:
            self._at.setdefault((point.daemon, point.at), []).append(point)
        self._answers: int | None = None
        # Any: whatever a copy reports.
        self.came: dict[Point, Any] = {}
        """What has become of each, None where a copy has died without a word."""

    def take(self, daemon: str, at: str) -> Point | None:
        """The point at which this run leaves the other, in a copy; None in the original, when all
        copies that leave it here have come to their ends."""
        loop = asyncio.get_running_loop()
        for point in self._at.pop((daemon, at), ()) if self._answers is None else ():
            reading, writing = os.pipe()
            copy = os.fork()
            if copy == 0:
                # A loop is taken to run in the process that has started it alone.
                asyncio._set_running_loop(loop)
                os.close(reading)
                self._answers = writing
                return point
            os.close(writing)
            with os.fdopen(reading, "rb") as answers:
                answer = answers.read()
            os.waitpid(copy, 0)
            self.came[point] = pickle.loads(answer) if answer else None  # noqa: S301 - our own
        return None

    def report(self, result: object) -> None:
        """The end of a copy: nothing that it has to do with the original's world is undone by it.
        Does nothing in the original."""
        if self._answers is None:
            return
        with os.fdopen(self._answers, "wb") as answers:
            pickle.dump(result, answers)
        os._exit(0)
