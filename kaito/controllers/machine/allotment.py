"""Whose is which Node, and which machine, of a pool that several claims share. Pure.

The Node itself says it: its owner references name the claim that took it, under the Node's
resourceVersion, so that of two that want it one is refused. Nodes that nobody has go to the claims
that have none, the oldest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kaito.controllers.kinds import Node
from kaito.controllers.machine.decision import Observation, Policy
from kaito.controllers.machine.drain import is_closed
from kaito.provisioner import Pool, PoolMachine, Unsatisfiable, node_request
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import CUSTOMER_LABELS, SHAPE, SHARED, ours
from kaito.provisioner.sharing import pool_of, shape_of


def allotted(claim: Claim, seen: Observation, policy: Policy) -> Observation:
    """The observation with the claim's own Nodes alone, where others use its pool, too."""
    pool = seen.cloud.pool
    known = [node.labels for node in seen.nodes]
    known += [pool.labels] if isinstance(pool, Pool) else []
    guest = seen.pool != claim.metadata.name
    shared = any(SHARED in labels for labels in known)
    if not (guest or shared or any(_akin(claim, mate) for mate in seen.mates)):
        return seen
    holders = _holders(crew(claim, seen.mates), seen, policy)
    uid = claim.metadata.uid
    return replace(
        seen,
        shared=True,
        nodes=tuple(node for node in seen.nodes if holders.get(node.name) == uid),
        beside=tuple(node for node in seen.nodes if holders.get(node.name) != uid),
        strays=tuple(node for node in seen.nodes if node.name not in holders),
    )


def crew(claim: Claim, mates: Iterable[Claim]) -> list[Claim]:
    """The claims that may have machines of the claim's pool, the oldest first.

    Of another customer there is none, whatever its annotation says, nor one that was let go.
    """
    akin = [claim, *(mate for mate in mates if _akin(claim, mate))]
    akin = [each for each in akin if each.held or not each.metadata.deleting]
    return sorted(akin, key=lambda each: (each.metadata.creation_timestamp, each.metadata.name))


def waiting(claims: Iterable[Claim], seen: Observation, policy: Policy) -> list[Claim]:
    """Those of them that are to have a machine and have no Node yet."""
    taken = set(_taken(claims, _nodes(seen)).values())
    return [
        each for each in claims if each.metadata.uid not in taken and _lives(each, seen, policy)
    ]


def needed(
    claims: Iterable[Claim], machines: Sequence[PoolMachine], seen: Observation, policy: Policy
) -> int:
    """How many machines the pool has to have: one for each that lives, and for each that is being
    deleted and whose machine is still there."""
    return sum(
        _lives(each, seen, policy)
        or any(machine.behind(each.status.provider_id) for machine in machines)
        for each in claims
    )


def unjoined(
    claims: Iterable[Claim], machines: Iterable[PoolMachine], seen: Observation
) -> list[PoolMachine]:
    """The machines that no Node has come from and that are nobody's."""
    known = [node.spec.provider_id for node in _nodes(seen)]
    known += [claim.status.provider_id for claim in claims]
    return [machine for machine in machines if not any(map(machine.behind, known))]


def surplus(
    claims: Iterable[Claim], machines: Sequence[PoolMachine], seen: Observation, policy: Policy
) -> PoolMachine | None:
    """A machine that nobody has and nobody can take or waits for; None when there is none.

    Where there is a choice it is one without a Node: those who wait take the Nodes.
    """
    claims = list(claims)
    taken = _taken(claims, _nodes(seen))
    held = [node.spec.provider_id for node in _nodes(seen) if node.name in taken]
    held += [claim.status.provider_id for claim in claims]
    idle = [machine for machine in machines if not any(map(machine.behind, held))]
    nodes = {machine.name: node_of(machine, seen) for machine in idle}
    for machine in idle:
        node = nodes[machine.name]
        if node is not None and not _to_be_had(node):
            return machine
    idle.sort(key=lambda machine: nodes[machine.name] is None)
    return idle[-1] if len(idle) > len(waiting(claims, seen, policy)) else None


def node_of(machine: PoolMachine, seen: Observation) -> Node | None:
    """The Node that came from a machine, None when none has."""
    found = (node for node in _nodes(seen) if machine.behind(node.spec.provider_id))
    return next(found, None)


def _nodes(seen: Observation) -> tuple[Node, ...]:
    return (*seen.nodes, *seen.beside)


def _holders(claims: Sequence[Claim], seen: Observation, policy: Policy) -> dict[str, str]:
    """The uid of each Node's claim, by the Node's name."""
    taken = _taken(claims, seen.nodes)
    free = [node for node in seen.nodes if node.name not in taken and _to_be_had(node)]
    without = waiting(claims, seen, policy)
    given = zip(without, sorted(free, key=lambda node: node.name), strict=False)
    return {**taken, **{node.name: claim.metadata.uid for claim, node in given}}


def _taken(claims: Iterable[Claim], nodes: Iterable[Node]) -> dict[str, str]:
    taken: dict[str, str] = {}
    claims = list(claims)
    for node in nodes:
        owners = [c for c in claims if c.metadata.uid in node.claim_owners]
        known = [c for c in claims if c.status.provider_id == node.spec.provider_id]
        for claim in (owners or (known if node.spec.provider_id else []))[:1]:
            taken[node.name] = claim.metadata.uid
    return taken


def _to_be_had(node: Node) -> bool:
    """Whether a Node may be given to a claim. One that has an owner whom we do not know is not:
    the cache may lag."""
    free = not (node.deleting or node.claim_owners or is_closed(node))
    return free and bool(node.spec.provider_id)


def _lives(claim: Claim, seen: Observation, policy: Policy) -> bool:
    """Whether a machine of this pool is its due. It stays so once it has had a Node there, whatever
    is written into the claim since."""
    due = claim.launched or _fits(claim, seen, policy)
    return claim.held and not claim.metadata.deleting and due


def _fits(claim: Claim, seen: Observation, policy: Policy) -> bool:
    """Whether its node would be like those of the pool, as far as the pool says."""
    pool = seen.cloud.pool
    labels = pool.labels if isinstance(pool, Pool) else {}
    shapes = [labels.get(SHAPE), *(node.labels.get(SHAPE) for node in _nodes(seen))]
    shape = next((each for each in shapes if each), None)
    if shape is None:
        # Made before pools said so: its namesake has always had it.
        return pool_of(claim) == claim.metadata.name
    try:
        return shape_of(node_request(claim, policy.cluster)) == shape
    except Unsatisfiable:
        return False


def _akin(claim: Claim, mate: Claim) -> bool:
    own, other = claim.metadata.labels, mate.metadata.labels
    same = all(own.get(label) == other.get(label) for label in CUSTOMER_LABELS)
    return same and mate.node_class == claim.node_class and ours(mate)
