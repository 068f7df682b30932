"""Machines of agent pools join the cluster as Nodes, and Nodes of deleted pools leave it.

Level triggered: what is done depends on the pools as they are, so nothing is lost by a crash
between the cloud's state and the cluster's. A Node that somebody deletes while its pool stays
does not come back until the cluster is restarted, as kubelets do not register twice. Taints of
pools that are changed later do not reach existing Nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from kaito.local.azure.account import Account
from kaito.local.azure.faults import FAULT_LABEL
from kaito.local.azure.pool import Pool
from kaito.local.azure.sizes import GPU_RESOURCES, VmSizes
from kaito.local.azure.wire import NODE_IMAGE
from kaito.local.kinds import NODES
from kaito.local.nodes.shape import Machine, new_node
from kaito.runtime import (
    AlreadyExists,
    Client,
    Clock,
    Key,
    NotFound,
    RuntimeFailure,
    WorkQueue,
)

POOL_LABEL = "kubernetes.azure.com/agentpool"
IMAGE_LABEL = "kubernetes.azure.com/node-image-version"
SPOT_LABEL = "kubernetes.azure.com/scalesetpriority"
# AKS puts it on the Nodes of spot pools by itself.
_SPOT_TAINT = (SPOT_LABEL, "spot", "NoSchedule")
# A Node of the same name may still be on its way out, held by a finalizer.
RETRY_SECONDS = 0.3
_NVIDIA = {"accelerator": "nvidia", "kubernetes.azure.com/accelerator": "nvidia"}

log = structlog.get_logger("kaito.local.azure.joining")


def machines(pool: Pool, account: Account, sizes: VmSizes) -> dict[str, Machine]:
    """The machines of a pool that should be Nodes now, by node name."""
    size = sizes.find(pool.properties["vmSize"])
    if size is None:
        return {}
    spot = pool.properties.get("scaleSetPriority") == "Spot"
    labels = {
        "agentpool": pool.name,
        POOL_LABEL: pool.name,
        "kubernetes.azure.com/cluster": account.node_resource_group,
        IMAGE_LABEL: NODE_IMAGE,
        "kubernetes.azure.com/mode": str(pool.properties["mode"]).lower(),
        "kubernetes.azure.com/role": "agent",
        "node.kubernetes.io/instance-type": size.name,
        "beta.kubernetes.io/instance-type": size.name,
        "topology.kubernetes.io/region": account.location,
        **(_NVIDIA if size.gpu_resource == GPU_RESOURCES["nvidia"] else {}),
        **({SPOT_LABEL: "spot"} if spot else {}),
        **pool.labels,
        **({FAULT_LABEL: pool.spoiled.value} if pool.spoiled is not None else {}),
    }
    asked = (*pool.properties["nodeTaints"], *pool.properties.get("nodeInitializationTaints", ()))
    taints = (*map(_taint, asked), *([_SPOT_TAINT] if spot else []))
    zones = pool.properties.get("availabilityZones") or ()
    return {
        (name := account.node_name(pool.name, index)): Machine(
            name=name,
            cores=size.cores,
            memory=size.memory,
            disk=pool.properties["osDiskSizeGB"],
            gpus=size.gpus,
            gpu_resource=size.gpu_resource,
            labels={**labels, "topology.kubernetes.io/zone": _zone(account, zones, index)},
            taints=taints,
            provider_id=account.provider_id(pool.name, index),
        )
        for index in pool.nodes
    }


def _zone(account: Account, zones: Sequence[str], index: int) -> str:
    """The zone as the cloud provider labels it; machines without zones are in fault domain 0."""
    return f"{account.location}-{zones[index % len(zones)]}" if zones else "0"


def _taint(text: str) -> tuple[str, str, str]:
    """A taint of a pool, "key=value:effect", in its parts."""
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return key, value, effect


class NodeJoiner:
    """Keeps the Nodes of the pools. `pool_changed` may be called at any time; `run` works."""

    def __init__(self, client: Client, account: Account, sizes: VmSizes, clock: Clock) -> None:
        self._client = client
        self._account = account
        self._sizes = sizes
        self._clock = clock
        self._queue: WorkQueue[str] = WorkQueue(clock)
        self._joined: dict[str, dict[str, Mapping[str, str]]] = {}
        """Pool -> Node -> the labels its pool gave it, of the Nodes that are in the cluster."""

    def pool_changed(self, name: str) -> None:
        """The pool was created, changed or removed."""
        self._queue.add(name)

    async def run(
        self, find: Callable[[str], Pool | None], pools: Callable[[], Iterable[Pool]]
    ) -> None:
        """Follow the pools until cancelled."""
        await self._take_stock()
        for name in {*self._joined, *(pool.name for pool in pools())}:
            self._queue.add(name)
        while True:
            name = await self._queue.get()
            try:
                await self._sync(name, find(name))
            except RuntimeFailure as error:
                log.info("node not written", pool=name, error=str(error))
                self._queue.add_after(name, RETRY_SECONDS)
            finally:
                self._queue.done(name)

    async def _take_stock(self) -> None:
        """Which Nodes an earlier run has left in the cluster."""
        listing = await self._client.list(NODES, labels=POOL_LABEL)
        for node in listing.items:
            # Which of its labels came from the pool is not known any more: none is removed.
            pool = node["metadata"]["labels"][POOL_LABEL]
            self._joined.setdefault(pool, {})[node["metadata"]["name"]] = {}

    async def _sync(self, name: str, pool: Pool | None) -> None:
        wanted = machines(pool, self._account, self._sizes) if pool is not None else {}
        joined = self._joined.setdefault(name, {})
        for node in [node for node in joined if node not in wanted]:
            await self._leave(Key("", node))
            del joined[node]
        for node, machine in wanted.items():
            if node not in joined:
                await self._join(machine)
            elif joined[node] != machine.labels:
                await self._relabel(Key("", node), joined[node], machine.labels)
            joined[node] = machine.labels
        if not joined:
            del self._joined[name]

    async def _join(self, machine: Machine) -> None:
        try:
            await self._client.create(NODES, new_node(machine, self._clock.now()))
        except AlreadyExists:
            there = await self._client.get(NODES, Key("", machine.name))
            if there["metadata"].get("deletionTimestamp"):
                raise

    async def _leave(self, key: Key) -> None:
        try:
            await self._client.delete(NODES, key)
        except NotFound:
            return

    async def _relabel(self, key: Key, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        gone: dict[str, None] = {label: None for label in before if label not in after}
        try:
            await self._client.patch(NODES, key, {"metadata": {"labels": {**gone, **after}}})
        except NotFound:
            return
