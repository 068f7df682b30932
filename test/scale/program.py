"""A program of the run as a process of its own, and what it takes of the machine."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from test.benchmark.servers import peak, resident

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a program has taken at one moment."""

    at: float
    """Seconds since the run began."""
    cpu: float
    """Seconds of processor time since the program's start."""
    memory: int
    """Resident bytes."""


@dataclass(slots=True)
class Program:
    """A running one."""

    name: str
    pid: int
    samples: list[Sample] = field(default_factory=list)

    def sample(self, at: float) -> None:
        """Note what it has taken."""
        self.samples.append(Sample(at, self.cpu, resident(self.pid)))

    @property
    def cpu(self) -> float:
        """Seconds of processor time, its own and its threads' (Linux)."""
        # The name in parentheses may hold spaces.
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def peak(self) -> int:
        """The most bytes that were resident."""
        return peak(self.pid)


@asynccontextmanager
async def running(
    name: str,
    *words: str,
    log: IO[bytes],
    variables: Mapping[str, str] | None = None,
    ready: bytes = b"",
) -> AsyncIterator[Program]:
    """A module of Python as a process, from the line that says it is ready to a clean end.

    RuntimeError when it does not become ready, or has ended by itself.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
        env={**os.environ, **(variables or {})},
    )
    try:
        assert process.stdout is not None
        while ready and (line := await process.stdout.readline()).strip() != ready:
            if not line:
                raise RuntimeError(f"{name} did not become ready: {log.name}")
        yield Program(name, process.pid)
        if process.returncode is not None:
            raise RuntimeError(f"{name} ended with {process.returncode}: {log.name}")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()
