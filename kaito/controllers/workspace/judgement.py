"""What the parts of a Workspace say of themselves: orders of nodes, nodes, workload. Pure.

Each part gets one verdict, which becomes a condition: whether it is so, why in one word, and one
sentence about the first thing that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kaito.api import conditions, labels, machine, nodeclaim, nodepool
from kaito.api.launch import needs_somebody, unavailable
from kaito.api.meta import Condition
from kaito.api.words import listed, one_line
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.workspace.ask import Ask
from kaito.controllers.workspace.attempt import Choice
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.deployment import HASH, TEMPLATE_HASH
from kaito.controllers.workspace.kinds import CHILDREN, DEPLOYMENTS, REVISIONS, STATEFUL_SETS
from kaito.controllers.workspace.observation import Observation, Obstacle, Subject
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.pods import trouble
from kaito.controllers.workspace.refusal import Refusal
from kaito.controllers.workspace.revisions import Revision, Undone
from kaito.runtime import Object, Truth, find_condition

ON_ITS_WAY = "the node is on its way."
# What the deployment controller says when all Pods are new ones, until the next rollout.
ROLLED_OUT = "NewReplicaSetAvailable"
# What the provisioner allows itself for a failure, and whose it is: shorter ones lack the remedy.
MESSAGE_LENGTH = 1700


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a condition is to say."""

    truth: Truth
    reason: str
    message: str
    final: bool = False
    """Whether it stays so until somebody acts."""

    @property
    def good(self) -> bool:
        return self.truth == "True"


def orders(
    plan: Plan,
    crew: Crew,
    observation: Observation,
    choice: Choice,
) -> tuple[str, Verdict] | None:
    """The type of the condition that tells of what asks for nodes, and whether all of that is
    ready; None when the Workspace has and needs none."""
    asked = (*crew.kept, *crew.missing, *crew.blocked)
    kinds = dict.fromkeys(ask.kind for ask in asked)
    told = _TOLD_OF_MACHINES if machine.KIND in kinds else _TOLD_OF_CLAIMS
    for obstacle in observation.obstacles:
        if obstacle.kind in ORDERS or not crew.kept:
            # What would run on the nodes was tried first: none has been asked for.
            return told.type, blocked(obstacle)
    if not asked:
        return None
    for ask in crew.kept:
        failure = None if _met(ask, observation) else _failure(ask, observation, choice)
        if failure is not None:
            return told.type, replace(failure, reason=told.failed)
    waiting = next(_waits(plan, crew, observation), "")
    if waiting:
        truth: Truth = "Unknown" if told is _TOLD_OF_MACHINES else "False"
        return told.type, Verdict(truth=truth, reason=told.pending, message=waiting)
    total = len(asked)
    return told.type, Verdict(
        truth="True",
        reason=told.ready,
        message=f"{total} of {total} {listed([f'{kind}s' for kind in kinds])} are ready.",
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """What a condition about orders is called, and its reasons."""

    type: str
    ready: str
    pending: str
    failed: str


_TOLD_OF_MACHINES = _Words(
    conditions.MACHINE_READY,
    conditions.MACHINES_READY,
    conditions.MACHINE_PENDING,
    conditions.MACHINE_FAILED,
)
_TOLD_OF_CLAIMS = _Words(
    conditions.NODE_CLAIM_READY,
    conditions.NODE_CLAIMS_READY,
    conditions.NODE_CLAIM_NOT_READY,
    conditions.NODE_CLAIM_FAILED,
)


def nodes(plan: Plan, crew: Crew) -> Verdict:
    """Whether every node that the workload needs is there and can take its Pods."""
    found = [_unfit(plan, node) for node in (*crew.nodes, *crew.brought)]
    wrong = [verdict for verdict in found if verdict is not None]
    there = len(found) - len(wrong)
    # A pool has one node more while Karpenter puts a new one in the place of an old one.
    if wrong and there < plan.nodes:
        return wrong[0]
    if crew.unsure:
        return Verdict(
            truth="False",
            reason=conditions.NODE_NOT_READY,
            message=f"Node {crew.unsure[0]} is being counted for this Workspace.",
        )
    if there >= plan.nodes:
        return Verdict(
            truth="True",
            reason=conditions.NODES_ARE_READY,
            message=f"{plan.nodes} of {plan.nodes} nodes are ready.",
        )
    message = f"{there} of {plan.nodes} nodes are there."
    if crew.lacking:
        selector = ",".join(f"{k}={v}" for k, v in plan.selector.items())
        missing = f"{crew.lacking} ready GPU node{'s' if crew.lacking > 1 else ''}"
        message += (
            f" {_why_none(plan)}, so none are brought up: "
            f"{'label' if selector else 'bring'} {missing} that no other Workspace uses"
            f"{f' with {selector}' if selector else ''}."
        )
    return Verdict(truth="False", reason=conditions.NODE_NOT_READY, message=message)


def resources(order_verdict: Verdict | None, node_verdict: Verdict, attempts: str = "") -> Verdict:
    """Orders and nodes together: may the workload start? `attempts` says where the attempts
    stand to get nodes of one of several sizes."""
    if node_verdict.good and (order_verdict is None or order_verdict.good):
        return Verdict(
            truth="True",
            reason=conditions.RESOURCE_SUCCESS,
            message=_both(node_verdict.message, attempts),
        )
    first = order_verdict if order_verdict and not order_verdict.good else node_verdict
    waits = first.truth != "False" or first.reason == conditions.NODE_CLAIM_NOT_READY
    known = first is order_verdict and not waits
    return Verdict(
        truth="False",
        reason=first.reason if known else conditions.RESOURCE_NOT_READY,
        message=_both(first.message, attempts),
        final=first.final,
    )


def _both(message: str, attempts: str) -> str:
    return f"{message} {attempts}" if attempts else message


def inference(
    observation: Observation, desired: Object | None, ready: Verdict, gap: str = ""
) -> Verdict:
    """Whether the workload that is wanted now is rolled out and answers. `gap` is a sentence about
    what its users miss until then."""
    obstacle = obstructed(observation)
    if obstacle is not None:
        return obstacle
    if desired is None or (observation.workload is None and not ready.good):
        return _pending("The model is deployed when its nodes are ready.")
    kind, name = desired["kind"], desired["metadata"]["name"]
    workload = written_as(desired, observation) or {}
    seen, status = workload.get("metadata", {}), workload.get("status") or {}
    same = is_written(desired, workload)
    current = same and status.get("observedGeneration", 0) >= seen.get("generation", 0)
    # Whoever scales it after us decides how many it is.
    wanted = (workload if same else desired)["spec"].get("replicas", 1)
    if current and wanted == 0:
        return _pending(f"{kind} {name} is scaled to no replicas by somebody else.")
    replicas = [
        status.get(count, 0)
        for count in ("updatedReplicas", "readyReplicas", "availableReplicas", "replicas")
    ]
    if current and replicas == [wanted] * len(replicas):
        return Verdict(
            truth="True",
            reason=conditions.INFERENCE_SUCCESS,
            message=f"{wanted} of {wanted} replicas of {kind} {name} are ready.",
        )
    wrong = trouble(observation.pods, workload, observation.now, replacing=bool(gap))
    if wrong:
        return Verdict(truth="False", reason=wrong.reason, message=wrong.message, final=wrong.final)
    serving = status.get("readyReplicas", 0)
    if serving and not current:
        return _pending(f"{kind} {name} is being rolled out.", gap)
    made = status.get("replicas", 0)
    if kind == STATEFUL_SETS.kind and current and made < wanted:
        # Of a Deployment the status says what refuses Pods, of a StatefulSet its Events alone.
        told = f"kubectl describe statefulset {name} -n {desired['metadata']['namespace']}"
        return _pending(
            f"{made} of {wanted} Pods of {kind} {name} are made: `{told}` says why.", gap
        )
    return _pending(f"{serving} of {wanted} replicas of {kind} {name} are ready.", gap)


def obstructed(observation: Observation) -> Verdict | None:
    """What keeps an object of ours from being written, nodes apart; None where nothing does."""
    kinds = {*CHILDREN, REVISIONS.kind}
    return next((blocked(each) for each in observation.obstacles if each.kind in kinds), None)


def blocked(obstacle: Obstacle) -> Verdict:
    """What is said of something that stands in the way: a person has to take it away."""
    return Verdict(truth="False", reason=obstacle.reason, message=obstacle.message, final=True)


def written_as(desired: Object, observation: Observation) -> Object | None:
    """The workload that is there under the kind and name of the desired one."""
    seen_as = {
        DEPLOYMENTS.kind: observation.deployment,
        STATEFUL_SETS.kind: observation.stateful_set,
    }
    return seen_as[desired["kind"]]


def is_written(desired: Object, workload: Object | None) -> bool:
    """Whether a workload has been told what is desired now."""
    told = (workload or {}).get("metadata", {}).get("annotations") or {}
    return bool(told.get(HASH) == desired["metadata"]["annotations"][HASH])


def replaces_pods(desired: Object, workload: Object | None) -> bool:
    """Whether writing a workload means other Pods than those of the one that is there."""
    told = (workload or {}).get("metadata", {}).get("annotations") or {}
    return bool(told.get(TEMPLATE_HASH) != desired["metadata"]["annotations"][TEMPLATE_HASH])


def all_ready(workload: Object) -> bool:
    """Whether as many Pods are ready as are wanted, of whichever revision."""
    ready: int = (workload.get("status") or {}).get("readyReplicas", 0)
    wanted: int = workload["spec"].get("replicas", 1)
    return ready >= wanted


def rolls_out(workload: Object) -> bool:
    """Whether a Deployment's controller is replacing Pods, or has yet to see what was written; of
    others it is not told."""
    status, generation = workload.get("status") or {}, workload["metadata"].get("generation", 0)
    progressing = find_condition(status.get("conditions") or [], "Progressing")
    if progressing is None:
        return False
    unseen: bool = status.get("observedGeneration", 0) < generation
    return unseen or progressing.get("reason") != ROLLED_OUT


def stuck(observation: Observation) -> bool:
    """Whether what was said last is that this very wish cannot be written. To announce it again
    before each new try would be two writes each time, and a condition that flickers."""
    subject = Subject(observation.workspace)
    before = find_condition(subject.status.get("conditions") or [], subject.work)
    known = before is not None and before.get("observedGeneration") == subject.generation
    return bool(known and before and before.get("reason") in conditions.OBSTACLES)


def undone(declared: Revision, back: Revision, serving: Verdict, name: str) -> Verdict:
    """That a revision did not answer in its time, and which one runs instead."""
    why = declared.undone or Undone(reason="", message="")
    instead = "serves instead" if serving.good else f"comes back: {serving.message.rstrip('.')}"
    told = (
        f"Revision {declared.number} did not answer in its time and was undone. {why.message} "
        f"Revision {back.number} {instead}. Change the Workspace to try again, or take it back "
        f"with kaito rollback {name}."
    )
    return Verdict(
        truth="False",
        reason=conditions.REVISION_UNDONE,
        message=one_line(told, MESSAGE_LENGTH),
        final=True,
    )


def refused(refusal: Refusal, back: Revision, serving: Verdict) -> Verdict:
    """That an edit cannot be, and which revision runs on."""
    goes = "serves on" if serving.good else f"runs on: {serving.message.rstrip('.')}"
    told = f"{refusal.message} Revision {back.number} {goes}."
    message = one_line(told, MESSAGE_LENGTH)
    return Verdict(truth="False", reason=refusal.reason, message=message, final=True)


def with_leaving(nodes: Verdict, crew: Crew) -> Verdict:
    """The same, with the orders that are not needed any more, while they go."""
    followed = {ask.name for ask in crew.blocked}
    going = [order for order in crew.leaving if order.name not in followed]
    names = sorted(f"{order.kind} {order.name}" for order in (*crew.surplus, *going))
    if not names:
        return nodes
    several = len(names) > 1
    told = (
        f"{nodes.message} {listed(names)} {'are' if several else 'is'} not needed any more and "
        f"{'are' if several else 'is'} deleted."
    )
    return replace(nodes, message=one_line(told, MESSAGE_LENGTH))


def _pending(message: str, more: str = "") -> Verdict:
    told = f"{message} {more}".rstrip()
    return Verdict(truth="False", reason=conditions.INFERENCE_PENDING, message=told)


def _failure(ask: Ask, observation: Observation, choice: Choice) -> Verdict | None:
    """Why nodes were not launched, in the claim's own words; None when that did not fail."""
    for order in _claims(ask, observation):
        launched = order.condition(machine.LAUNCHED, nodeclaim.LAUNCHED)
        lost = unavailable(order.status.conditions)
        failed = launched if launched is not None and launched.status == "False" else lost
        if failed is not None:
            said = f"{order.kind} {order.name}: {failed.message or failed.reason}"
            return Verdict(
                truth="False",
                reason=failed.reason,
                message=one_line(said, MESSAGE_LENGTH),
                # Another size follows by itself, unless this was the last one.
                final=needs_somebody(failed) and not (choice.resting and choice.until is None),
            )
    why = (choice.lost or {}).get(ask.name)
    if not why:
        return None
    # Sizes are tried anew after a while, so nobody has to act.
    said = f"{ask.kind} {ask.name}: {why.rstrip('.')}."
    return Verdict(truth="False", reason="", message=said)


def _claims(ask: Ask, observation: Observation) -> list[Order]:
    """What tells how the launch goes: the order itself, or the claims that a pool is made into."""
    if ask.kind == nodepool.KIND:
        return [each for each in observation.orders if each.pool == ask.name]
    return [ask.order] if ask.order else []


def _waits(plan: Plan, crew: Crew, observation: Observation) -> Iterator[str]:
    """What is not ready and what it waits for."""
    for ask in crew.missing:
        # As of one that has just been asked for: saying both would be one more write each time.
        yield f"{ask.kind} {ask.name} ({plan.instance_type}): {_on_its_way(ask)}"
    for ask in crew.blocked:
        yield f"{ask.kind} {ask.name} is being deleted; another one follows when it has gone."
    for ask in crew.kept:
        if _met(ask, observation):
            continue
        claims = _claims(ask, observation)
        waiting = [each for each in claims if not each.ready]
        if ask.kind == nodepool.KIND and len(claims) < ask.nodes:
            yield f"{ask.kind} {ask.name} ({plan.instance_type}): {_on_its_way(ask)}"
        for order in waiting:
            said = next((c.message for c in _steps(order) if c.message), ON_ITS_WAY)
            about = f"{order.kind} {order.name} ({plan.instance_type}): {said}"
            yield one_line(about, MESSAGE_LENGTH)


def _met(ask: Ask, observation: Observation) -> bool:
    """Whether as many nodes as are asked for are ready, whatever becomes of others."""
    return sum(each.ready for each in _claims(ask, observation)) >= ask.nodes > 0


def _steps(order: Order) -> Iterator[Condition]:
    """The steps of an order that are not done."""
    for type_ in (*machine.LIVING, *nodeclaim.LIVING):
        found = order.condition(type_)
        if found is not None and found.status != "True":
            yield found


def _on_its_way(ask: Ask) -> str:
    return ON_ITS_WAY if ask.nodes == 1 else f"{ask.nodes} nodes are on their way."


def _why_none(plan: Plan) -> str:
    if plan.instance_type:
        return f"Nodes are brought by their users here ({plan.instance_type})"
    return "resource.instanceType is empty"


def _unfit(plan: Plan, node: Node) -> Verdict | None:
    """Why a node cannot take the Workspace's Pods now, None when it can."""
    if not node.ready:
        return Verdict(
            truth="False",
            reason=conditions.NODE_NOT_READY,
            message=f"Node {node.name} is not ready.",
        )
    if node.deleting:
        return Verdict(
            truth="False",
            reason=conditions.NODE_NOT_READY,
            message=f"Node {node.name} is being deleted.",
        )
    lacks = [f"{k}={v}" for k, v in plan.selector.items() if node.labels.get(k) != v]
    if lacks:
        return Verdict(
            truth="False",
            reason=conditions.NODE_NOT_READY,
            message=f"Node {node.name} lacks the label {lacks[0]} of resource.labelSelector.",
        )
    if plan.model is not None and not node.has_gpus:
        return Verdict(
            truth="False",
            reason=conditions.NODE_PLUGINS_NOT_READY,
            message=f"Node {node.name} reports no {labels.GPU_RESOURCE}: its device plugin has not "
            "started yet.",
        )
    return None
