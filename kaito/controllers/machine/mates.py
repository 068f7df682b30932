"""Who else is in a claim's pool: from the cache by an index, or from the API server itself.

A claim is in the pool that its Node came from, whatever is written into it since; before it has
one, in the pool that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kaito.provisioner.claim import Claim
from kaito.provisioner.sharing import POOL, pool_of
from kaito.runtime import Change, Client, Key, Store, View

BY_POOL = "pool"
"""Index by the pool that an object is in: of claims, and of Nodes."""

Origin = Callable[[str], str | None]
"""From a Node's providerID to the pool that it came from, None when no cloud of ours made it."""


def by_pool(origin: Origin) -> Callable[[View], Iterator[str]]:
    """Index of claims by the pool that they are in, or are to be in."""

    def pools(view: View) -> Iterator[str]:
        annotations = view.object["metadata"].get("annotations") or {}
        provider_id = (view.object.get("status") or {}).get("providerID") or ""
        yield origin(provider_id) or annotations.get(POOL) or view.key.name

    return pools


class PoolMates:
    """The claims of one kind, pool by pool. The store has the index BY_POOL."""

    def __init__(self, client: Client, claims: Store[Claim], origin: Origin) -> None:
        self._client = client
        self._claims = claims
        self._origin = origin

    def home(self, claim: Claim) -> str:
        """See Mates."""
        return self._origin(claim.status.provider_id) or pool_of(claim)

    def of(self, pool: str) -> Iterable[Claim]:
        """See Mates."""
        found = map(self._claims.get, self._claims.by(BY_POOL, pool))
        return [claim for claim in found if claim is not None]

    async def live(self, pool: str) -> Iterable[Claim]:
        """See Mates. Raises the client's errors."""
        listing = await self._client.list(self._claims.resource)
        return [claim for claim in listing.items if self.home(claim) == pool]

    def living(self, pool: str) -> int:
        """See Mates."""
        headers = map(self._claims.header, self._claims.by(BY_POOL, pool))
        return sum(header is not None and not header.deleting for header in headers)


def mates_of(
    claims: Store[Claim], pools: Callable[[View], Iterator[str]]
) -> Callable[[Change], Iterable[Key]]:
    """From a claim to the others in its pool: one that comes or goes may concern them."""

    def mapper(change: Change) -> Iterable[Key]:
        for pool in pools(change):
            yield from (key for key in claims.by(BY_POOL, pool) if key != change.key)

    return mapper
