"""Nodes, a scheduler, and controllers of workloads that live by the time of a scenario."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from kaito.local.cluster import cpu_machine
from kaito.local.kinds import NODES
from kaito.local.machinery import assemble
from kaito.local.nodes.shape import new_node
from kaito.local.pods.images import Images
from kaito.local.pods.outfit import Api
from kaito.local.profile import Profile
from kaito.local.transport import InProcess
from kaito.runtime import Clock, Manager
from kaito.testing.cluster import Cluster
from kaito.testing.lifespan import running


@asynccontextmanager
async def running_nodes(cluster: Cluster, clock: Clock, nodes: int) -> AsyncIterator[None]:
    """Run them while the block runs. Every Pod is simulated, and ready as soon as it can be."""
    client = cluster.client(field_manager="kaito-local")
    for number in range(nodes):
        await client.create(NODES, new_node(cpu_machine(number), clock.now()))
    manager = Manager(client, name="kaito-local", clock=clock, blocked_after=0, freeze_heap=False)
    with tempfile.TemporaryDirectory(prefix="kaito-testing-") as scratch:
        assemble(
            manager,
            InProcess(cluster.server, token=cluster.token),
            images=Images(()),
            profile=Profile.instant(),
            clock=clock,
            directory=Path(scratch),
            api=Api(0, ""),
        )
        async with running(manager):
            yield
