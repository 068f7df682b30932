"""kaito.runtime: each Workspace gets a ConfigMap and a status, by server-side apply, 16 workers.

The ConfigMaps are not watched, for neither does the contender of kopf watch them.
"""

from __future__ import annotations

import asyncio
import sys

from kaito.runtime import (
    Applier,
    Client,
    Controller,
    Key,
    Manager,
    Metrics,
    generation_changed,
    load,
    watch,
)
from test.benchmark.contenders.ours_setup import quiet
from test.benchmark.kinds import CONFIG_MAPS, GROUP, KIND, VERSION, WORKSPACES
from test.benchmark.names import READY, child, done

WORKERS = 16


async def main(namespace: str, count: int) -> None:
    config = await load()
    metrics = Metrics()
    async with Client(config.transport(), field_manager="bench", metrics=metrics) as client:
        manager = Manager(client, name="bench", namespaces=[namespace], metrics=metrics)
        workspaces = manager.informer(WORKSPACES)
        applier = Applier(client)
        seen: set[Key] = set()

        async def reconcile(key: Key) -> None:
            header = workspaces.store.header(key)
            if header is None:
                return
            await client.apply(CONFIG_MAPS, child(key.namespace, key.name, header.uid))
            status = {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "metadata": {"namespace": key.namespace, "name": key.name},
                "status": {"state": READY},
            }
            await applier.apply_status(workspaces.store, status)
            seen.add(key)
            if len(seen) == count:
                done(writes=writes(metrics))

        manager.add(
            Controller(
                "workspace",
                reconcile,
                primary=watch(workspaces, when=generation_changed),
                workers=WORKERS,
            )
        )
        await manager.run()


def writes(metrics: Metrics) -> float:
    """How many PATCH calls were made."""
    return sum(
        sample.value
        for family in metrics.requests.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.labels["method"] == "PATCH"
    )


quiet()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
