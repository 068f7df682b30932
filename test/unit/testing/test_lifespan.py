"""A manager for the length of a block."""

from __future__ import annotations

import asyncio

import pytest

from kaito.runtime import Client, Manager, Object, Resource, SyncTimeout
from kaito.testing import FakeApi, ScriptedReply, VirtualClock, running

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")


async def test_inside_the_block_caches_are_full_and_after_it_nothing_runs() -> None:
    api = FakeApi()
    api.put(PODS, "a", "ns")
    manager = Manager(Client(api), name="m")
    pods = manager.informer(PODS)
    async with running(manager):
        assert len(pods.store) == 1
        assert manager.leading.is_set()
    assert not manager.leading.is_set()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_a_failure_of_the_block_is_raised_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with running(Manager(Client(FakeApi()), name="m")):
            raise ZeroDivisionError


async def test_a_manager_that_never_starts_raises_why(virtual_clock: VirtualClock) -> None:
    api = FakeApi()
    api.fault = lambda call: ScriptedReply.refusal(403, "Forbidden")
    manager = Manager(Client(api), name="m", clock=virtual_clock, sync_timeout=5.0)
    manager.informer(PODS)

    async def start() -> None:
        async with running(manager):
            raise AssertionError("the block must not run")

    starting = asyncio.create_task(start())
    await virtual_clock.advance(6.0)
    with pytest.raises(SyncTimeout):
        await starting


async def test_a_manager_that_dies_ends_the_block() -> None:
    manager = Manager(Client(FakeApi()), name="m")
    dying = asyncio.Event()

    async def die() -> None:
        await dying.wait()
        raise OSError("the disk is full")

    manager.add_task("doomed", die)

    async def block() -> None:
        async with running(manager):
            dying.set()
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as failure:
        await block()
    assert failure.group_contains(OSError, match="disk")


async def test_a_block_that_is_cancelled_stays_cancelled() -> None:
    inside = asyncio.Event()

    async def block() -> None:
        async with running(Manager(Client(FakeApi()), name="m")):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
