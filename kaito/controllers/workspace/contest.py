"""Who else writes what we write: keeps two writers from overwriting each other for ever.

When the same fields differ again from the same wish after it was written, somebody has changed
them back: a webhook, another controller, a GitOps tool. They are written again, each time after a
longer pause, and meanwhile that is said. Fields that differ in the very answer to a write are the
API server's to decide: it spells them otherwise, or a webhook does, and they are not sent again.
Kept in memory: a restart costs one write.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from kaito.controllers.workspace.changes import differing
from kaito.runtime import Clock, Object

PAUSE, LONGEST = 60.0, 3600.0  # seconds
DOUBLINGS = 9  # after which the pause is the longest in any case
MOST = 10_000  # objects remembered; the one written longest ago goes first


class Contested(Exception):
    """Somebody changes these fields back; nothing was written."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = tuple(paths)


@dataclass(frozen=True, slots=True)
class _Round:
    paths: str
    """Of the wish and the fields that differed."""
    left: str
    """Of the wish and what differed from it in the answer."""
    times: int
    until: float


class Contest:
    """Remembers what was written to what; an Umpire."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rounds: dict[str, _Round] = {}

    def may_write(self, current: Object, desired: Object) -> bool:
        """Whether the object is to be written now. Contested where somebody changes it back."""
        last = self._rounds.get(_uid(current))
        if last is None:
            return True
        found = dict(differing(desired, current))
        if last.left == _mark(desired, found):
            return False
        if last.paths == _mark(desired, list(found)) and self._clock.now() < last.until:
            raise Contested(tuple(found))
        return True

    def wrote(self, current: Object, desired: Object, answer: Object) -> None:
        """The object has been written."""
        paths = _mark(desired, [path for path, _ in differing(desired, current)])
        left = _mark(desired, dict(differing(desired, answer)))
        last = self._rounds.pop(_uid(current), None)
        times = last.times + 1 if last is not None and last.paths == paths else 0
        pause = min(PAUSE * 2.0 ** min(times, DOUBLINGS), LONGEST)
        self._rounds[_uid(current)] = _Round(paths, left, times, self._clock.now() + pause)
        if len(self._rounds) > MOST:
            del self._rounds[next(iter(self._rounds))]


def _uid(current: Object) -> str:
    found: str = current["metadata"].get("uid", "")
    return found


def _mark(desired: Object, found: object) -> str:
    text = json.dumps([desired, found], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
