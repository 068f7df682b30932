"""A source of nodes that has everything that passes through it entered in the ledger.

It changes no answer and no refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kaito.controllers.machine.chronicle import Chronicle
from kaito.provisioner import Absent, CloudError, NodeRequest, NodeSource, Pool, PoolState
from kaito.provisioner.wrapped import Wrapped
from kaito.runtime import Clock

if TYPE_CHECKING:
    from kaito.provisioner.source import PoolMachine


class Witness(Wrapped):
    """The same source, watched."""

    def __init__(self, source: NodeSource, chronicle: Chronicle, clock: Clock) -> None:
        super().__init__(source)
        self._chronicle = chronicle
        self._clock = clock

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        """See NodeSource."""
        try:
            pool = await super().launch(request, instance_type)
        except CloudError as error:
            if error.failure.asked:
                now = self._clock.now()
                self._chronicle.refused(request.name, instance_type, error.failure, now)
            raise
        self._chronicle.launched(pool, self._clock.now())
        return pool

    async def observe(self, name: str) -> Pool | Absent:
        """See NodeSource."""
        return self._noted(name, await super().observe(name))

    async def pools(self) -> list[Pool]:
        """See NodeSource."""
        asked_at = self._clock.now()
        pools = await super().pools()
        self._chronicle.listed(pools, asked_at, self._clock.now())
        return pools

    async def delete(self, pool: Pool) -> Pool | Absent:
        """See NodeSource."""
        left = await super().delete(pool)
        if isinstance(left, Absent) or left.state is PoolState.DELETING:
            self._chronicle.deleting(pool, self._clock.now())
        return self._noted(pool.name, left)

    async def resize(self, pool: Pool, count: int) -> Pool | Absent:
        """See NodeSource."""
        return self._noted(pool.name, await super().resize(pool, count))

    async def delete_machine(self, pool: Pool, machine: PoolMachine) -> Pool | Absent:
        """See NodeSource."""
        return self._noted(pool.name, await super().delete_machine(pool, machine))

    def _noted(self, name: str, there: Pool | Absent) -> Pool | Absent:
        now = self._clock.now()
        if isinstance(there, Absent):
            self._chronicle.absent(name, now)
        else:
            self._chronicle.seen(there, now)
        return there
