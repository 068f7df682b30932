"""The heartbeat of the event loop: how late it is, and what keeps it from beating.

A timer in the loop measures the lag. A thread beside it looks whether the beat is overdue, and
whether it is one and the same piece of work that keeps it so; that is named in a warning, with its
stack. A loop that is late because of many small pieces, or because the machine gives this process
no time, has no culprit to be named: its lag is in the metric. So is that of code which never lets
go of the interpreter (a C function holding the GIL), for it hides its stack from us.
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
LOOKS = 4  # in the time allowed; a process without processor time comes to fewer
FRAMES = 12  # of a stack that is named in the log

log = structlog.get_logger("kaito.runtime.heartbeat")


class Heartbeat:
    """Watches the running event loop while `async with` it.

    What keeps it from beating for `blocked_after` seconds is named in a warning; 0 starts no
    thread and warns of nothing, and lag and collector pauses are measured all the same.
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
        self._beats = 0
        self.lag = 0.0
        """Seconds by which the last beat was late."""
        self.longest = 0.0
        """Seconds by which the latest of all beats was late."""

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # A loop whose time is not the machine's says so, as tests have: it is never late.
        self._beating = not getattr(self._loop, "virtual", False)
        if not self._beating:
            return self
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
        if not self._beating:
            return
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
        if self._told:
            log.info("event loop runs again", late_by=round(self.lag, 3))
        self._told = False
        self._beats += 1
        self._book()

    def _watch(self) -> None:
        beats, work, looks = self._beats, None, 0
        while not self._ended.wait(self._blocked_after / LOOKS):
            if self._beats != beats or self._loop.time() < self._due:
                beats, work, looks = self._beats, None, 0
                continue
            frame = sys._current_frames().get(self._watched)
            found = asyncio.current_task(self._loop) or _callback(frame)
            if found is None or found is not work:
                work, looks = found, 1
                continue
            looks += 1
            if looks > LOOKS and not self._told:
                self._told = True
                log.warning(
                    "event loop blocked",
                    late_by=round(self._loop.time() - self._due, 3),
                    task=work.get_name() if isinstance(work, asyncio.Task) else "",
                    stack=stack_of(frame),
                    hint="await it, or move it into asyncio.to_thread",
                )


def _callback(frame: FrameType | None) -> FrameType | None:
    """The run of a callback that the loop is in; another run is another frame."""
    while frame is not None and frame.f_code is not asyncio.Handle._run.__code__:
        frame = frame.f_back
    return frame


def stack_of(frame: FrameType | None) -> str:
    """What runs in `frame`, innermost last, without the event loop's own frames beneath it."""
    found = traceback.extract_stack(frame) if frame is not None else []
    for position in range(len(found) - 1, -1, -1):
        if found[position].filename.endswith("asyncio/events.py"):
            found = found[position + 1 :]
            break
    return "".join(traceback.format_list(found[-FRAMES:]))
