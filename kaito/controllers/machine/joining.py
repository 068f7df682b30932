"""What to do about a claim whose Node is to come from a pool that others use, too. Pure.

The pool's count follows from its claims and is never moved up by one, so that a crash between two
steps, or two claims that ask at once, lead to the same count. No Node of another claim is at
stake: a pool that failed to grow is asked to grow again, and of machines that bring no Node each is
given up alone.
"""

from __future__ import annotations

from dataclasses import replace

from kaito.api.launch import Cause
from kaito.controllers.machine import conditions
from kaito.controllers.machine.allotment import crew, needed, unjoined, waiting
from kaito.controllers.machine.cloud import (
    DeleteMachine,
    ListMachines,
    Look,
    Refusal,
    Resize,
)
from kaito.controllers.machine.conditions import Step, unlaunched
from kaito.controllers.machine.decision import (
    Decision,
    ListMates,
    Observation,
    PatchClaim,
    Policy,
)
from kaito.controllers.machine.hosting import moving_out
from kaito.controllers.machine.launch import Attempt, Wait, looks_again, overdue, remaining_pause
from kaito.controllers.machine.making import coming, failed, held_up, make, next_step, show
from kaito.controllers.machine.useless import entering, useless
from kaito.controllers.machine.waiting import due, watch
from kaito.provisioner import (
    Absent,
    NodeRequest,
    Pool,
    PoolMachine,
    PoolState,
    Unsatisfiable,
    node_request,
)
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import LAUNCHED, SHAPE, belongs_to
from kaito.provisioner.sharing import shape_of


def join(claim: Claim, seen: Observation, policy: Policy) -> Decision:
    """The next step towards a machine in the pool, and towards its Node."""
    pool = seen.cloud.pool
    guest = seen.pool != claim.metadata.name
    if isinstance(pool, Absent) and guest:
        if seen.cloud.confirmed:
            return moving_out(claim)
        said = f"Looking for agent pool {seen.pool}, which others use, too."
        looking = unlaunched(claim, Step("Unknown", conditions.LAUNCHING, said))
        return watch(claim, looking, seen, policy, confirm=True)
    if not isinstance(pool, Pool):
        return make(claim, seen, policy)
    if not belongs_to(pool.labels, claim, policy.cluster):
        # It was written into the claim by hand, or has changed hands since.
        return moving_out(claim) if guest else make(claim, seen, policy)
    try:
        request = replace(node_request(claim, policy.cluster), name=pool.name)
    except Unsatisfiable:
        return make(claim, seen, policy)
    shape = pool.labels.get(SHAPE)
    if guest and shape != shape_of(request):
        return moving_out(claim)
    if shape not in {None, shape_of(request)}:
        said = (
            f"Agent pool {pool.name} serves other claims of this customer, whose nodes are not "
            f"like those that this {claim.kind} asks for: wait until they are gone, or create "
            f"the {claim.kind} under another name.{looks_again(policy)}"
        )
        return watch(claim, failed(claim, Cause.NAME_TAKEN, said), seen, policy, slow=True)
    if pool.state not in {PoolState.READY, PoolState.FAILED}:
        return make(claim, seen, policy)
    if remaining_pause(seen.cloud.trouble, seen.now, policy):
        return watch(claim, coming(claim, pool), seen, policy)
    if due(seen, policy.poll_seconds):
        # What is decided next may cost money: not on an old answer.
        return Decision(ask=Look())
    if seen.cloud.machines is None:
        return Decision(ask=ListMachines())
    if pool.state is PoolState.FAILED and not seen.cloud.machines:
        # Useless to all of them alike.
        return make(claim, seen, policy)
    return _grow(claim, request, pool, seen.cloud.machines, seen, policy)


def _grow(
    claim: Claim,
    request: NodeRequest,
    pool: Pool,
    machines: tuple[PoolMachine, ...],
    seen: Observation,
    policy: Policy,
) -> Decision:
    wanted = needed(crew(claim, seen.mates), machines, seen, policy)
    settled = seen.now - seen.cloud.since >= policy.longest_pause
    short = len(machines) < wanted and (pool.state is PoolState.FAILED or settled)
    if pool.count >= wanted and not short:
        return _await_node(claim, pool, machines, seen, policy)
    refusal = None
    if pool.failure is not None:
        refusal = Refusal(pool.instance_type, pool.failure, seen.cloud.since)
    refusals = (*seen.cloud.refusals, *([refusal] if refusal else []))
    of_type = replace(request, instance_types=(pool.instance_type,))
    told = replace(seen, cloud=replace(seen.cloud, refusals=refusals))
    match next_step(claim, of_type, told, policy):
        case Wait(seconds=seconds) as wait:
            return show(claim, held_up(claim, wait), seen, policy, seconds)
        case Step() as step:
            return show(claim, unlaunched(claim, step), seen, policy)
        case Attempt():
            # Never below the machines that there are: the cloud would choose who loses his.
            return Decision(ask=Resize(pool, max(wanted, len(machines)), refusal))


def _await_node(
    claim: Claim,
    pool: Pool,
    machines: tuple[PoolMachine, ...],
    seen: Observation,
    policy: Policy,
) -> Decision:
    # The pool's own age says nothing of a machine that came later.
    ageless = {name: value for name, value in pool.labels.items() if name != LAUNCHED}
    young = replace(pool, labels=ageless, state=PoolState.READY)
    late = overdue(young, seen.cloud.since, seen.now, policy)
    useless_one = _mine(claim, machines, seen, policy) if late is not None else None
    if late is None or useless_one is None:
        return watch(claim, coming(claim, pool), seen, policy)
    if not useless(claim).holds(useless_one.name):
        return Decision(writes=(PatchClaim(entering(claim, useless_one.name, str(late))),))
    if seen.live is None:
        return Decision(ask=ListMates())
    return Decision(ask=DeleteMachine(pool, useless_one))


def _mine(
    claim: Claim, machines: tuple[PoolMachine, ...], seen: Observation, policy: Policy
) -> PoolMachine | None:
    """Of the machines without a Node the one that is for this claim, if there are as many."""
    claims = crew(claim, seen.mates if seen.live is None else seen.live)
    line = [each.metadata.uid for each in waiting(claims, seen, policy)]
    idle = dict(zip(line, unjoined(claims, machines, seen), strict=False))
    return idle.get(claim.metadata.uid)
