"""`python -m test.scale.cluster KUBECONFIG COUNT`: a local cluster that has room for so many nodes.

Nodes, GPUs, Pods and the cloud are simulated and take no time, so that what is measured is the
daemons and the API server. It says `ready`, and serves until it is told to end.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from kaito.api import crds
from kaito.local.azure.limits import Limits
from kaito.local.cluster import LocalCluster
from kaito.local.profile import Profile
from test.benchmark.workspaces import CRDS


async def main(kubeconfig: Path, count: int) -> None:
    """Serve until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    profile = Profile.instant(limits=Limits(pools=count))
    async with LocalCluster(profile=profile) as cluster:
        client = cluster.client(field_manager="scale")
        for definition in crds():
            await client.create(CRDS, definition)
        cluster.write_kubeconfig(kubeconfig)
        print("ready", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
