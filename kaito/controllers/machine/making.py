"""What to do about a claim whose Node is still to come: have its pool made, once. Pure.

A pool that brings no usable Node is entered in the claim's ledger before it is deleted, and after
a few of them somebody has to look why.
"""

from __future__ import annotations

from dataclasses import replace

from kaito.api.labels import INSTANCE_TYPE
from kaito.api.launch import STOPPED, Cause
from kaito.api.machine import FINALIZER
from kaito.controllers.machine import conditions
from kaito.controllers.machine.cloud import Destroy, Launch, Look, Refusal
from kaito.controllers.machine.conditions import Progress, Step, refused, report, unlaunched
from kaito.controllers.machine.decision import Decision, Observation, PatchClaim, Policy
from kaito.controllers.machine.hosting import host_for
from kaito.controllers.machine.launch import (
    Attempt,
    Wait,
    looks_again,
    next_attempt,
    overdue,
    remaining_pause,
    stopped,
)
from kaito.controllers.machine.useless import entering, mark_of, useless
from kaito.controllers.machine.waiting import due, watch
from kaito.provisioner import (
    Absent,
    Failure,
    NodeRequest,
    Pool,
    PoolState,
    Unsatisfiable,
    Way,
    node_request,
)
from kaito.provisioner.claim import Claim
from kaito.provisioner.fitting import fitting
from kaito.provisioner.ownership import LAUNCHED, SHAPE, belongs_to, label_of, missing_proof
from kaito.provisioner.sharing import shape_of
from kaito.runtime import Object


def take_on(claim: Claim) -> Decision:
    """The finalizer, with the label that kubectl's TYPE column shows when there is one type."""
    meta = claim.metadata
    patch: Object = {
        "resourceVersion": meta.resource_version,
        "finalizers": [*meta.finalizers, FINALIZER],
    }
    try:
        types = node_request(claim).instance_types
    except Unsatisfiable:
        types = ()
    if len(types) == 1 and INSTANCE_TYPE not in meta.labels:
        patch["labels"] = {INSTANCE_TYPE: types[0]}
    return Decision(writes=(PatchClaim({"metadata": patch}),))


def make(claim: Claim, seen: Observation, policy: Policy) -> Decision:
    """The next step towards a pool, and towards its Node."""
    try:
        request = replace(node_request(claim, policy.cluster), name=seen.pool)
        if not isinstance(seen.cloud.pool, Pool):
            # What has been made already is not thrown away for what the catalogue says.
            request = fitting(claim, request, policy.size)
    except Unsatisfiable as error:
        return show(claim, failed(claim, Cause.INVALID, f"{error}."), seen, policy)
    match seen.cloud.pool:
        case Pool() as pool:
            return _await_node(claim, request, pool, seen, policy)
        case Absent():
            elsewhere = host_for(claim, request, seen, policy)
            if elsewhere is not None:
                return elsewhere
            match next_step(claim, request, seen, policy):
                case Attempt(instance_type, afresh):
                    born = {LAUNCHED: label_of(seen.now), SHAPE: shape_of(request)}
                    asked = replace(request, labels={**request.labels, **born})
                    return Decision(ask=Launch(asked, instance_type, afresh))
                case Wait(seconds=seconds) as wait:
                    if wait.cause is Cause.POOL_LIMIT and seconds is not None:
                        # A pool to share may come sooner.
                        seconds = min(seconds, policy.longest_pause)
                    return show(claim, held_up(claim, wait), seen, policy, seconds)
                case Step() as step:
                    return show(claim, unlaunched(claim, step), seen, policy)
        case _:
            return watch(claim, _expected(claim, request, "requested", seen, policy), seen, policy)


def show(
    claim: Claim,
    progress: Progress,
    seen: Observation,
    policy: Policy,
    again: float | None = None,
) -> Decision:
    """How far the claim is, and nothing else until `again`."""
    writes = report(claim, progress, None, seen.now, policy)
    return Decision(writes=tuple(writes), again=again)


def _await_node(
    claim: Claim, request: NodeRequest, pool: Pool, seen: Observation, policy: Policy
) -> Decision:
    if not belongs_to(pool.labels, claim, policy.cluster):
        progress = failed(claim, Cause.NAME_TAKEN, _foreign(claim, pool, policy))
        return watch(claim, progress, seen, policy, slow=True)
    if pool.state is PoolState.DELETING:
        said = "an earlier pool of that name is being deleted"
        return watch(claim, _expected(claim, request, said, seen, policy), seen, policy)
    failure = overdue(pool, seen.cloud.since, seen.now, policy) or pool.failure
    if failure is not None:
        return _useless(claim, pool, failure, seen, policy)
    if pool.instance_type.lower() in {wanted.lower() for wanted in request.instance_types}:
        return watch(claim, coming(claim, pool), seen, policy)
    return _remove(claim, pool, None, "it is of another instance type.", seen, policy)


def _useless(
    claim: Claim, pool: Pool, failure: Failure, seen: Observation, policy: Policy
) -> Decision:
    """It failed or brings no Node: it may cost money, and its name is needed for the next one."""
    # A size that cannot be had has cost nothing, and what is wrong in itself is not repeated. Of
    # all else nobody knows how far it came: a policy may forbid what follows the machine.
    paid = failure.way in {Way.RETRY, Way.USER}
    if paid and not useless(claim).holds(mark_of(pool)):
        return Decision(writes=(PatchClaim(entering(claim, mark_of(pool), str(failure))),))
    refusal = Refusal(pool.instance_type, failure, seen.now)
    return _remove(claim, pool, refusal, str(failure), seen, policy)


def _remove(
    claim: Claim,
    pool: Pool,
    refusal: Refusal | None,
    why: str,
    seen: Observation,
    policy: Policy,
) -> Decision:
    trouble = seen.cloud.trouble
    if trouble is not None and remaining_pause(trouble, seen.now, policy):
        cause = refusal.failure.cause if refusal else Cause.UNKNOWN
        said = f"Agent pool {pool.name} has to be deleted first: {why}"
        step = Step("False", cause.value, said)
        if trouble.failure.way is not Way.RETRY:
            step = refused(trouble.failure.cause, f"{said} {trouble.failure}")
        return watch(claim, unlaunched(claim, step), seen, policy)
    if due(seen, policy.poll_seconds):
        # Somebody may have mended it since.
        return Decision(ask=Look())
    return Decision(ask=Destroy(pool, refusal))


def next_step(
    claim: Claim, request: NodeRequest, seen: Observation, policy: Policy
) -> Attempt | Wait | Step:
    """A Step when nothing is asked for any more until somebody has acted."""
    enough = stopped(claim, useless(claim), policy)
    if enough is not None:
        reason = STOPPED
        return Step("False", reason, enough, verdict=reason)
    refusals = seen.cloud.refusals
    return next_attempt(request.name, request.instance_types, refusals, seen.now, policy)


def _expected(
    claim: Claim, request: NodeRequest, said: str, seen: Observation, policy: Policy
) -> Progress:
    """While it cannot be asked for: why the last attempt failed, if another has to wait for it."""
    match next_step(claim, request, seen, policy):
        case Wait() as wait:
            return held_up(claim, wait)
        case Step() as step:
            return unlaunched(claim, step)
        case Attempt():
            return _launching(claim, request.name, said)


def failed(claim: Claim, cause: Cause, message: str) -> Progress:
    return unlaunched(claim, refused(cause, message))


def held_up(claim: Claim, wait: Wait) -> Progress:
    return unlaunched(claim, refused(wait.cause, wait.message, passing=wait.passing))


def _launching(claim: Claim, name: str, said: str) -> Progress:
    message = f"Agent pool {name} is being made: {said}."
    return unlaunched(claim, Step("Unknown", conditions.LAUNCHING, message))


def coming(claim: Claim, pool: Pool) -> Progress:
    if pool.state is not PoolState.READY:
        return _launching(claim, pool.name, pool.said)
    message = f"Agent pool {pool.name} has been made; its Node has not joined the cluster yet."
    return unlaunched(claim, Step("Unknown", conditions.LAUNCHING, message))


def relabelled(claim: Claim, pool: Pool, policy: Policy) -> str:
    """How to keep a pool that gpu-provisioner made for the claim, as a sentence with the blank
    before it; "" for any other."""
    lacking = missing_proof(pool.labels, claim, policy.cluster)
    command = policy.relabelling(pool, lacking) if lacking else ""
    if not command:
        return ""
    return f" If gpu-provisioner made it for this {claim.kind}, keep it: say so with {command}."


def _foreign(claim: Claim, pool: Pool, policy: Policy) -> str:
    return (
        f"{policy.cloud} has an agent pool {pool.name} whose labels do not show that KAITO made it "
        f"for this {claim.kind}, so it is left alone. Delete that pool, or delete this "
        f"{claim.kind}.{relabelled(claim, pool, policy)}{looks_again(policy)}"
    )
