"""Ends of a process that its event loop has no part in, for it is blocked."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from pathlib import Path

from kaito.runtime import ExitCode

STUBBORN = Path(__file__).with_name("stubborn.py")
ROOT = Path(__file__).parents[3]
PATIENCE = 30.0  # seconds


async def start(*arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(STUBBORN),
        *arguments,
        env={**os.environ, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)},
        stdout=PIPE,
        stderr=STDOUT,
    )


async def read_until(process: Process, text: str) -> str:
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(PATIENCE):
        while text not in said:
            line = (await process.stdout.readline()).decode()
            assert line, f"ended with {await process.wait()}:\n{said}"
            said += line
    return said


async def ended(process: Process) -> str:
    async with asyncio.timeout(PATIENCE):
        said, _ = await process.communicate()
    return said.decode()


async def test_a_process_that_cannot_let_go_of_a_lost_lease_ends() -> None:
    process = await start("lose")
    said = await ended(process)
    assert process.returncode == ExitCode.STUCK, said
    assert "guarded work outlived the lease" in said
    assert "event loop blocked" in said
    assert "in reconcile" in said, "the log says what would not end"


async def test_a_second_signal_ends_a_process_that_hears_nothing() -> None:
    process = await start("hold")
    await read_until(process, "event loop blocked")
    process.send_signal(signal.SIGTERM)
    while process.returncode is None:
        # The first may not have been taken yet when the next comes: two of a kind are one.
        process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(0.1):
                await process.wait()
        except TimeoutError:
            continue
    assert process.returncode in {128 + signal.SIGINT, 128 + signal.SIGTERM}, await ended(process)
