"""What to do about a claim that is being deleted: empty its Node, have the pool removed, and let
go only when the cloud has confirmed that there is no such pool, or in a pool that others use, too,
no such machine. Pure."""

from __future__ import annotations

from dataclasses import replace

from kaito.api.machine import FINALIZER
from kaito.controllers.machine import conditions
from kaito.controllers.machine.cloud import DeleteMachine, Destroy
from kaito.controllers.machine.conditions import Progress, Step, report
from kaito.controllers.machine.decision import (
    Decision,
    DeleteNode,
    ListMates,
    ListPods,
    Observation,
    PatchClaim,
    PatchNode,
    Policy,
    Write,
)
from kaito.controllers.machine.drain import asking, closing, deadline, staying, told
from kaito.controllers.machine.launch import remaining_pause
from kaito.controllers.machine.leaving import last_of_all, leave, waits_for_others
from kaito.controllers.machine.making import relabelled
from kaito.controllers.machine.readiness import release
from kaito.controllers.machine.waiting import NEARLY, watch
from kaito.provisioner import Absent, Pool, PoolState
from kaito.provisioner.claim import NODECLAIM, Claim
from kaito.provisioner.ownership import belongs_to
from kaito.runtime import Truth, find_condition, rfc3339

DELETING_PATIENCE = 1800.0  # seconds; a pool of GPU nodes goes within 5 to 15 minutes


def dismantle(claim: Claim, seen: Observation, policy: Policy) -> Decision:
    """The next step towards the claim's end."""
    if not claim.held:
        return Decision()
    match seen.cloud.pool:
        case Absent() if seen.cloud.confirmed:
            return _finish(claim, seen, policy)
        case Pool() as pool if belongs_to(pool.labels, claim, policy.cluster):
            if seen.shared and pool.state is not PoolState.DELETING:
                return _withdraw(claim, pool, seen, policy)
            return _destroy(claim, pool, seen, policy)
        case Pool() as pool if not claim.launched:
            # Never ours: there is nothing of ours to delete.
            return _finish(claim, replace(seen, nodes=()), policy)
        case Pool() as pool:
            said = (
                f"Agent pool {pool.name} has lost the labels that showed it was made for this "
                f"{claim.kind}, so it is left alone. Delete it, or give it back its kaito.sh "
                f"labels.{relabelled(claim, pool, policy)}"
            )
            return watch(claim, _terminating(claim, said), seen, policy, confirm=True)
        case _:
            progress = _terminating(claim, f"Looking for agent pool {seen.pool}.")
            return watch(claim, progress, seen, policy, confirm=True)


def _destroy(claim: Claim, pool: Pool, seen: Observation, policy: Policy) -> Decision:
    message = f"Agent pool {pool.name} is being deleted ({pool.said}).{_stuck(pool, seen)}"
    if pool.state is not PoolState.DELETING:
        waiting = _empty(claim, seen, policy)
        if waiting is not None:
            return waiting
        if remaining_pause(seen.cloud.trouble, seen.now, policy):
            return watch(claim, _terminating(claim, message), seen, policy, confirm=True)
        return Decision(ask=Destroy(pool))
    progress = _terminating(claim, message, _drained(claim, seen, policy), instance=True)
    # After the pool and not before: a Node that our finalizer does not hold yet goes at once, and
    # its Pods with it, while the cloud would still let them end in peace.
    decision = watch(claim, progress, seen, policy, confirm=True)
    if decision.ask is not None:
        return decision
    deletions = tuple(
        DeleteNode(node.name, node.metadata.uid) for node in seen.nodes if not node.deleting
    )
    return replace(decision, writes=(*deletions, *decision.writes))


def _stuck(pool: Pool, seen: Observation) -> str:
    """Since when a pool is being deleted and what to do about it, once that is too long."""
    since = seen.cloud.since
    if pool.state is not PoolState.DELETING or seen.now - since < DELETING_PATIENCE:
        return ""
    advice = f" If it does not go, {pool.remedy}." if pool.remedy else ""
    return f" That has lasted since {rfc3339(since)} at least.{advice}"


def _withdraw(claim: Claim, pool: Pool, seen: Observation, policy: Policy) -> Decision:
    """From a pool that others use, too: its own machine alone, unless it is the last of them."""
    emptying = _empty(claim, seen, policy)
    if emptying is not None:
        return emptying
    if seen.live is None:
        return Decision(ask=ListMates())
    if last_of_all(claim, seen):
        return _destroy(claim, pool, seen, policy)
    if waits_for_others(claim, seen):
        said = f"Agent pool {pool.name} goes when the other claims that use it have gone."
        return watch(claim, _terminating(claim, said), seen, policy, confirm=True)
    match leave(claim, pool, seen, policy):
        case None:
            return _finish(claim, seen, policy)
        case str() as said:
            # A pool that is busy may be so for the others alone.
            told = DeleteMachine in seen.asked and seen.cloud.trouble is None
            progress = _terminating(claim, said, _drained(claim, seen, policy), instance=told)
            return watch(claim, progress, seen, policy, confirm=True)
        case decision:
            return decision


def _empty(claim: Claim, seen: Observation, policy: Policy) -> Decision | None:
    """What is to be done until the Nodes are empty; None when they are, or time is up."""
    until = deadline(claim, policy)
    if not seen.nodes or seen.now >= until:
        return None
    closed = tuple(write for node in seen.nodes if (write := closing(node)) is not None)
    if closed:
        # Their changes bring us back.
        return Decision(writes=closed, again=policy.drain_pause)
    tenancy = seen.tenancy
    if tenancy is None or seen.now - tenancy.at >= NEARLY * policy.drain_pause:
        return Decision(ask=ListPods(tuple(node.name for node in seen.nodes)))
    if not tenancy.trouble and not staying(tenancy.pods, seen.now):
        return None
    message = told(seen.nodes, tenancy, seen.now)
    draining = Step("Unknown", conditions.DRAINING, message)
    writes: list[Write] = [*asking(tenancy, seen.now, until)]
    progress = _terminating(claim, message, draining)
    writes += report(claim, progress, None, seen.now, policy)
    again = tenancy.at + policy.drain_pause - seen.now
    return Decision(writes=tuple(writes), again=max(0.0, min(again, until - seen.now)))


def _drained(claim: Claim, seen: Observation, policy: Policy) -> Step | None:
    """How the draining ended, told once and for all."""
    known = find_condition(list(claim.status.conditions), conditions.DRAINED)
    if known is None or known["status"] != "Unknown":
        return None
    if seen.now < deadline(claim, policy):
        return Step("True", conditions.DRAINED)
    said = f"Time was up: {known.get('message', '')}"
    return Step("False", conditions.DRAIN_ABANDONED, said)


def _finish(claim: Claim, seen: Observation, policy: Policy) -> Decision:
    """The pool is no more: nothing costs money, so nothing needs to be held."""
    uid = claim.metadata.uid
    held = [node for node in seen.nodes if node.held and uid in node.claim_owners]
    writes: list[Write] = [
        DeleteNode(node.name, node.metadata.uid) for node in seen.nodes if not node.deleting
    ]
    writes += [PatchNode(node.name, release(node)) for node in held if node.deleting]
    if writes:
        # Their changes bring us back. A Node that is gone already, and that the cache does not
        # know of yet, brings none: looking again at once would ask for it in a storm.
        return Decision(writes=tuple(writes), again=policy.poll_seconds)
    left = [name for name in claim.metadata.finalizers if name != FINALIZER]
    patch = {"resourceVersion": claim.metadata.resource_version, "finalizers": left or None}
    return Decision(writes=(PatchClaim({"metadata": patch}),))


def _terminating(
    claim: Claim, message: str, drained: Step | None = None, *, instance: bool = False
) -> Progress:
    """What the conditions said stays; what is going on is told beside them."""
    known = {condition["type"]: condition for condition in claim.status.conditions}

    def step(type_: str) -> Step:
        found = known.get(type_)
        if found is None:
            said = f"The {claim.kind} was deleted before this was known."
            return Step("Unknown", conditions.TERMINATING, said)
        truth: Truth = found["status"]
        return Step(truth, found.get("reason", ""), found.get("message", ""))

    dialect = claim.dialect
    return Progress(
        launched=step(dialect.launched),
        registered=step(dialect.registered),
        initialized=step(dialect.initialized),
        terminating=Step("False", conditions.TERMINATING, message),
        drained=drained if claim.dialect is NODECLAIM else None,
        instance_terminating=instance,
    )
