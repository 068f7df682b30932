"""What is left over: pools, claims and Nodes that have lost the others. Pure.

    pool    made by us for this cluster, and no claim is on it: somebody pays for nothing
    claim   it had an instance, and the cloud has no such pool: it waits for nothing
    node    made by us for this cluster, and there is neither a claim nor a pool: a shadow

A finding is proven, or says what its proof lacks; what is not proven is shown and never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from kaito.controllers.kinds import Node
from kaito.provisioner import NodeSource, Pool, PoolState, sharing
from kaito.provisioner.claim import DIALECTS, Claim
from kaito.provisioner.ownership import (
    CREATED,
    LAUNCHED,
    made_by_kaito,
    made_for_cluster,
    ours,
    served,
    time_of,
)
from kaito.runtime import parse_rfc3339


class Kind(StrEnum):
    """What is left over."""

    POOL = "pool"
    CLAIM = "claim"
    NODE = "node"


class Identity(NamedTuple):
    """Which very object: another one of the same name is another finding."""

    kind: Kind
    name: str
    mark: str
    """The uid, or of a pool when it was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is left over."""

    identity: Identity
    why: str
    """What it lacks, as a clause."""
    proof: str
    """What proves that it is ours to delete, or as much of it as there is."""
    missing: str = ""
    """What the proof lacks and who may help, as a clause; "" when it is proven."""
    what: str
    """agent pool, Machine, NodeClaim or Node."""
    instance_type: str = ""
    nodes: int = 1
    """Instances that somebody pays for."""
    born: float | None = None
    """When it was made, in seconds since the epoch; None when nobody says."""
    pool: Pool | None = None
    """Of a pool."""
    pool_name: str = ""

    @property
    def kind(self) -> Kind:
        return self.identity.kind

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def proven(self) -> bool:
        """Whether it may be deleted."""
        return not self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """All there is at one moment, as far as it is known."""

    pools: Sequence[Pool]
    claims: Sequence[Claim]
    nodes: Sequence[Node]
    kinds: frozenset[str]
    """The kinds of claim that were looked for: of others nobody knows which there are."""
    at_home: bool = False
    """Whether the cloud's pools are known to be this cluster's by what was seen before."""

    def own(self, cluster: str) -> int:
        """How many pools are provably ours."""
        return sum(made_for_cluster(pool.labels, cluster) for pool in self.pools)

    def is_at_home(self, place: Place) -> bool:
        """Whether these are the pools of this very cluster, so that one that is missing is gone.

        The labels alone do not say so: whoever names another cluster in the settings has pools
        made there for this one. A Node does, that came out of one of them and joined this cluster.
        """
        births = {
            (place.pool_of(node.spec.provider_id), node.labels.get(LAUNCHED)) for node in self.nodes
        }
        return self.at_home or any(
            made_for_cluster(pool.labels, place.cluster)
            and time_of(pool.labels, LAUNCHED) is not None
            and (pool.name, pool.labels[LAUNCHED]) in births
            for pool in self.pools
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where names lead in one cloud and one cluster."""

    cluster: str
    """The uid of the namespace kube-system."""
    pool_label: str
    pool_of: Callable[[str], str | None]
    """From a providerID to the name of its pool."""

    @classmethod
    def of(cls, source: NodeSource, cluster: str) -> Place:
        return cls(cluster=cluster, pool_label=source.pool_label, pool_of=source.pool_of)


ABROAD = (
    "nothing shows that the cloud was asked about this very cluster: no agent pool in its list has "
    "a Node here; see that the settings name the right one"
)


def judge(seen: Inventory, place: Place) -> tuple[Finding, ...]:
    """Everything that is left over, pools first and by name."""
    guests = housed(seen.claims, place)
    listed = {pool.name for pool in seen.pools}
    ready = {node.spec.provider_id for node in seen.nodes if node.ready}
    abroad = "" if seen.is_at_home(place) else ABROAD
    found = [
        *_pools(seen, guests, place.cluster),
        *_claims(seen.claims, listed, ready, place, abroad),
        *_nodes(seen.nodes, guests, listed, place, abroad),
    ]
    order = list(Kind)
    return tuple(sorted(found, key=lambda each: (order.index(each.kind), each.name)))


def housed(claims: Iterable[Claim], place: Place) -> Mapping[str, Sequence[Claim]]:
    """The claims on each pool: by every name that a claim may have its pool under.

    Of claims that are not ours, too: whoever has a pool's name may be about to take it.
    """
    guests: dict[str, list[Claim]] = {}
    for claim in claims:
        provider_id = claim.status.provider_id
        lives = place.pool_of(provider_id) if provider_id else None
        own = claim.metadata.name
        for name in {own, sharing.pool_of(claim), lives or own}:
            guests.setdefault(name, []).append(claim)
    return guests


def _pools(
    seen: Inventory, guests: Mapping[str, Sequence[Claim]], cluster: str
) -> Iterator[Finding]:
    for pool in seen.pools:
        if pool.state is PoolState.DELETING or not served(pool.labels) or pool.name in guests:
            continue
        yield Finding(
            identity=Identity(Kind.POOL, pool.name, pool.labels.get(LAUNCHED, "")),
            why="no claim asks for it",
            proof=proof_of(pool.labels),
            missing=_lacking(pool.labels, cluster) or _unread(pool.labels, seen.kinds),
            what="agent pool",
            instance_type=pool.instance_type,
            nodes=pool.count,
            born=time_of(pool.labels, LAUNCHED) or time_of(pool.labels, CREATED),
            pool=pool,
            pool_name=pool.name,
        )


def _claims(
    claims: Iterable[Claim], listed: set[str], ready: set[str], place: Place, abroad: str
) -> Iterator[Finding]:
    for claim in claims:
        provider_id = claim.status.provider_id
        pool = place.pool_of(provider_id) if provider_id else None
        if not pool or pool in listed or claim.metadata.deleting or not ours(claim):
            continue
        yield Finding(
            identity=Identity(Kind.CLAIM, claim.metadata.name, claim.metadata.uid),
            why="its instance is gone",
            proof=f"the cloud has no agent pool {pool}",
            # A kubelet that reports is better evidence than a list that lacks it.
            missing="its Node still reports that it is ready" if provider_id in ready else abroad,
            what=claim.kind,
            nodes=0,
            born=_born(claim.metadata.creation_timestamp),
            pool_name=pool,
        )


def _nodes(
    nodes: Iterable[Node],
    guests: Mapping[str, Sequence[Claim]],
    listed: set[str],
    place: Place,
    abroad: str,
) -> Iterator[Finding]:
    for node in nodes:
        pool = place.pool_of(node.spec.provider_id) or node.labels.get(place.pool_label, "")
        known = not pool or pool in listed or pool in guests
        if known or node.deleting or not served(node.labels):
            continue
        still = "it still reports that it is ready" if node.ready else ""
        yield Finding(
            identity=Identity(Kind.NODE, node.name, node.metadata.uid),
            why="it has neither claim nor instance",
            proof=f"{proof_of(node.labels)}; the cloud has no agent pool {pool}",
            missing=_lacking(node.labels, place.cluster) or still or abroad,
            what="Node",
            instance_type=node.instance_type,
            nodes=0,
            born=time_of(node.labels, LAUNCHED) or time_of(node.labels, CREATED),
            pool_name=pool,
        )


def proof_of(labels: Mapping[str, str]) -> str:
    """For whom a pool was made and when, as its labels say."""
    said = [f"{name}={labels[name]}" for name in PROOFS if name in labels]
    return f"labels {', '.join(said)}"


# Those that a person looks for; the others follow from them.
PROOFS = ("kaito.sh/workspace", "kaito.sh/ragengine", "kaito.sh/cluster", LAUNCHED)


def _lacking(labels: Mapping[str, str], cluster: str) -> str:
    if not made_by_kaito(labels):
        return "its labels do not prove that KAITO made it"
    if not made_for_cluster(labels, cluster):
        return "it was made for another cluster, or before clusters were told apart"
    return ""


def _unread(labels: Mapping[str, str], kinds: frozenset[str]) -> str:
    """A pool made for a kind that is not looked for may well have its claim."""
    makers = [kind for kind, dialect in DIALECTS.items() if dialect.provisioner in labels]
    unread = [kind for kind in makers if kind not in kinds]
    return f"this cluster has no {unread[0]} definition to look for its claim" if unread else ""


def _born(timestamp: str) -> float | None:
    try:
        return parse_rfc3339(timestamp)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows from the findings of one sweep."""

    due: tuple[Finding, ...]
    """Proven, and known for longer than the delay: to be deleted, unless `blocked`."""
    since: Mapping[Identity, float]
    """When each finding was first seen."""
    proven: int
    limit: int
    """How many may be left over at once for us to act."""

    @property
    def blocked(self) -> bool:
        """Whether too many are left over at once to believe in as many accidents."""
        return self.proven > self.limit


def weigh(
    findings: Iterable[Finding],
    since: Mapping[Identity, float],
    now: float,
    *,
    delay: float,
    own: int,
) -> Verdict:
    """`now` and `since` are of a clock that nobody sets; `own` is how many pools are ours."""
    found = list(findings)
    known = {each.identity: since.get(each.identity, now) for each in found}
    proven = [each for each in found if each.proven]
    return Verdict(
        due=tuple(each for each in proven if now - known[each.identity] >= delay),
        since=known,
        proven=len(proven),
        limit=most_at_once(own),
    )


def most_at_once(own: int) -> int:
    """A fifth of our pools, and one in any case."""
    return max(1, own // 5)
