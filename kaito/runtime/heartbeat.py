"""The heartbeat of the event loop: how late it is, and what keeps it from beating.

A timer in the loop measures the lag. A thread beside it looks whether the beat is overdue and, if
so, names in a warning what the loop is doing just then, with its stack. Code that never lets go of
the interpreter (a C function holding the GIL) hides its stack from us, but not its duration.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from types import FrameType, TracebackType
from typing import Self

import structlog

from kaito.runtime.collector import CollectorPauses
from kaito.runtime.metrics import Metrics

BEAT_SECONDS = 0.1
BLOCKED_SECONDS = 0.5  # five beats; a healthy loop on a busy machine does not come near
FRAMES = 12  # of a stack that is named in the log

log = structlog.get_logger("kaito.runtime.heartbeat")


class Heartbeat:
    """Watches the running event loop while `async with` it.

    `blocked_after` seconds without a beat are a warning; 0 starts no thread and warns of nothing,
    and lag and collector pauses are measured all the same.
    """

    def __init__(self, metrics: Metrics, *, blocked_after: float = BLOCKED_SECONDS) -> None:
        if blocked_after < 0:
            raise ValueError(f"blocked_after is {blocked_after:g}; give seconds, or 0 for never.")
        self._blocked_after = blocked_after
        self._observe_lag = metrics.loop_lag.observe
        self._observe_pause = metrics.gc_pauses.observe
        self._pauses = CollectorPauses()
        self._ended = threading.Event()
        self._told = False
        self.lag = 0.0
        """Seconds by which the last beat was late."""
        self.longest = 0.0
        """Seconds by which the latest of all beats was late."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()
        self._pauses.__enter__()
        self._book()
        self._thread = threading.Thread(target=self._watch, name="heartbeat", daemon=True)
        if self._blocked_after:
            self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        self._ended.set()
        if self._blocked_after:
            self._thread.join()
        self._pauses.__exit__(kind, error, trace)

    def _book(self) -> None:
        self._due = self._loop.time() + BEAT_SECONDS
        self._timer = self._loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        self.lag = max(self._loop.time() - self._due, 0.0)
        self.longest = max(self.longest, self.lag)
        self._observe_lag(self.lag)
        for pause in self._pauses.drain():
            self._observe_pause(pause)
        if self._blocked_after and self.lag >= self._blocked_after:
            # Told of already, with its stack: this adds how long it took in the end.
            emit = log.info if self._told else log.warning
            emit("event loop was blocked", seconds=round(self.lag, 3))
        self._told = False
        self._book()

    def _watch(self) -> None:
        # Looks twice in the time allowed, so that half of it more is never missed.
        while not self._ended.wait(self._blocked_after / 2):
            late = self._loop.time() - self._due
            if late >= self._blocked_after and not self._told:
                self._told = True
                frame = sys._current_frames().get(self._watched)
                log.warning(
                    "event loop blocked",
                    seconds=round(late, 3),
                    task=current_task_name(self._loop),
                    stack=stack_of(frame),
                    hint="await it, or move it into asyncio.to_thread",
                )


def current_task_name(loop: asyncio.AbstractEventLoop) -> str:
    """The task that `loop` runs just now, "" when it runs a callback or nothing. Any thread may
    ask."""
    task = asyncio.current_task(loop)
    return "" if task is None else task.get_name()


def stack_of(frame: FrameType | None) -> str:
    """What runs in `frame`, innermost last, without the event loop's own frames beneath it."""
    found = traceback.extract_stack(frame) if frame is not None else []
    for position in range(len(found) - 1, -1, -1):
        if found[position].filename.endswith("asyncio/events.py"):
            found = found[position + 1 :]
            break
    return "".join(traceback.format_list(found[-FRAMES:]))
