"""Nodes from AKS agent pools: the NodeSource that KAITO uses on Azure.

Creation never overwrites (the PUT says If-None-Match: *), change and deletion read first and insist
on the labels and, where Azure gives one, on the version they read. What Azure refuses arrives as
CloudError.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from kaito.provisioner.aks import errors, pool, provider_id, remedies
from kaito.provisioner.failure import Cause, CloudError
from kaito.provisioner.request import NodeRequest, Unsatisfiable
from kaito.provisioner.settings import CloudSettings
from kaito.provisioner.source import Absent, Pool, PoolMachine, PoolState
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
    """One agent pool with one node for each claim, or with a node for each that shares it."""

    name = "Azure"
    cloud = "azure"
    pool_label = "agentpool"
    image_label = "kubernetes.azure.com/node-image-version"

    def __init__(self, pools: AgentPools, settings: CloudSettings) -> None:
        self._pools = pools
        self._settings = settings

    @property
    def most_pools(self) -> int:
        return self._settings.most_pools

    def pool_of(self, provider_id_: str) -> str | None:
        return provider_id.pool_of(provider_id_)

    def relabelling(self, pool_: Pool, labels: Mapping[str, str]) -> str:
        return remedies.relabelling(self._settings, pool_.name, {**pool_.labels, **labels})

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        try:
            async with self._pools.in_time():
                return await self._launch(request, instance_type)
        except CloudError as error:
            told = remedies.advised(error.failure, self._settings, instance_type)
            raise CloudError(told) from error

    async def _launch(self, request: NodeRequest, instance_type: str) -> Pool:
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
            return self._read(made)
        there = await self.observe(request.name)
        if isinstance(there, Pool):
            return there
        raise refusal or CloudError(errors.vanished(request.name))

    async def observe(self, name: str) -> Pool | Absent:
        if not pool.NAME.fullmatch(name):
            # AKS answers such a name with a refusal, which would hold a Machine's deletion up.
            return Absent()
        found = await self._pools.get(name)
        return Absent() if found is None else self._read(found)

    async def pools(self) -> list[Pool]:
        return [self._read(found) for found in await self._pools.list()]

    async def delete(self, pool_: Pool) -> Pool | Absent:
        async with self._pools.in_time():
            return await self._delete(pool_)

    async def _delete(self, pool_: Pool) -> Pool | Absent:
        there = await self.observe(pool_.name)
        if isinstance(there, Absent) or there.state is PoolState.DELETING:
            return there
        if (there.labels, there.count) != (pool_.labels, pool_.count):
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

    async def resize(self, pool_: Pool, count: int) -> Pool | Absent:
        async with self._pools.in_time():
            return await self._resize(pool_, count)

    async def _resize(self, pool_: Pool, count: int) -> Pool | Absent:
        found = await self._pools.get(pool_.name)
        if found is None:
            return Absent()
        there = self._read(found)
        if (there.labels, there.count, there.etag) != (pool_.labels, pool_.count, pool_.etag):
            return there
        return self._read(
            await self._pools.update(there.name, pool.resized(found, count), there.etag)
        )

    async def machines(self, name: str) -> list[PoolMachine]:
        return [pool.machine(found) for found in await self._pools.machines(name)]

    async def delete_machine(self, pool_: Pool, machine: PoolMachine) -> Pool | Absent:
        async with self._pools.in_time():
            return await self._delete_machine(pool_, machine)

    async def _delete_machine(self, pool_: Pool, machine: PoolMachine) -> Pool | Absent:
        there = await self.observe(pool_.name)
        if isinstance(there, Absent) or there.labels != pool_.labels:
            return there
        await self._pools.delete_machine(there.name, machine.name)
        return replace(there, state=PoolState.UPDATING, said="Updating", etag="")

    def _read(self, wire: pool.Wire) -> Pool:
        """A pool from Azure's JSON; one that failed, or is being deleted, says what can
        be done about it."""
        found = pool.read(wire)
        if found.state is PoolState.DELETING:
            return replace(found, remedy=remedies.unstuck(found.name, self._settings))
        if found.failure is None:
            return found
        told = remedies.advised(found.failure, self._settings, found.instance_type)
        return replace(found, failure=told)
