"""What to do about a claim's machine, and about nobody's, in a pool that others use, too. Pure.

Exactly one machine goes, by its name; the count is never lowered, for then the cloud would choose.
The pool itself goes with its last claim. Before anything is deleted the API server is asked who
else is there: a cache that lags must not cost anybody a Node.
"""

from __future__ import annotations

from kaito.controllers.machine.allotment import crew, node_of, surplus
from kaito.controllers.machine.cloud import Confirm, DeleteMachine, ListMachines, Look
from kaito.controllers.machine.decision import (
    Decision,
    DeleteNode,
    ListMates,
    Observation,
    PatchNode,
    Policy,
    Write,
)
from kaito.controllers.machine.drain import closing
from kaito.controllers.machine.launch import remaining_pause
from kaito.controllers.machine.readiness import release
from kaito.controllers.machine.waiting import due
from kaito.provisioner import Pool, PoolMachine, PoolState
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import belongs_to

SETTLED = {PoolState.READY, PoolState.FAILED, PoolState.STOPPED}


def leave(claim: Claim, pool: Pool, seen: Observation, policy: Policy) -> Decision | str | None:
    """The next step towards the end of the claim's machine; why nothing can be done yet, as a
    sentence; None when it has none and the others need all that there are.

    Not for the last claim of the pool: with it the pool goes.
    """
    ids = {claim.status.provider_id, *(node.spec.provider_id for node in seen.nodes)} - {""}
    if pool.state is PoolState.CREATING and not ids:
        # Its only machine is for one of the others.
        return None
    if pool.state not in SETTLED:
        return f"Agent pool {pool.name}, which others use, too, is busy ({pool.said})."
    others = _others(claim, seen)
    if not ids and pool.count <= len(others):
        # There is none that was made for this one.
        return None
    if remaining_pause(seen.cloud.trouble, seen.now, policy):
        return f"The {claim.kind}'s machine of agent pool {pool.name} is to be deleted."
    if due(seen, policy.poll_seconds):
        return Decision(ask=Confirm())
    machines = seen.cloud.machines
    if machines is None:
        return Decision(ask=ListMachines())
    theirs = {other.metadata.uid for other in others}
    own = [
        machine
        for machine in machines
        if any(map(machine.behind, ids)) and not _has_owner(machine, theirs, seen)
    ]
    if own:
        return Decision(ask=DeleteMachine(pool, own[0]))
    if ids:
        return None
    # It never had a Node: whatever was made for it is one more than the others need.
    spare = surplus(others, machines, seen, policy)
    return None if spare is None else _remove(pool, spare, seen, policy)


def last_of_all(claim: Claim, seen: Observation) -> bool:
    """Whether the pool may go with the claim: nobody else is there."""
    return not _others(claim, seen)


def waits_for_others(claim: Claim, seen: Observation) -> bool:
    """Whether all are being deleted and this claim is the one that takes the pool with it."""
    others = _others(claim, seen)
    first = crew(claim, others)[0]
    leaving = all(other.metadata.deleting for other in others)
    return bool(others) and leaving and first.metadata.uid == claim.metadata.uid


def tidy(claim: Claim, seen: Observation, policy: Policy) -> Decision | None:
    """What to do about Nodes and machines that are nobody's; None when there are none, or another
    claim is to do it. A decision without question and writes leaves room for another one."""
    if not seen.shared or not _leads(claim, seen):
        return None
    wait = Decision(again=policy.poll_seconds)
    pause = remaining_pause(seen.cloud.trouble, seen.now, policy)
    if pause:
        return Decision(again=pause)
    # A machine whose Node has not come is told by the count alone.
    crowded = seen.strays or _has_too_many(claim, seen)
    if due(seen, policy.poll_seconds if crowded else policy.longest_pause):
        return Decision(ask=Look())
    if not crowded:
        return None
    pool = seen.cloud.pool
    if (
        not isinstance(pool, Pool)
        or pool.state not in SETTLED
        or not belongs_to(pool.labels, claim, policy.cluster)
    ):
        return wait
    if seen.cloud.machines is None:
        return Decision(ask=ListMachines())
    if seen.live is None:
        return Decision(ask=ListMates())
    spare = surplus([claim, *_others(claim, seen)], seen.cloud.machines, seen, policy)
    if spare is not None:
        return _remove(pool, spare, seen, policy)
    writes = _shadows(claim, seen, seen.cloud.machines)
    return Decision(writes=writes, again=policy.poll_seconds) if writes else wait


def _has_too_many(claim: Claim, seen: Observation) -> bool:
    """Whether the pool has more machines than claims. A count may promise machines that are not
    there, and nobody pays for these."""
    pool, machines = seen.cloud.pool, seen.cloud.machines
    count = pool.count if isinstance(pool, Pool) else 0
    return (count if machines is None else len(machines)) > len(crew(claim, seen.mates))


def _leads(claim: Claim, seen: Observation) -> bool:
    living = [each for each in crew(claim, seen.mates) if each.held and not each.metadata.deleting]
    return bool(living) and living[0].metadata.uid == claim.metadata.uid


def _others(claim: Claim, seen: Observation) -> list[Claim]:
    others = crew(claim, seen.mates if seen.live is None else seen.live)
    return [each for each in others if each.metadata.uid != claim.metadata.uid]


def _has_owner(machine: PoolMachine, uids: set[str], seen: Observation) -> bool:
    """Whether the machine's Node says that it belongs to one of these: its word is the last."""
    node = node_of(machine, seen)
    return node is not None and bool(node.claim_owners & uids)


def _remove(pool: Pool, machine: PoolMachine, seen: Observation, policy: Policy) -> Decision:
    """Delete nobody's machine. Its Node is closed first, so that no claim can take it."""
    node = node_of(machine, seen)
    closed = None if node is None else closing(node)
    if closed is not None:
        return Decision(writes=(closed,), again=policy.poll_seconds)
    if seen.live is None:
        return Decision(ask=ListMates())
    return Decision(ask=DeleteMachine(pool, machine))


def _shadows(
    claim: Claim, seen: Observation, machines: tuple[PoolMachine, ...]
) -> tuple[Write, ...]:
    """Nodes that are nobody's and whose machine is gone."""
    owners = {each.metadata.uid for each in (claim, *_others(claim, seen))}
    gone = [
        node
        for node in seen.strays
        if node.spec.provider_id
        and not any(machine.behind(node.spec.provider_id) for machine in machines)
        and not owners & node.claim_owners
    ]
    deletions = [DeleteNode(node.name, node.metadata.uid) for node in gone if not node.deleting]
    releases = [PatchNode(node.name, release(node)) for node in gone if node.deleting and node.held]
    return (*deletions, *releases)
