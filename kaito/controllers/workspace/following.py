"""Listens to trainers: follows their logs, and knows the last thing that each said of its progress.

One stream for each training that runs. What a training prints is its own affair and may be
anything in any amount: long lines are passed over, and who talks too much is listened to again
later. Nothing here is needed for a training to go well, so no failure is anybody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import structlog

from kaito.api.tuning import TRAINER
from kaito.controllers.workspace.kinds import PODS
from kaito.controllers.workspace.progress import LINE_LENGTH, Progress, progress_in
from kaito.runtime import Call, Client, Clock, Key, RuntimeFailure
from kaito.runtime.clock import deadline

PAUSE = 10.0  # seconds before a log is followed again: it ended, or could not be read
MOST_BYTES = 1024**2  # of a log before that pause; a quarter of an hour of an ordinary one
MOST_SECONDS = 600.0  # of one stream: one whose other end has gone says nothing of it
TAIL = 100  # lines from before, the last words among them

log = structlog.get_logger("kaito.controllers.workspace.following")


class Following:
    """Follows the logs that it is told to, while `run` runs."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._pods: dict[Key, Key] = {}
        self._heard: dict[Key, Progress] = {}
        self._ears: dict[Key, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def listen(self, workspace: Key, pod: Key | None) -> None:
        """Follow the trainer in this Pod for a Workspace from now on, or none."""
        if self._pods.get(workspace) == pod:
            return
        self._heard.pop(workspace, None)
        if (ear := self._ears.pop(workspace, None)) is not None:
            ear.cancel()
        if pod is None:
            self._pods.pop(workspace, None)
            return
        self._pods[workspace] = pod
        self._begin(workspace)

    def heard(self, workspace: Key) -> Progress | None:
        """What the trainer of a Workspace said last; None where it said nothing so far."""
        return self._heard.get(workspace)

    async def run(self) -> None:
        """Listen until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                for workspace in self._pods:
                    self._begin(workspace)
                await asyncio.Event().wait()
            finally:
                self._group = None
                self._ears.clear()

    def _begin(self, workspace: Key) -> None:
        if self._group is not None:
            name = f"log/{workspace}"
            self._ears[workspace] = self._group.create_task(self._follow(workspace), name=name)

    async def _follow(self, workspace: Key) -> None:
        pod = self._pods[workspace]
        while True:
            try:
                async with deadline(self._clock, MOST_SECONDS):
                    await self._read(workspace, pod)
            except (RuntimeFailure, OSError) as error:
                log.debug("a log cannot be followed", pod=str(pod), error=str(error))
            await self._clock.sleep(PAUSE)

    async def _read(self, workspace: Key, pod: Key) -> None:
        """Read a log to its end, or as far as it is listened to at a time."""
        query = {"container": TRAINER, "follow": "true", "tailLines": str(TAIL)}
        call = Call(method="GET", path=PODS.path(*pod, "log"), query=query)
        async with aclosing(await self._client.open(call)) as reply:
            lines, left = Lines(), MOST_BYTES
            async for chunk in reply.chunks():
                for line in lines.feed(chunk):
                    found = progress_in(line)
                    if found is not None:
                        self._heard[workspace] = found
                left -= len(chunk)
                if left <= 0:
                    return


class Lines:
    """Cuts a stream into lines. One that is too long is passed over, and never held."""

    def __init__(self) -> None:
        self.held = b""
        """The line that has begun and not ended."""
        self._skips = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The lines that end in this chunk, without their ends."""
        *whole, rest = chunk.split(b"\n")
        for part in whole:
            line, skipped = self.held + part, self._skips
            self.held, self._skips = b"", False
            if not skipped and len(line) <= LINE_LENGTH:
                yield line
        self.held += rest
        if len(self.held) > LINE_LENGTH:
            self.held, self._skips = b"", True
