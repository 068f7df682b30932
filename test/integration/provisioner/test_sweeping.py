"""Sweeping by hand: through the real SDK, against a cluster whose claims were removed by force."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from kaito.cli.parser import CommandError, build_parser
from kaito.cli.sweep import answer
from kaito.controllers.machine.archive import read_ledger
from kaito.controllers.machine.ledger import Outcome
from kaito.runtime import Key
from kaito.testing import eventually
from test.integration.provisioner.cluster import MACHINES, Stage, staged

Ask: TypeAlias = Callable[..., Awaitable[tuple[int, str]]]
NAMES = ("ws1", "ws2")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES) as stage:
        stage.start()
        yield stage


@pytest.fixture
def sweep(stage: Stage, tmp_path: Path) -> Ask:
    """`kaito provisioner sweep`: its exit code and what it prints."""
    kubeconfig = tmp_path / "kubeconfig"
    stage.cluster.write_kubeconfig(kubeconfig)

    async def asked(*arguments: str) -> tuple[int, str]:
        line = ["provisioner", "--kubeconfig", str(kubeconfig), "sweep", *arguments]
        return await answer(build_parser().parse_args(line))

    return asked


async def orphaned(stage: Stage, *names: str) -> None:
    """Pools whose Machines are removed by force, with no daemon there to see it."""
    for name in names:
        await stage.create(name)
        await stage.until(
            lambda name=name: stage.condition("Ready", name).get("status") == "True",  # type: ignore[misc]
            f"{name} ready",
        )
    await stage.kill()
    for name in names:
        await stage.client.patch(MACHINES, Key("", name), {"metadata": {"finalizers": None}})
        await stage.client.delete(MACHINES, Key("", name))
        await stage.until(lambda name=name: stage.claim(name) is None, "no Machine")  # type: ignore[misc]


async def test_a_cluster_with_nothing_left_over_ends_with_0(sweep: Ask) -> None:
    assert await sweep() == (0, "Nothing is left over; 0 agent pools of this cluster.\n")


async def test_what_is_left_over_is_shown_priced_kept_and_deleted_by_name(
    stage: Stage, sweep: Ask
) -> None:
    await orphaned(stage, *NAMES)
    code, said = await sweep("--dry-run")
    assert code == 1
    assert "2 findings: $7.35 an hour." in said
    assert "deletes nothing: 2 are left over at once" in said

    _, said = await sweep("-o", "json")
    found = json.loads(said)
    assert [each["name"] for each in found["findings"]] == [*NAMES]
    assert found["blocked"]

    code, said = await sweep("--delete", "ws1", "--dry-run")
    assert (code, said.split(" (")[0]) == (0, "agent pool ws1: would be deleted")
    assert stage.pools() == [*NAMES]

    code, said = await sweep("--delete", "pool/ws1", "-o", "json")
    assert code == 0
    assert json.loads(said)[0]["deleted"]
    await eventually(lambda: stage.pools() == ["ws2"], within=20.0)


async def test_the_daemon_deletes_what_is_left_when_it_is_few_enough(
    stage: Stage, sweep: Ask
) -> None:
    await orphaned(stage, *NAMES)
    stage.start()
    code, _ = await sweep("--delete", "ws1")
    assert code == 0
    # What is left is one, which is believed to be an accident.
    await stage.until(lambda: not stage.pools(), "the daemon to delete the other")


async def test_what_is_not_left_over_is_not_deleted(stage: Stage, sweep: Ask) -> None:
    await stage.create("ws1")
    await stage.until(lambda: stage.condition("Ready", "ws1").get("status") == "True", "ready")
    with pytest.raises(CommandError, match="nobody, ws1, pool/ws1 are not left over"):
        await sweep("--delete", "nobody", "ws1", "pool/ws1")
    with pytest.raises(CommandError, match="ws1 is not left over"):
        await sweep("--delete", "ws1")
    assert stage.pools() == ["ws1"]


async def test_the_ledger_tells_what_became_of_a_pool(stage: Stage) -> None:
    async def told(outcome: Outcome) -> bool:
        found = (await read_ledger(stage.client)).last("ws1")
        return found is not None and found.outcome is outcome

    await stage.create("ws1")
    await eventually(partial(told, Outcome.READY), within=20.0)
    await stage.client.delete(MACHINES, Key("", "ws1"))
    await eventually(partial(told, Outcome.DELETED), within=20.0)


async def test_a_cloud_that_does_not_answer_is_no_finding(stage: Stage, tmp_path: Path) -> None:
    """In a process of its own, for its exit code."""
    kubeconfig = tmp_path / "kubeconfig"
    stage.cluster.write_kubeconfig(kubeconfig)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kaito.cli", "provisioner", "sweep"),
        *("--kubeconfig", str(kubeconfig), "-o", "json"),
        env={**os.environ, "AZURE_CLUSTER_NAME": "another"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, out) == (69, b"")
    assert b"AZURE_CLUSTER_NAME" in err.splitlines()[-1]
