"""Tokens on their way from the thread that generates to the event loop."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import Any

from transformers.generation.continuous_batching.continuous_api import OutputRouter

# Seconds. The loop needs Python's lock, for which the thread that generates waits then; nobody sees
# that a token comes some milliseconds later, and models of ordinary size take longer for each.
APART = 0.005


class Nowhere(queue.Queue[Any]):
    """For results that nobody waits for any more: a client that has gone never asks for them, and
    kept they would fill the memory."""

    def put(self, item: object, block: bool = True, timeout: float | None = None) -> None:
        """Forget it."""


class Outputs(OutputRouter):
    """Wakes the loop at most every APART seconds, and whenever an answer is complete."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.output_queue = Nowhere()
        self._clock = clock
        self._told = -APART
        self._kept: dict[str, Any] = {}

    def deliver_batch(self, outputs: list[Any]) -> None:
        """Tell these, or keep them until the next ones, each of which has all tokens so far."""
        self._kept |= {each.request_id: each for each in outputs}
        now = self._clock()
        if now - self._told >= APART or any(each.is_finished() for each in outputs):
            self._told = now
            kept, self._kept = self._kept, {}
            super().deliver_batch(list(kept.values()))
