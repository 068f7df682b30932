"""What to do about one claim: a pure function of what was observed. No I/O, no clock.

    not ours               nothing
    no finalizer yet       store it; nothing is asked of the cloud before that
    not launched           make the pool, or find it made already, and wait for its Node
    launched               make the Node the claim's own, see it become usable
    too old, or broken     delete the claim, where that is an option that somebody has chosen
    deleting               the Pods, the pool, its Nodes, and last the finalizer: only when the
                           cloud has confirmed that there is no such pool
    gone                   let go of Nodes that were its own

A decision either asks one question, and is taken anew with the answer, or writes.
"""

from __future__ import annotations

from dataclasses import replace

from kaito.api.labels import INSTANCE_TYPE, ZONE
from kaito.controllers.kinds import Node
from kaito.controllers.machine import conditions
from kaito.controllers.machine.allotment import allotted
from kaito.controllers.machine.cloud import Confirm, ListMachines
from kaito.controllers.machine.conditions import (
    DONE,
    Progress,
    Step,
    pending,
    report,
    unregistered,
)
from kaito.controllers.machine.decision import (
    Decision,
    DeleteClaim,
    Observation,
    PatchClaim,
    PatchNode,
    Policy,
    Tell,
    Write,
)
from kaito.controllers.machine.dismantle import dismantle
from kaito.controllers.machine.disruption import beyond_repair, expire, expiry, replace_node
from kaito.controllers.machine.joining import join
from kaito.controllers.machine.launch import remaining_pause
from kaito.controllers.machine.leaving import tidy
from kaito.controllers.machine.making import make, take_on
from kaito.controllers.machine.readiness import (
    initialisation,
    of_wrong_type,
    registration,
    release,
    the_node,
)
from kaito.controllers.machine.waiting import due, watch
from kaito.provisioner import Absent, Failure, Pool, PoolState
from kaito.provisioner.claim import Claim
from kaito.provisioner.ownership import LAUNCHED, belongs_to, ours, served
from kaito.provisioner.request import INITIALIZED_LABEL

NOTHING = Decision()

NO_ZONE = "0"  # what the zone label of an AKS node says when the node is in no zone


def decide(seen: Observation, policy: Policy) -> Decision:
    """The next thing to do."""
    claim = seen.claim
    if claim is None:
        return _let_go(seen, policy)
    if not ours(claim):
        return NOTHING
    seen = allotted(claim, seen, policy)
    if claim.metadata.deleting:
        return dismantle(claim, seen, policy)
    if not claim.held:
        return take_on(claim)
    end = expiry(claim, policy)
    if end is not None and seen.now >= end:
        return expire(claim, seen, policy)
    tidied = tidy(claim, seen, policy)
    if tidied is None:
        return _no_later_than(end, _serve(claim, seen, policy), seen.now)
    if tidied.ask is not None or tidied.writes:
        return tidied
    tidied_at = seen.now + (tidied.again or 0.0)
    return _no_later_than(
        tidied_at if end is None else min(end, tidied_at), _serve(claim, seen, policy), seen.now
    )


def _serve(claim: Claim, seen: Observation, policy: Policy) -> Decision:
    leaving = [node for node in seen.nodes if node.deleting and node.held]
    if leaving:
        return _node_deleted(claim, leaving, seen, policy)
    if claim.launched or _has_node(claim, seen, policy):
        return _prepare(claim, seen, policy)
    return join(claim, seen, policy) if seen.shared else make(claim, seen, policy)


def _no_later_than(moment: float | None, decision: Decision, now: float) -> Decision:
    """With a look at that moment, if there is none before."""
    if moment is None or decision.ask is not None:
        return decision
    left = max(0.0, moment - now)
    again = left if decision.again is None else min(decision.again, left)
    return replace(decision, again=again)


def _has_node(claim: Claim, seen: Observation, policy: Policy) -> bool:
    """Whether a Node has come out of a pool of ours that is not going away."""
    node = the_node(claim, seen.nodes)
    if isinstance(node, Step) and node.reason == conditions.NODE_NOT_FOUND:
        return False
    pool = seen.cloud.pool
    return (
        isinstance(pool, Pool)
        and belongs_to(pool.labels, claim, policy.cluster)
        and pool.state is not PoolState.DELETING
        and not (isinstance(node, Node) and _of_an_earlier_pool(node, pool))
    )


def _of_an_earlier_pool(node: Node, pool: Pool) -> bool:
    """Whether a Node has outlived a pool of the same name: labels tell when each was launched."""
    launches = {node.labels.get(LAUNCHED), pool.labels.get(LAUNCHED)} - {None}
    return len(launches) > 1


# Launched


def _prepare(claim: Claim, seen: Observation, policy: Policy) -> Decision:
    """Registration and initialisation. The Node's own changes bring us back, no timer."""
    node = the_node(claim, seen.nodes)
    if isinstance(node, Step):
        if node.reason == conditions.NODE_NOT_FOUND:
            return _node_missing(claim, node, seen, policy)
        return _show(claim, unregistered(claim, node), None, seen, policy)
    wrong = of_wrong_type(claim, node)
    if wrong is not None:
        return _show(claim, unregistered(claim, wrong), None, seen, policy)
    end = beyond_repair(claim, node, policy)
    if end is not None and seen.now >= end:
        return replace_node(claim, node, seen, policy)
    return _no_later_than(end, _register(claim, node, seen, policy), seen.now)


def _register(claim: Claim, node: Node, seen: Observation, policy: Policy) -> Decision:
    patch = registration(claim, node)
    if patch is not None and claim.spec.startup_taints:
        # The patch puts them on; whether they have been removed is seen the next time.
        message = f"Node {node.name} has just been given the {claim.kind}'s startup taints."
        usable = pending(conditions.STARTUP_TAINTS, message)
    else:
        usable = initialisation(claim, node, policy.gpus(node.instance_type))
    if usable == DONE and INITIALIZED_LABEL not in node.labels:
        patch = patch or {"metadata": {}}
        patch["metadata"].setdefault("labels", {})[INITIALIZED_LABEL] = "true"
    progress = Progress(launched=DONE, registered=DONE, initialized=usable)
    writes: list[Write] = [PatchNode(node.name, patch)] if patch is not None else []
    writes += _described(claim, node)
    decision = _show(claim, progress, node, seen, policy)
    return replace(decision, writes=(*writes, *decision.writes))


def _show(
    claim: Claim, progress: Progress, node: Node | None, seen: Observation, policy: Policy
) -> Decision:
    return Decision(writes=tuple(report(claim, progress, node, seen.now, policy)))


def _described(claim: Claim, node: Node) -> list[Write]:
    """What kubectl shows of the node beside the claim, once it is known."""
    labels = {
        name: node.labels[name]
        for name in (INSTANCE_TYPE, ZONE)
        if node.labels.get(name, NO_ZONE) != NO_ZONE and name not in claim.metadata.labels
    }
    return [PatchClaim({"metadata": {"labels": labels}})] if labels else []


def _node_missing(claim: Claim, missing: Step, seen: Observation, policy: Policy) -> Decision:
    """No Node: it is on its way, or being replaced, or its pool has been deleted behind us."""
    if isinstance(seen.cloud.pool, Absent) and seen.cloud.confirmed:
        said = f"Agent pool {seen.pool} has been deleted; so is its {claim.kind}."
        return _give_up(claim, said)
    if not seen.shared and (failure := _failed_for_good(seen, policy)):
        return _give_up(
            claim, f"Agent pool {seen.pool} has failed and no Node is left of it: {failure}"
        )
    if seen.shared and _settled(seen, policy):
        machines, own = seen.cloud.machines, claim.status.provider_id
        if machines is None:
            return Decision(ask=ListMachines())
        if own and not any(machine.behind(own) for machine in machines):
            said = (
                f"Its machine of agent pool {seen.pool} has been deleted; so is its {claim.kind}."
            )
            return _give_up(claim, said)
    return watch(claim, unregistered(claim, missing), seen, policy, confirm=True)


def _failed_for_good(seen: Observation, policy: Policy) -> Failure | None:
    """Why a pool has failed, once it has been so for longer than a Node takes to join."""
    pool = seen.cloud.pool
    if not isinstance(pool, Pool) or pool.state is not PoolState.FAILED or not seen.cloud.confirmed:
        return None
    return pool.failure if seen.now - seen.cloud.since >= policy.joining_patience else None


def _settled(seen: Observation, policy: Policy) -> bool:
    """Whether what the cloud says of the pool's machines is to be believed."""
    pool = seen.cloud.pool
    trouble = remaining_pause(seen.cloud.trouble, seen.now, policy)
    return isinstance(pool, Pool) and pool.state is PoolState.READY and not trouble


def _node_deleted(claim: Claim, leaving: list[Node], seen: Observation, policy: Policy) -> Decision:
    """Somebody deletes the claim's Node.

    A person who does that wants the machine gone. A cluster that is stopped or upgraded does it
    too, and there the pool is to be kept: it brings another Node, or has done so already.
    """
    pause = remaining_pause(seen.cloud.trouble, seen.now, policy)
    if pause:
        # What becomes of the claim has to wait for the cloud; that its Node goes is known.
        node = the_node(claim, seen.nodes)
        if isinstance(node, Step):
            shown = _show(claim, unregistered(claim, node), None, seen, policy)
            return replace(shown, again=pause)
        return Decision(again=pause)
    pool = seen.cloud.pool
    # What a list says of a pool that has brought a Node may be from before that.
    old = isinstance(pool, Pool) and pool.state is PoolState.CREATING and not seen.cloud.confirmed
    if old or due(seen, policy.poll_seconds):
        return Decision(ask=Confirm())
    replaced = any(not node.deleting and node.spec.provider_id for node in seen.nodes)
    ends = {PoolState.DELETING} if replaced else {PoolState.READY, PoolState.DELETING}
    if isinstance(pool, Absent) or (isinstance(pool, Pool) and pool.state in ends):
        names = ", ".join(node.name for node in leaving)
        return _give_up(claim, f"Node {names} is being deleted; so is its {claim.kind}.")
    return Decision(writes=tuple(PatchNode(node.name, release(node)) for node in leaving))


def _give_up(claim: Claim, message: str) -> Decision:
    return Decision(writes=(DeleteClaim(claim.metadata.uid), Tell("Warning", "NodeLost", message)))


# Gone


def _let_go(seen: Observation, policy: Policy) -> Decision:
    """No such claim: Nodes that it owned and that are being deleted wait for our finalizer."""
    held = [
        node
        for node in seen.nodes
        if node.deleting
        and node.held
        and _was_ours(node, seen.dialect.provisioner)
        # Where others use the pool, too, they see to it; not those who merely name it.
        and not any(ours(mate) and belongs_to(node.labels, mate) for mate in seen.mates)
    ]
    if not held:
        return NOTHING
    pool = seen.cloud.pool
    if isinstance(pool, Absent) and seen.cloud.confirmed:
        return Decision(writes=tuple(PatchNode(node.name, release(node)) for node in held))
    pause = remaining_pause(seen.cloud.trouble, seen.now, policy)
    if not pause and due(seen, policy.longest_pause):
        return Decision(ask=Confirm())
    # The pool outlived its claim: the sweep judges it.
    return Decision(again=max(pause, policy.longest_pause))


def _was_ours(node: Node, provisioner: str) -> bool:
    """Whether a claim of this kind that is ours to serve was behind the Node."""
    return bool(node.claim_owners) and served(node.labels) and provisioner in node.labels
