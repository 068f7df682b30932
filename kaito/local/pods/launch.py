"""One start of a container's program, and commands beside it: what to run, where, with what.

Everything runs under guard.py, so that it ends with the cluster however the cluster ends. No
shell is involved: words of a pod stay words.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from kaito.local.pods import guard
from kaito.local.pods.actions import MOST_READ
from kaito.local.pods.logs import rotated
from kaito.local.pods.translation import Translation

PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "SYSTEMROOT")


LOGS_KEPT = 2  # of a container: of the run that is, and of the one before


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run. Variables and words are translated already."""

    command: Sequence[str]
    variables: Mapping[str, str]
    directory: Path
    """Where it runs."""
    log: Path
    message: Path
    """Where it may leave a message when it ends."""
    memory: int | None
    """Bytes that it may have, None for any number."""
    translation: Translation

    async def start(self) -> Process:
        """Start the program. Closing its standard input ends all of it; OSError when it cannot be
        started."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        for old in _oldest(self.log.parent, LOGS_KEPT - 1):
            old.unlink()
            rotated(old).unlink(missing_ok=True)
        self.message.unlink(missing_ok=True)
        self.log.touch()
        memory = ["--memory", str(self.memory)] if self.memory is not None else []
        return await _whole(
            asyncio.create_subprocess_exec(
                *(*_guarded("--log", str(self.log), *memory), *self.command),
                stdin=PIPE,
                stdout=PIPE,
                cwd=self.directory,
                env=self.environment(),
            )
        )

    async def execute(self, command: Sequence[str]) -> tuple[int, str]:
        """Run a command beside the program; its exit status and the begin of what it wrote.
        Cancelling kills it."""
        async with Beside(self, command, stdin=asyncio.subprocess.DEVNULL, stderr=STDOUT) as beside:
            assert beside.process.stdout is not None
            written = b""
            while data := await beside.process.stdout.read(MOST_READ):
                written = (written + data)[:MOST_READ]
            return await beside.process.wait(), written.decode(errors="replace")

    def environment(self) -> dict[str, str]:
        """The variables, and the few of ours that programs need to find anything."""
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return passed_on | dict(self.variables)


class Beside:
    """A command beside a program, in the same directory and environment; left, it is killed.

    `stdin`, `stdout` and `stderr` are as for asyncio's subprocesses. With `terminal` they are the
    terminal that stdin is.
    """

    process: Process

    def __init__(
        self,
        launch: Launch,
        command: Sequence[str],
        *,
        stdin: int,
        stdout: int = PIPE,
        stderr: int = PIPE,
        terminal: bool = False,
    ) -> None:
        self._launch = launch
        self._command = launch.translation.words(command)
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._options = ["--terminal"] if terminal else []

    async def __aenter__(self) -> Self:
        """OSError when it cannot be started."""
        held, self._lifeline = os.pipe()
        options = ["--lifeline", str(held), *self._options]
        try:
            self.process = await _whole(
                asyncio.create_subprocess_exec(
                    *(*_guarded(*options), *self._command),
                    cwd=self._launch.directory,
                    env=self._launch.environment(),
                    pass_fds=(held,),
                    stdin=self._stdin,
                    stdout=self._stdout,
                    stderr=self._stderr,
                )
            )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(held)
        return self

    def kill(self) -> None:
        """End it now."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    async def __aexit__(self, *_: object) -> None:
        self.kill()
        await reap(self.process)


class Ports:
    """The local ports that stand for a pod's. They stay while nobody else has taken them."""

    def __init__(self, numbers: Collection[int]) -> None:
        self.local: dict[int, int] = {}
        for number in numbers:
            self.local[number] = _free_port()

    def renew(self, numbers: Collection[int]) -> None:
        """Before a program is started that shall listen on these: replace those taken meanwhile."""
        for number in numbers:
            if not _is_free(self.local[number]):
                self.local[number] = _free_port()


async def end(process: Process) -> None:
    """Kill what is left of a program that `Launch.start` gave; its guard does so."""
    if process.stdin is not None:
        process.stdin.close()
    await reap(process)


async def reap(process: Process) -> None:
    """Wait for the end however often we are cancelled: one that nobody waits for stays a zombie."""
    ended = asyncio.ensure_future(process.wait())
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


def _oldest(logs: Path, kept: int) -> list[Path]:
    """All logs but the newest `kept`; they are numbered by the starts of their container."""
    return sorted(logs.glob("*.log"), key=lambda log: int(log.stem))[:-kept]


def _guarded(*options: str) -> tuple[str, ...]:
    return sys.executable, "-I", "-S", guard.__file__, *options


async def _whole(starting: Coroutine[Any, Any, Process]) -> Process:
    """The process being started. Cancelled in the middle, it is there and must be ended."""
    task = asyncio.ensure_future(starting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await end(await task)
        raise


def _free_port() -> int:
    """A port of the loopback interface that is free now. Somebody may take it before the program
    does; the program then ends, and is started again on another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
