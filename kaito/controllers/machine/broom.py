"""Deletes what is left over, and looks again right before: the API server has the last word.

Used by the sweep of the daemon and by whoever sweeps by hand. Nothing is deleted on the word of a
cache or of a list that is not of this very moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaito.controllers.kinds import NODES
from kaito.controllers.machine.findings import Finding, Inventory, Kind, Place, judge
from kaito.controllers.machine.kinds import CLAIMS
from kaito.provisioner import Absent, NodeSource, PoolState
from kaito.provisioner.claim import Claim, Dialect
from kaito.runtime import Client, Conflict, Key, NotFound


@dataclass(frozen=True, slots=True)
class Done:
    """What came of one deletion."""

    deleted: bool
    said: str
    """What happened, or why nothing did, as a clause."""


class Broom:
    """Reads what there is, and deletes single findings."""

    def __init__(
        self, client: Client, source: NodeSource, kinds: Sequence[Dialect], cluster: str
    ) -> None:
        self._client = client
        self._source = source
        self.kinds: frozenset[str] = frozenset(each.kind for each in kinds)
        self.place = Place.of(source, cluster)

    async def take_stock(self) -> Inventory:
        """Everything as it is now, from consistent reads.

        Raises CloudError and RuntimeFailure; a definition that is missing is NotFound and never
        an empty list, for then every pool would look forsaken.
        """
        # Claims last: whoever claims a pool of this list is then known.
        pools = await self._source.pools()
        nodes = await self._client.list(NODES, labels=self._source.pool_label)
        claims = await self._claims()
        return Inventory(pools=pools, nodes=nodes.items, claims=claims, kinds=self.kinds)

    async def remove(self, finding: Finding) -> Done:
        """Delete it if it is still what was found. Raises CloudError and RuntimeFailure."""
        now = await self._confirmed(finding)
        if now is None:
            return Done(False, "it is not left over any more")
        if not now.proven:
            return Done(False, now.missing)
        match now.kind:
            case Kind.POOL:
                return await self._remove_pool(now)
            case Kind.CLAIM | Kind.NODE:
                return await self._remove_object(now)

    async def _confirmed(self, finding: Finding) -> Finding | None:
        """The finding as it is judged by live reads of what it depends on."""
        there = await self._source.observe(finding.pool_name)
        pools = [] if isinstance(there, Absent) else [there]
        nodes = await self._client.list(NODES, labels=self._source.pool_label)
        claims = await self._claims()
        seen = Inventory(
            pools=pools,
            nodes=nodes.items,
            claims=claims,
            kinds=self.kinds,
            # What proved the finding proved this, and one pool alone cannot.
            at_home=finding.proven,
        )
        same = (each for each in judge(seen, self.place) if each.identity == finding.identity)
        return next(same, None)

    async def _remove_pool(self, finding: Finding) -> Done:
        assert finding.pool is not None
        left = await self._source.delete(finding.pool)
        if isinstance(left, Absent) or left.state is PoolState.DELETING:
            return Done(True, "is being deleted" if not isinstance(left, Absent) else "is gone")
        return Done(False, "another pool has taken its name")

    async def _remove_object(self, finding: Finding) -> Done:
        kind = NODES if finding.kind is Kind.NODE else CLAIMS[finding.what]
        key = Key("", finding.name)
        try:
            await self._client.delete(kind, key, uid=finding.identity.mark)
        except (NotFound, Conflict):
            return Done(False, "it is gone already")
        return Done(True, "is being deleted")

    async def _claims(self) -> list[Claim]:
        found: list[Claim] = []
        for kind in sorted(self.kinds):
            listing = await self._client.list(CLAIMS[kind])
            found += listing.items
        return found
