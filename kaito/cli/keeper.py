"""Daemons beside a local cluster: processes of their own, kept running as a kubelet would.

A daemon that dies is started again after a pause, except where that is useless: when it says that
its configuration is wrong, or that the cluster in this very process is out of its reach.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from kaito.runtime import ExitCode

RESTART_SECONDS = 1.0  # pause before a daemon that died is started again
STOP_SECONDS = 35.0  # a daemon's own grace period is 30 s
UNREACHED = 3
"""How often in a row a daemon may find no cluster: once is a busy machine, thrice is a refusal."""


@asynccontextmanager
async def kept(
    daemons: Mapping[str, Sequence[str]], pause: float = RESTART_SECONDS
) -> AsyncIterator[None]:
    """Keep commands running, by name, while the context is open; none is left after it."""
    async with asyncio.TaskGroup() as keepers:
        tasks = [
            keepers.create_task(keep(name, command, pause)) for name, command in daemons.items()
        ]
        yield
        for task in tasks:
            task.cancel()


async def keep(name: str, command: Sequence[str], pause: float = RESTART_SECONDS) -> None:
    """Run a command again and again. Returns when starting it once more would be useless."""
    unreached = 0
    while True:
        code = await _run(command)
        unreached = unreached + 1 if code == ExitCode.UNAVAILABLE else 0
        if code == ExitCode.MISCONFIGURED or unreached == UNREACHED:
            _say(
                f"kaito {name} ended with exit code {code} and is not started again: mend what it "
                "said above and start the local cluster again, or start it with --no-controllers."
            )
            return
        _say(f"kaito {name} ended with exit code {code}; it is started again.")
        await asyncio.sleep(pause)


async def _run(command: Sequence[str]) -> int:
    from kaito.local.pods import guard

    # Under the guard it ends with us, however we end.
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", guard.__file__),
        *command,
        stdin=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        return await process.wait()
    except asyncio.CancelledError:
        await _end(process)
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _say(text: str) -> None:
    print(text, file=sys.stderr)
