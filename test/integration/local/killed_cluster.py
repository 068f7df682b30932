"""A cluster with one pod that is a process; prints its port and waits to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from test_processes import LIVELY, engine, ready

from kaito.local.cluster import LocalCluster
from kaito.local.kinds import PODS
from kaito.local.pods.kaito_base import PORT
from kaito.runtime import Informer, Key


async def main(directory: Path) -> None:
    async with LocalCluster(nodes=1, profile=LIVELY, state_dir=directory) as cluster:
        client = cluster.client()
        await client.create(PODS, engine())
        informer, is_up = Informer(client, PODS), asyncio.Event()
        informer.on_change(lambda change: is_up.set() if ready(change.object) else None)
        watching = asyncio.create_task(informer.run())
        await is_up.wait()
        port = cluster.local_port(Key("default", "phi"), PORT)
        sys.stdout.write(f"port {port}\n")
        sys.stdout.flush()
        await watching


asyncio.run(main(Path(sys.argv[1])))
