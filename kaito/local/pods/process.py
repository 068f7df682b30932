"""A container as a local process: started, probed, restarted when it ends, stopped with grace.

The process runs under guard.py, so that it ends with the cluster however the cluster ends. This
module knows processes and ports; it writes nothing to the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kaito.local.pods import guard
from kaito.local.pods.containers import CREATING, REASON_COMPLETED, REASON_ERROR, ContainerState
from kaito.local.pods.probe import Probe, succeeds
from kaito.local.pods.simulation import restart_pause
from kaito.local.profile import Profile
from kaito.runtime import Clock

# What a kubelet resets the back-off after: a container that ran this long is well.
WELL_SECONDS = 600.0
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "SYSTEMROOT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run. `command` is given the local port it shall listen on."""

    name: str
    command: Callable[[int], Sequence[str]]
    container_port: int
    environment: Mapping[str, str]
    directory: Path
    """Working directory; the log is written into it."""
    probe: Probe | None
    restart_policy: str

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"


@dataclass(slots=True)
class ContainerProcess:
    """One container. `run` supervises it until cancelled; `on_change` is told of each new state."""

    launch: Launch
    profile: Profile
    clock: Clock
    on_change: Callable[[], None]
    restarts: int = 0
    state: ContainerState = CREATING
    port: int = 0
    """The local port that stands for the container port; 0 while nothing runs."""
    _process: Process | None = field(default=None)
    _stopping: bool = False

    async def run(self) -> None:
        """Start it, and start it again as its restart policy says. Cancelling kills it."""
        self.state = replace(self.state, restarts=self.restarts)
        await self.clock.sleep(self.profile.image_pull)
        crashes = 0
        while True:
            began = self.clock.monotonic()
            ended = await self._run_once()
            if self._stopping or not _restarts(self.launch.restart_policy, ended.exit_code):
                self._become(ended)
                return
            crashes = 0 if self.clock.monotonic() - began >= WELL_SECONDS else crashes
            pause = restart_pause(crashes, self.profile)
            crashes += 1
            self._become(
                ContainerState(
                    is_="waiting",
                    reason="CrashLoopBackOff",
                    message=f"back-off {pause:g}s restarting failed container "
                    f"{self.launch.name}; its log is {self.launch.log}",
                    restarts=self.restarts,
                    last=ended,
                )
            )
            await self.clock.sleep(pause)
            self.restarts += 1

    def terminate(self) -> bool:
        """Ask the program to end and do not start it again; whether there is one to ask."""
        self._stopping = True
        if self._process is None or self._process.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        return True

    async def _run_once(self) -> ContainerState:
        """One run from start to end; the terminated state."""
        started = self.clock.now()
        self.port = _free_port()
        try:
            process = await _whole(self._start(self.launch.command(self.port)))
        except OSError as error:
            return ContainerState(
                is_="terminated",
                reason="StartError",
                message=f"cannot start: {error}",
                exit_code=guard.NOT_FOUND,
                started=started,
                ended=self.clock.now(),
                restarts=self.restarts,
            )
        self._process = process
        try:
            self._become(
                ContainerState(
                    is_="running",
                    started=started,
                    restarts=self.restarts,
                    ready=self.launch.probe is None,
                    last=self.state.last,
                )
            )
            async with asyncio.TaskGroup() as watch:
                probing = watch.create_task(self._probe(), name=f"probe/{self.launch.name}")
                status = await process.wait()
                probing.cancel()
        finally:
            await _end(process)
            self._process = None
            self.port = 0
        return ContainerState(
            is_="terminated",
            reason=REASON_ERROR if status else REASON_COMPLETED,
            exit_code=status,
            started=started,
            ended=self.clock.now(),
            restarts=self.restarts,
        )

    async def _start(self, command: Sequence[str]) -> Process:
        self.launch.directory.mkdir(parents=True, exist_ok=True)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with self.launch.log.open("ab") as output:
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                guard.__file__,
                *command,
                stdin=PIPE,
                stdout=output,
                stderr=output,
                cwd=self.launch.directory,
                env=environment | dict(self.launch.environment),
            )

    async def _probe(self) -> None:
        """Ask for readiness as long as the program runs."""
        probe = self.launch.probe
        if probe is None:
            return
        failures = 0
        while True:
            mapped = probe.container_port == self.launch.container_port
            well = mapped and await succeeds(probe, self.port)
            failures = 0 if well else failures + 1
            if well != self.state.ready and (well or failures >= probe.failures):
                self._become(replace(self.state, ready=well))
            period = min(probe.period, self.profile.probe_period)
            await self.clock.sleep(probe.period if self.state.ready else period)

    def _become(self, state: ContainerState) -> None:
        self.state = state
        self.on_change()


async def _whole(starting: Coroutine[Any, Any, Process]) -> Process:
    """The process being started. Cancelled in the middle, it is there and must be ended."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _end(await task)
        raise


async def _end(process: Process) -> None:
    """Kill what is left of the program; the guard does so when its input closes."""
    if process.stdin is not None:
        process.stdin.close()
    # However often we are cancelled meanwhile: a process that nobody waits for is never reaped.
    ended = asyncio.ensure_future(process.wait())
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _restarts(policy: str, exit_code: int) -> bool:
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _free_port() -> int:
    """A port of the loopback interface that is free now. Somebody may take it before the program
    does; the program then ends, and is started again on another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
