"""A container is supervised whatever happens around it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from kaito.local.pods.launch import Launch
from kaito.local.pods.process import ContainerProcess, Plan
from kaito.local.profile import Profile
from kaito.runtime import SystemClock
from test.unit.local.pods.test_launch import launch


async def test_a_failure_of_this_machine_costs_a_container_time_alone(tmp_path: Path) -> None:
    failures = [RuntimeError("the disk is full")]
    seen: list[tuple[str, str]] = []
    told: list[tuple[str, str]] = []

    async def prepare(_: int) -> Launch:
        if failures:
            raise failures.pop()
        return launch(tmp_path, sys.executable, "-c", "pass")

    process = ContainerProcess(
        Plan(
            container={"name": "c", "image": "i"},
            pod="p_ns(uid)",
            address="10.244.0.1",
            policy="Never",
            grace=0,
            own_commands=True,
            prepare=prepare,
        ),
        Profile.instant(processes=True),
        SystemClock(),
        on_change=lambda: seen.append((process.state.reason, process.state.message)),
        say=lambda _, reason, message: told.append((reason, message)),
    )
    async with asyncio.timeout(20):
        await process.run()
    assert ("RunContainerError", "the disk is full") in seen
    assert ("Failed", "Error: RuntimeError('the disk is full')") in told
    assert (process.state.is_, process.state.exit_code) == ("terminated", 0)
