"""kaito.runtime: the time at which each Workspace was reconciled first."""

from __future__ import annotations

import asyncio
import sys
import time

from kaito.runtime import Client, Controller, Key, Manager, load, watch
from test.benchmark.contenders.ours_setup import quiet
from test.benchmark.kinds import WORKSPACES
from test.benchmark.names import done, say


async def main(namespace: str, count: int) -> None:
    config = await load()
    async with Client(config.transport(), field_manager="bench") as client:
        manager = Manager(client, name="bench", namespaces=[namespace])
        workspaces = manager.informer(WORKSPACES)
        seen: dict[str, float] = {}

        async def reconcile(key: Key) -> None:
            if workspaces.store.get(key) is None:
                return
            if key.name not in seen:
                seen[key.name] = time.monotonic()
            if len(seen) == 1:
                say(ready=True)
            if len(seen) == count:
                done(seen=seen)

        manager.add(Controller("workspace", reconcile, primary=watch(workspaces)))
        await manager.run()


quiet()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
