"""A local cluster for each test, and a way to wait for what becomes of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from kaito.local.cluster import LocalCluster
from kaito.local.pods.images import entrypoint
from kaito.local.profile import Profile
from kaito.runtime import Client, Informer, Object, Resource, Store

T = TypeVar("T")

PATIENCE = 20.0  # seconds; only a failing test waits that long


class World:
    """A running cluster, a client of it, and watches to wait on."""

    def __init__(self, cluster: LocalCluster) -> None:
        self.cluster = cluster
        self.client: Client = cluster.client()
        self.state: Path = cluster.state_dir
        self._informers: dict[str, tuple[Informer[Any], asyncio.Event]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def until(
        self, resource: Resource[Object], holds: Callable[[Store[Object]], T | bool | None]
    ) -> T:
        """Wait until `holds` answers with something true about the objects of a kind."""
        informer, changed = await self._watch(resource)
        async with asyncio.timeout(PATIENCE):
            while not (found := holds(informer.store)):
                changed.clear()
                await changed.wait()
        return found  # type: ignore[return-value]  # true, so a T

    async def object(
        self, resource: Resource[Object], name: str, holds: Callable[[Object], Any], ns: str = ""
    ) -> Object:
        """Wait until the object of that name is as wanted."""
        return await self.until(
            resource,
            lambda store: next(
                (
                    each
                    for each in store.list()
                    if each["metadata"]["name"] == name
                    and each["metadata"].get("namespace", "") == ns
                    and holds(each)
                ),
                None,
            ),
        )

    async def gone(self, resource: Resource[Object], name: str) -> None:
        """Wait until no object of that name is left."""
        await self.until(resource, lambda store: all(key.name != name for key in store))

    async def count(self, resource: Resource[Object], number: int, **labels: str) -> list[Object]:
        """Wait until exactly so many objects have these labels."""

        def holds(store: Store[Object]) -> list[Object] | bool:
            found = [
                each
                for each in store.list()
                if labels.items() <= (each["metadata"].get("labels") or {}).items()
            ]
            return (found or True) if len(found) == number else False

        found = await self.until(resource, holds)
        return found if isinstance(found, list) else []

    async def _watch(self, resource: Resource[Object]) -> tuple[Informer[Any], asyncio.Event]:
        if str(resource) not in self._informers:
            informer, changed = Informer(self.client, resource), asyncio.Event()
            informer.on_change(lambda _: changed.set())
            self._tasks.append(asyncio.create_task(informer.run()))
            await informer.wait_synced()
            self._informers[str(resource)] = informer, changed
        return self._informers[str(resource)]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def running(**arguments: Any) -> AsyncIterator[World]:
    """A cluster with these arguments; timings are instant unless a profile is given."""
    arguments.setdefault("profile", Profile.instant())
    async with LocalCluster(**arguments) as cluster:
        world = World(cluster)
        try:
            yield world
        finally:
            await world.aclose()


@pytest.fixture
def start() -> Callable[..., Any]:
    """`async with start(nodes=1) as world`"""
    return running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A cluster with one CPU node."""
    async with running(nodes=1, state_dir=tmp_path) as started:
        yield started


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[World]:
    """A cluster in which python:* runs this Python."""
    async with running(
        nodes=1,
        profile=Profile.instant(processes=True),
        state_dir=tmp_path,
        programs=[entrypoint("python", [sys.executable])],
    ) as started:
        yield started
