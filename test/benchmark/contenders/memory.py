"""What this process holds, and how long its garbage collector stops it."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any


def resident() -> int:
    """Resident bytes, garbage collected first (Linux)."""
    gc.collect()
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


class Pauses:
    """The longest stop of the collector since it was made, in processor time: on a busy machine a
    pause would otherwise include the work of others."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._since = 0.0
        gc.callbacks.append(self._heard)

    def _heard(self, phase: str, _: dict[str, Any]) -> None:
        if phase == "start":
            self._since = time.thread_time()
        else:
            self.longest = max(self.longest, time.thread_time() - self._since)
