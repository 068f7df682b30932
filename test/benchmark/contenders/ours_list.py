"""kaito.runtime: list Workspaces and reconcile each once, without doing anything."""

from __future__ import annotations

import asyncio
import sys

from kaito.runtime import Client, Controller, Key, Manager, load, watch
from test.benchmark.contenders.ours_setup import quiet
from test.benchmark.kinds import WORKSPACES
from test.benchmark.names import done


async def main(namespace: str, count: int) -> None:
    config = await load()
    async with Client(config.transport(), field_manager="bench") as client:
        manager = Manager(client, name="bench", namespaces=[namespace])
        workspaces = manager.informer(WORKSPACES)
        seen: set[Key] = set()

        async def reconcile(key: Key) -> None:
            if workspaces.store.get(key) is not None:
                seen.add(key)
            if len(seen) == count:
                done()

        manager.add(Controller("workspace", reconcile, primary=watch(workspaces)))
        await manager.run()


quiet()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
