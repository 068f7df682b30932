"""Handlers that come late hear of everything, once, and nobody waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from kaito.runtime import Change, Key, Object, Resource
from kaito.runtime.listeners import BATCH, Listeners
from kaito.runtime.store import WritableStore
from kaito.runtime.wire import open_object
from kaito.testing import VirtualClock

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
MANY = 3 * BATCH


class Scene:
    """A store of many Pods, and what one handler hears."""

    def __init__(self) -> None:
        self.store = WritableStore(PODS)
        self.listeners = Listeners(self.store)
        self.heard: list[Change] = []
        for number in range(MANY):
            self.store.put(*self.pod(number))

    def pod(self, number: int, version: str = "1") -> tuple[Key, object, bytes]:
        metadata = {"name": f"p-{number}", "namespace": "ns", "resourceVersion": version}
        return open_object(msgspec.json.encode({"metadata": metadata}))

    def change(self, number: int) -> None:
        key, header, body = self.pod(number, "2")
        old = self.store.put(key, header, body)
        self.listeners.tell(Change(PODS, key, header, body, kind="modified", old=old))

    def delete(self, number: int) -> None:
        key = Key("ns", f"p-{number}")
        header, body = self.store.remove(key)
        self.listeners.tell(Change(PODS, key, header, body, kind="deleted", old=header))

    def heard_of(self, number: int) -> list[tuple[str, str, bool]]:
        return [
            (change.kind, change.header.resource_version, change.initial)
            for change in self.heard
            if change.key.name == f"p-{number}"
        ]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    task = asyncio.create_task(scene.listeners.run())
    await asyncio.sleep(0)
    yield scene
    task.cancel()
    await asyncio.wait([task])


async def test_a_long_replay_leaves_room_between_its_batches(
    scene: Scene, clock: VirtualClock
) -> None:
    scene.listeners.add(scene.heard.append)
    assert len(scene.heard) == BATCH
    await asyncio.sleep(0)
    assert BATCH <= len(scene.heard) < MANY
    await clock.settle()
    assert [change.key.name for change in scene.heard] == [f"p-{n}" for n in range(MANY)]
    assert all(change.initial and change.kind == "added" for change in scene.heard)


async def test_a_change_before_its_replay_takes_its_place(
    scene: Scene, clock: VirtualClock
) -> None:
    scene.listeners.add(scene.heard.append)
    scene.change(MANY - 1)
    scene.change(0)
    scene.change(MANY - 1)
    await clock.settle()
    assert scene.heard_of(MANY - 1) == [("added", "2", True), ("modified", "2", False)]
    assert scene.heard_of(0) == [("added", "1", True), ("modified", "2", False)]


async def test_what_is_deleted_before_its_replay_is_never_heard_of(
    scene: Scene, clock: VirtualClock
) -> None:
    scene.listeners.add(scene.heard.append)
    scene.delete(MANY - 1)
    scene.delete(0)
    await clock.settle()
    assert scene.heard_of(MANY - 1) == []
    assert scene.heard_of(0) == [("added", "1", True), ("deleted", "1", False)]


async def test_a_handler_that_has_ended_hears_no_rest_of_its_replay(
    scene: Scene, clock: VirtualClock
) -> None:
    undo = scene.listeners.add(scene.heard.append)
    undo()
    undo()
    scene.change(0)
    await clock.settle()
    assert len(scene.heard) == BATCH
    assert len(scene.listeners) == 0


def test_while_nothing_runs_a_replay_is_told_at_once() -> None:
    scene = Scene()
    scene.listeners.add(scene.heard.append)
    assert len(scene.heard) == MANY
