"""The API servers that the scenarios run against."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from test.benchmark.workspaces import Site, site


@asynccontextmanager
async def local_server(*options: str) -> AsyncIterator[tuple[str, int]]:
    """`kaito local up` without daemons; its kubeconfig and process id."""
    with tempfile.TemporaryDirectory(prefix="kaito-bench-") as scratch:
        kubeconfig = str(Path(scratch) / "kubeconfig")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "kaito.cli", "local", "up"),
            *("--kubeconfig", kubeconfig, "--no-controllers", *options),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            if (await process.stdout.readline()).strip() != b"ready":
                raise RuntimeError("kaito local up did not become ready")
            yield kubeconfig, process.pid
        finally:
            process.terminate()
            await process.communicate()


@asynccontextmanager
async def sites(names: set[str]) -> AsyncIterator[list[Site]]:
    """Those of `names` there are: the local one, and the real one where KUBECONFIG points to it."""
    real = os.environ.get("KUBECONFIG")
    async with AsyncExitStack() as open_sites:
        found = []
        if "local" in names:
            kubeconfig, _ = await open_sites.enter_async_context(local_server())
            found.append(await open_sites.enter_async_context(site("local", kubeconfig)))
        if "real" in names and real:
            found.append(await open_sites.enter_async_context(site("real", real)))
        yield found


def resident(process: int) -> int:
    """Resident memory of a process in bytes (Linux)."""
    return _memory(process, "VmRSS")


def peak(process: int) -> int:
    """The most resident memory that a process has had, in bytes (Linux)."""
    return _memory(process, "VmHWM")


def _memory(process: int, figure: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{figure}:"):
            return int(line.split()[1]) * 1024
    return 0
