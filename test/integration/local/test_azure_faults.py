"""`kaito local fault` against a running cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kaito.cli import main
from kaito.local.azure.faults import Ask, FaultKind, PoolFault

if TYPE_CHECKING:
    from test.integration.local.conftest import World

Say = Callable[..., Awaitable[tuple[int, list[str]]]]


@pytest.fixture
def say(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command; its exit code, and what it prints."""
    kubeconfig = tmp_path / "kubeconfig"
    world.cluster.write_kubeconfig(kubeconfig)

    async def run(*words: str) -> tuple[int, list[str]]:
        command = ["local", "fault", *words, "--kubeconfig", str(kubeconfig)]
        code = await asyncio.to_thread(main, command)
        printed = capsys.readouterr()
        return code, [*printed.out.splitlines(), *printed.err.splitlines()]

    return run


async def test_a_fault_is_put_into_force_and_taken_back(world: World, say: Say) -> None:
    wanted = ("quota", "--vm-size", "*A100*", "--times", "2", "--on", "update")
    assert await say("add", *wanted) == (0, ["1"])
    assert list(world.cluster.azure.faults) == [
        ("1", PoolFault(kind=FaultKind.QUOTA, on=Ask.UPDATE, vm_size="*A100*", times=2))
    ]
    assert await say("add", "other", "--status", "418", "--code", "Teapot") == (0, ["2"])
    assert (await say("list"))[1] == [
        "ID   KIND    ON       POOL   VM SIZE   TIMES",
        "2    other   create   *      *         always",
        "1    quota   update   *      *A100*    2",
    ]
    assert await say("clear", "1") == (0, [])
    assert await say("clear", "1") == (1, ["kaito: There is no fault with the id 1."])
    assert await say("clear") == (0, [])
    assert list(world.cluster.azure.faults) == []


async def test_the_faults_that_there_are_can_be_listed(say: Say) -> None:
    _, lines = await say("list", "--kinds")
    assert {line.split()[0] for line in lines[1:]} == set(FaultKind)


async def test_a_fault_that_is_none_is_told_on_one_line(say: Say) -> None:
    code, (line,) = await say("add", "flood")
    assert code == 1
    assert "flood" in line
