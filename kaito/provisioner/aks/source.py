"""Nodes from AKS agent pools: the NodeSource that KAITO uses on Azure.

Creation never overwrites (the PUT says If-None-Match: *), deletion reads first and insists on the
labels and, where Azure gives one, on the version it read. What Azure refuses arrives as CloudError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from kaito.provisioner.aks import errors, pool, provider_id
from kaito.provisioner.failure import Cause, CloudError
from kaito.provisioner.request import NodeRequest, Unsatisfiable
from kaito.provisioner.settings import CloudSettings
from kaito.provisioner.source import Absent, Pool, PoolState
from kaito.runtime.clock import Clock, SystemClock

if TYPE_CHECKING:
    from kaito.provisioner.aks.client import AgentPools


@asynccontextmanager
async def connect(
    settings: CloudSettings,
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
) -> AsyncIterator[AksNodeSource]:
    """The cluster's agent pools as a source of nodes. Nothing is sent before the first call.

    Metrics of the requests go to `registry`.
    """
    from kaito.provisioner.aks import client  # the Azure SDK takes a third of a second to load

    metrics = registry or CollectorRegistry()
    async with client.connect(settings, clock or SystemClock(), metrics) as pools:
        yield AksNodeSource(pools, settings)


class AksNodeSource:
    """One agent pool with one node for each claim."""

    name = "Azure"
    cloud = "azure"
    pool_label = "agentpool"
    image_label = "kubernetes.azure.com/node-image-version"

    def __init__(self, pools: AgentPools, settings: CloudSettings) -> None:
        self._pools = pools
        self._settings = settings

    def pool_of(self, provider_id_: str) -> str | None:
        return provider_id.pool_of(provider_id_)

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        try:
            body = pool.body(request, instance_type, self._settings.pools, self._settings.location)
        except Unsatisfiable as error:
            raise CloudError(errors.invalid(str(error))) from None
        try:
            made = await self._pools.put(request.name, body)
            refusal = None
        except CloudError as error:
            # Of two creations of one pool the later is told to wait for the earlier.
            if error.failure.cause is not Cause.BUSY:
                raise
            made, refusal = None, error
        if made is not None:
            return pool.read(made)
        there = await self.observe(request.name)
        if isinstance(there, Pool):
            return there
        raise refusal or CloudError(errors.vanished(request.name))

    async def observe(self, name: str) -> Pool | Absent:
        if not pool.NAME.fullmatch(name):
            # AKS answers such a name with a refusal, which would hold a Machine's deletion up.
            return Absent()
        found = await self._pools.get(name)
        return Absent() if found is None else pool.read(found)

    async def pools(self) -> list[Pool]:
        return [pool.read(found) for found in await self._pools.list()]

    async def delete(self, pool_: Pool) -> Pool | Absent:
        there = await self.observe(pool_.name)
        if isinstance(there, Absent) or there.state is PoolState.DELETING:
            return there
        if there.labels != pool_.labels:
            return there
        try:
            await self._pools.delete(there.name, there.etag)
        except CloudError as error:
            if error.failure.cause is Cause.BUSY and there.state is PoolState.CREATING:
                # Making a node takes minutes that nobody needs any more. The deletion that comes
                # after the abort is the caller's next call.
                await self._pools.abort(there.name)
            raise
        return replace(there, state=PoolState.DELETING, said="Deleting", etag="")
