"""Contenders as processes of their own, run in turns, and what is made of their figures."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAUNCH = Path(__file__).with_name("launch.py")
ROOT = Path(__file__).parents[2]
DEADLINE = 180.0  # seconds a contender may take

Figures = dict[str, float]


class Contender:
    """A running contender. It prints JSON lines, the last of which is the launcher's."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name

    async def line(self) -> dict[str, Any]:
        """The next line it prints. RuntimeError when it ends instead."""
        assert self._process.stdout is not None
        text = await asyncio.wait_for(self._process.stdout.readline(), DEADLINE)
        if not text:
            raise RuntimeError(f"{self._name} ended too early")
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def rest(self) -> dict[str, Any]:
        """Every line until its end, merged: its own figures and those of the launcher."""
        assert self._process.stdout is not None
        text = await asyncio.wait_for(self._process.stdout.read(), DEADLINE)
        code = await self._process.wait()
        if code:
            raise RuntimeError(f"{self._name} ended with {code}")
        merged: dict[str, Any] = {}
        for line in text.splitlines():
            merged |= json.loads(line)
        return merged


@asynccontextmanager
async def contender(name: str, *arguments: str, kubeconfig: str = "") -> AsyncIterator[Contender]:
    """Start test.benchmark.contenders.`name`; it is killed when the block ends before it does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", str(LAUNCH)),
        *(sys.executable, "-m", f"test.benchmark.contenders.{name}", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "KUBECONFIG": kubeconfig},
        cwd=ROOT,
        start_new_session=True,
        limit=16 * 1024 * 1024,
    )
    try:
        yield Contender(process, name)
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def run_alone(name: str, *arguments: str, kubeconfig: str = "") -> Figures:
    """One contender from its start to its end."""
    async with contender(name, *arguments, kubeconfig=kubeconfig) as running:
        return await running.rest()


async def alternate(
    contenders: Mapping[str, Callable[[], Awaitable[Figures]]], runs: int
) -> dict[str, list[Figures]]:
    """`runs` runs of each, in turns, so that a busy minute of the machine hits them all."""
    figures: dict[str, list[Figures]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, run in contenders.items():
            figures[name].append(await run())
    return figures


def medians(figures: Mapping[str, Sequence[Figures]]) -> dict[str, Figures]:
    """The median of each figure of each contender."""
    return {
        name: {what: statistics.median(run[what] for run in runs) for what in runs[0]}
        for name, runs in figures.items()
    }


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and the limit that design gave it."""

    figure: str
    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{self.figure} {'>=' if self.at_least else '<='} {self.limit:g}"


def judged(result: dict[str, Any], values: Mapping[str, float], bars: Sequence[Bar]) -> Any:
    """`result` with the `values`, the bars they were held against, and those missed."""
    missed = [
        f"{bar} (is {values[bar.figure]:.3g})" for bar in bars if not bar.holds(values[bar.figure])
    ]
    return {
        **result,
        **{name: rounded(value) for name, value in values.items()},
        "bars": [str(bar) for bar in bars],
        "missed": missed,
    }


def shown(figures: Mapping[str, Figures]) -> dict[str, dict[str, float]]:
    """Figures for printing: bytes as megabytes, three digits."""
    return {
        name: {
            what.replace("_bytes", "_mb"): rounded(value / 1e6 if "_bytes" in what else value)
            for what, value in each.items()
        }
        for name, each in figures.items()
    }


def rounded(value: float) -> float:
    return float(f"{value:.3g}")
