"""A source of nodes around another one: what watches or measures a source derives from it.

It changes no answer and no refusal.
"""

from __future__ import annotations

from collections.abc import Mapping

from kaito.provisioner.request import NodeRequest
from kaito.provisioner.source import Absent, NodeSource, Pool, PoolMachine


class Wrapped:
    """The same source."""

    def __init__(self, source: NodeSource) -> None:
        self._source = source
        self.name = source.name
        self.cloud = source.cloud
        self.pool_label = source.pool_label
        self.image_label = source.image_label

    @property
    def most_pools(self) -> int:
        """See NodeSource."""
        return self._source.most_pools

    def pool_of(self, provider_id: str) -> str | None:
        """See NodeSource."""
        return self._source.pool_of(provider_id)

    def relabelling(self, pool: Pool, labels: Mapping[str, str]) -> str:
        """See NodeSource."""
        return self._source.relabelling(pool, labels)

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        """See NodeSource."""
        return await self._source.launch(request, instance_type)

    async def observe(self, name: str) -> Pool | Absent:
        """See NodeSource."""
        return await self._source.observe(name)

    async def pools(self) -> list[Pool]:
        """See NodeSource."""
        return await self._source.pools()

    async def delete(self, pool: Pool) -> Pool | Absent:
        """See NodeSource."""
        return await self._source.delete(pool)

    async def resize(self, pool: Pool, count: int) -> Pool | Absent:
        """See NodeSource."""
        return await self._source.resize(pool, count)

    async def machines(self, name: str) -> list[PoolMachine]:
        """See NodeSource."""
        return await self._source.machines(name)

    async def delete_machine(self, pool: Pool, machine: PoolMachine) -> Pool | Absent:
        """See NodeSource."""
        return await self._source.delete_machine(pool, machine)
