"""What a source of nodes says whose pools have one machine each, for ever: adapters derive from it.

Pools are shared only where a cloud allows few of them. A source that sets no limit is never asked
about the machines of one, unless somebody has written another claim's pool into a claim by hand.
"""

from __future__ import annotations

from collections.abc import Mapping

from kaito.provisioner.failure import Cause, CloudError, Failure, Way
from kaito.provisioner.source import Absent, Pool, PoolMachine

BEYOND_COUNT = 1_000_000


class Unshared:
    """The part of NodeSource that is about pools of several machines."""

    @property
    def most_pools(self) -> int:
        """See NodeSource."""
        return BEYOND_COUNT

    def relabelling(self, pool: Pool, labels: Mapping[str, str]) -> str:
        """See NodeSource. None: nobody else has made pools there."""
        return ""

    async def resize(self, pool: Pool, count: int) -> Pool | Absent:
        """Refused."""
        raise CloudError(_alone(pool.name))

    async def machines(self, name: str) -> list[PoolMachine]:
        """Refused: an empty list would say that the one machine is gone."""
        raise CloudError(_alone(name))

    async def delete_machine(self, pool: Pool, machine: PoolMachine) -> Pool | Absent:
        """Refused."""
        raise CloudError(_alone(pool.name))


def _alone(name: str) -> Failure:
    return Failure(
        way=Way.HOPELESS,
        cause=Cause.INVALID,
        code="",
        message=f"{name} has one machine, and no more can be added or taken away",
        advice="remove the annotation kaito.sh/pool from the claim",
    )
