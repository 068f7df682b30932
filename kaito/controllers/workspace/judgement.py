"""What the parts of a Workspace say of themselves: Machines, nodes, Deployment. Pure.

Each part gets one verdict, which becomes a condition: whether it is so, why in one word, and one
sentence about the first thing that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kaito.api import conditions, labels
from kaito.api.machine import LAUNCHED, LIVING, READY, Machine
from kaito.api.meta import find_condition, is_true
from kaito.api.words import one_line
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.deployment import HASH
from kaito.controllers.workspace.kinds import CHILDREN, DEPLOYMENTS, REVISIONS, STATEFUL_SETS
from kaito.controllers.workspace.observation import Observation, Obstacle
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.pods import trouble
from kaito.controllers.workspace.revisions import Revision, Undone
from kaito.runtime import Object, Truth

ON_ITS_WAY = "the node is on its way."
MESSAGE_LENGTH = 800  # what the provisioner allows itself for a failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a condition is to say."""

    truth: Truth
    reason: str
    message: str

    @property
    def good(self) -> bool:
        return self.truth == "True"


def machines(plan: Plan, crew: Crew, obstacles: Sequence[Obstacle]) -> Verdict | None:
    """Whether every Machine is ready; None when the Workspace has and needs none."""
    for obstacle in obstacles:
        if obstacle.kind == "Machine" or not crew.machines:
            # What would run on the nodes was tried first: none has been asked for.
            return Verdict(truth="False", reason=obstacle.reason, message=obstacle.message)
    total = len(crew.machines) + len(crew.missing) + len(crew.blocked)
    if total == 0:
        return None
    for machine in crew.machines:
        failure = _failure(machine)
        if failure:
            return Verdict(truth="False", reason=conditions.MACHINE_FAILED, message=failure)
    waiting = _waiting(plan, crew)
    if waiting:
        return Verdict(
            truth="Unknown",
            reason=conditions.MACHINE_PENDING,
            message=waiting,
        )
    return Verdict(
        truth="True",
        reason=conditions.MACHINES_READY,
        message=f"{total} of {total} Machines are ready.",
    )


def nodes(plan: Plan, crew: Crew) -> Verdict:
    """Whether every node that the workload needs is there and can take its Pods."""
    for machine in crew.machines:
        node = crew.nodes.get(machine.metadata.name)
        if node is not None:
            wrong = _unfit(plan, node)
            if wrong:
                return wrong
    for node in crew.brought:
        wrong = _unfit(plan, node)
        if wrong:
            return wrong
    there = len(crew.brought) + len(crew.nodes)
    if there == plan.nodes:
        return Verdict(
            truth="True",
            reason=conditions.NODES_ARE_READY,
            message=f"{there} of {plan.nodes} nodes are ready.",
        )
    message = f"{there} of {plan.nodes} nodes are there."
    if crew.lacking:
        selector = ",".join(f"{k}={v}" for k, v in plan.selector.items())
        missing = f"{crew.lacking} ready GPU node{'s' if crew.lacking > 1 else ''}"
        message += (
            " resource.instanceType is empty, so none are brought up: "
            f"{'label' if selector else 'bring'} {missing} that no other Workspace uses"
            f"{f' with {selector}' if selector else ''}."
        )
    return Verdict(truth="False", reason=conditions.NODE_NOT_READY, message=message)


def resources(machine_verdict: Verdict | None, node_verdict: Verdict) -> Verdict:
    """Machines and nodes together: may the workload start?"""
    if node_verdict.good and (machine_verdict is None or machine_verdict.good):
        return Verdict(
            truth="True", reason=conditions.RESOURCE_SUCCESS, message=node_verdict.message
        )
    first = machine_verdict if machine_verdict and not machine_verdict.good else node_verdict
    known = first.truth == "False" and first is machine_verdict
    return Verdict(
        truth="False",
        reason=first.reason if known else conditions.RESOURCE_NOT_READY,
        message=first.message,
    )


def inference(
    observation: Observation, desired: Object | None, ready: Verdict, gap: str = ""
) -> Verdict:
    """Whether the workload that is wanted now is rolled out and answers. `gap` is a sentence about
    what its users miss until then."""
    for obstacle in observation.obstacles:
        if obstacle.kind in CHILDREN or obstacle.kind == REVISIONS.kind:
            return Verdict(truth="False", reason=obstacle.reason, message=obstacle.message)
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
    wrong = trouble(observation.pods)
    if wrong:
        return Verdict(truth="False", reason=wrong.reason, message=wrong.message)
    serving = status.get("readyReplicas", 0)
    if serving and not current:
        return _pending(f"{kind} {name} is being rolled out.", gap)
    return _pending(f"{serving} of {wanted} replicas of {kind} {name} are ready.", gap)


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
        truth="False", reason=conditions.REVISION_UNDONE, message=one_line(told, MESSAGE_LENGTH)
    )


def with_leaving(nodes: Verdict, crew: Crew) -> Verdict:
    """The same, with the Machines that are not needed any more, while they go."""
    going = [m for m in crew.leaving if m.metadata.name not in crew.blocked]
    names = [m.metadata.name for m in (*crew.surplus, *going)]
    if not names:
        return nodes
    several = len(names) > 1
    told = (
        f"{nodes.message} Machine{'s' if several else ''} {', '.join(sorted(names))} "
        f"{'are' if several else 'is'} not needed any more and {'are' if several else 'is'} "
        "deleted."
    )
    return replace(nodes, message=one_line(told, MESSAGE_LENGTH))


def _pending(message: str, more: str = "") -> Verdict:
    told = f"{message} {more}".rstrip()
    return Verdict(truth="False", reason=conditions.INFERENCE_PENDING, message=told)


def _failure(machine: Machine) -> str:
    """Why a Machine was not launched, "" when that did not fail."""
    launched = find_condition(machine.status.conditions, LAUNCHED)
    if launched is None or launched.status != "False":
        return ""
    return one_line(
        f"Machine {machine.metadata.name}: {launched.message or launched.reason}", MESSAGE_LENGTH
    )


def _waiting(plan: Plan, crew: Crew) -> str:
    """The first Machine that is not ready and what it waits for, "" when all are."""
    return next(_waits(plan, crew), "")


def _waits(plan: Plan, crew: Crew) -> Iterator[str]:
    for name in crew.missing:
        # As of one that has just been asked for: saying both would be one more write each time.
        yield f"Machine {name} ({plan.instance_type}): {ON_ITS_WAY}"
    for name in crew.blocked:
        yield f"Machine {name} is being deleted; another one follows when it has gone."
    for machine in crew.machines:
        name = machine.metadata.name
        if not is_true(machine.status.conditions, READY):
            said = next(
                (
                    c.message
                    for c in (find_condition(machine.status.conditions, t) for t in LIVING)
                    if c is not None and c.status != "True" and c.message
                ),
                ON_ITS_WAY,
            )
            yield one_line(f"Machine {name} ({plan.instance_type}): {said}", MESSAGE_LENGTH)


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
