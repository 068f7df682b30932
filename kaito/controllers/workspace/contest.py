"""Who else writes what we write: keeps two controllers from overwriting each other for ever.

When the same fields differ again from the same wish after it was written, somebody has changed
them back: a webhook, another controller, a GitOps tool. They are written again, each time after a
longer pause, and meanwhile that is said. Kept in memory: a restart costs one write.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from kaito.runtime import Object

PAUSE, LONGEST = 60.0, 3600.0  # seconds
MOST = 10_000  # objects remembered; the one written longest ago goes first


class Contested(Exception):
    """Somebody changes these fields back; nothing was written."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(", ".join(paths))
        self.paths = tuple(paths)


@dataclass(frozen=True, slots=True)
class _Round:
    mark: str
    times: int
    until: float


class Contest:
    """Remembers what was written to what."""

    def __init__(self) -> None:
        self._rounds: dict[str, _Round] = {}

    def pause(self, uid: str, wanted: Object, paths: Sequence[str], now: float) -> float:
        """How many seconds to wait before these fields of an object are written, 0.0 for none."""
        last = self._rounds.get(uid)
        if last is None or last.mark != _mark(wanted, paths):
            return 0.0
        return max(0.0, last.until - now)

    def wrote(self, uid: str, wanted: Object, paths: Sequence[str], now: float) -> None:
        """These fields of an object have been written."""
        mark = _mark(wanted, paths)
        last = self._rounds.pop(uid, None)
        times = last.times + 1 if last is not None and last.mark == mark else 0
        self._rounds[uid] = _Round(mark, times, now + min(PAUSE * 2.0 ** min(times, 9), LONGEST))
        if len(self._rounds) > MOST:
            del self._rounds[next(iter(self._rounds))]


def _mark(wanted: Object, paths: Sequence[str]) -> str:
    text = json.dumps([wanted, list(paths)], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
