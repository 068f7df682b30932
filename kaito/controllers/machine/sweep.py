"""The sweep: finds pools whose claim is no more and deletes those that are provably ours.

A crash, a claim removed by force or a creation that Azure finished after we had given it up
leave a pool that nobody asks about and somebody pays for. What is not proven is shown, not touched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from kaito.controllers.machine.kinds import CLAIMS
from kaito.provisioner import CloudError, NodeSource, Pool, PoolState
from kaito.provisioner.ownership import made_for_cluster, served
from kaito.runtime import Client, Clock, Key, NotFound, RuntimeFailure

# In polls: at the default poll of 15 s, every 2 minutes, and after 5 minutes without a claim.
PERIOD = 8
GRACE = 20

log = structlog.get_logger("kaito.controllers.machine.sweep")


@dataclass(frozen=True, slots=True)
class Findings:
    """What a sweep makes of the pools."""

    leaked: tuple[Pool, ...]
    """Ours, and without a claim for longer than the grace period."""
    doubtful: tuple[Pool, ...]
    """With a customer's label and no claim, but not provably ours."""
    waiting: Mapping[str, float]
    """Pools without a claim by name, and since when we know."""


def judge(
    pools: Iterable[Pool],
    claimed: Callable[[str], bool],
    waiting: Mapping[str, float],
    now: float,
    grace: float,
    cluster: str,
) -> Findings:
    """Sort out the pools. `claimed` tells whether there is a claim of that name."""
    unclaimed = [
        pool
        for pool in pools
        if served(pool.labels) and pool.state is not PoolState.DELETING and not claimed(pool.name)
    ]
    since = {pool.name: waiting.get(pool.name, now) for pool in unclaimed}
    return Findings(
        leaked=tuple(
            pool
            for pool in unclaimed
            if made_for_cluster(pool.labels, cluster) and now - since[pool.name] >= grace
        ),
        doubtful=tuple(pool for pool in unclaimed if not made_for_cluster(pool.labels, cluster)),
        waiting=since,
    )


class Sweep:
    """Sweeps every PERIOD polls while `run` runs."""

    def __init__(
        self,
        source: NodeSource,
        *,
        claimed: Callable[[str], bool],
        claimed_live: Callable[[str], Awaitable[bool]],
        clock: Clock,
        poll_seconds: float,
        cluster: str,
    ) -> None:
        self._source = source
        self._claimed = claimed
        self._claimed_live = claimed_live
        self._clock = clock
        self._poll = poll_seconds
        self._cluster = cluster
        self._waiting: Mapping[str, float] = {}
        self._shown: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Sweep until cancelled. A sweep that fails is logged and tried again at its next time."""
        while True:
            try:
                await self.once()
            except (CloudError, RuntimeFailure) as error:
                log.warning("sweep failed", error=str(error))
            await self._clock.sleep(PERIOD * self._poll)

    async def once(self) -> None:
        """One sweep. CloudError when the pools could not be listed, RuntimeFailure when the API
        server could not be asked; a pool that cannot be deleted is logged and left to the next."""
        pools = await self._source.pools()
        found = judge(
            pools,
            self._claimed,
            self._waiting,
            self._clock.now(),
            GRACE * self._poll,
            self._cluster,
        )
        self._waiting = found.waiting
        self._show(found.doubtful)
        for pool in found.leaked:
            # Caches lag; the API server is asked before anything is destroyed.
            if await self._claimed_live(pool.name):
                continue
            log.warning("deleting leaked pool", pool=pool.name, instance_type=pool.instance_type)
            try:
                await self._source.delete(pool)
            except CloudError as error:
                log.warning("leaked pool not deleted", pool=pool.name, error=str(error))

    def _show(self, doubtful: Iterable[Pool]) -> None:
        names = frozenset(pool.name for pool in doubtful)
        for name in sorted(names - self._shown):
            log.warning(
                "pool without a claim left alone",
                pool=name,
                reason="its labels do not prove that KAITO made it for this cluster; "
                "delete it if nobody needs it",
            )
        self._shown = names


async def claimed_live(client: Client, name: str) -> bool:
    """Whether the API server knows a Machine or a NodeClaim of this name."""
    for resource in CLAIMS.values():
        try:
            await client.get(resource.read_as(dict), Key("", name))
        except NotFound:
            continue
        return True
    return False
