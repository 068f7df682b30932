"""The status of a Workspace from verdicts, and what is worth an event. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kaito.api import conditions
from kaito.api.conditions import State
from kaito.controllers.workspace.decision import Event
from kaito.controllers.workspace.details import FIELDS, Details
from kaito.controllers.workspace.judgement import Verdict
from kaito.controllers.workspace.observation import Observation, Subject
from kaito.runtime import Object, find_condition, set_condition

# In the order in which people read them; a condition without a verdict is not written.
ORDER = (
    conditions.MACHINE_READY,
    conditions.NODE_CLAIM_READY,
    conditions.NODES_READY,
    conditions.RESOURCE_READY,
    conditions.INFERENCE_READY,
    conditions.JOB_STARTED,
    conditions.WORKSPACE_READY,
    conditions.WORKSPACE_SUCCEEDED,
    conditions.WORKSPACE_DELETING,
)
# Changes of these are told as events; the others repeat them.
TOLD = (conditions.WORKSPACE_DELETING, conditions.RESOURCE_READY, conditions.INFERENCE_READY)
# Of tuning: how it ends is told by the last.
TOLD_OF_TUNING = (
    conditions.WORKSPACE_DELETING,
    conditions.RESOURCE_READY,
    conditions.JOB_STARTED,
    conditions.WORKSPACE_SUCCEEDED,
)
# Waiting is the ordinary course of things and no warning.
PATIENT = frozenset(
    [
        conditions.RESOURCE_NOT_READY,
        conditions.INFERENCE_PENDING,
        conditions.JOB_PENDING,
        conditions.NODES_RELEASED,
        conditions.PENDING,
        conditions.DELETED,
        conditions.READING_MODEL,
    ]
)


def status(
    observation: Observation,
    verdicts: Mapping[str, Verdict],
    *,
    state: State,
    worker_nodes: Sequence[str] = (),
    target_node_count: int | None = None,
    details: Details | None = None,
    training: Object | None = None,
) -> Object:
    """The whole of what we say, at the Workspace's present generation. Where nothing is known of
    the details or of the training, they stay as they were told last."""
    subject = Subject(observation.workspace)
    before = subject.status.get("conditions") or []
    written: list[Object] = []
    for type_ in ORDER:
        verdict = verdicts.get(type_)
        if verdict is None:
            continue
        known = find_condition(before, type_)
        (condition,) = set_condition(
            [known] if known else [],
            type_,
            verdict.truth,
            verdict.reason,
            verdict.message,
            generation=subject.generation,
            now=observation.now,
        )
        written.append(condition)
    said: Object = {"conditions": written, "state": state}
    if worker_nodes:
        said["workerNodes"] = list(worker_nodes)
    if target_node_count is not None:
        said["targetNodeCount"] = target_node_count
    if of_training := subject.status.get("tuning") if training is None else training:
        said["tuning"] = of_training
    if details is None:
        return said | {name: subject.status[name] for name in FIELDS if name in subject.status}
    answers = find_condition(written, conditions.INFERENCE_READY)
    return said | details.told(subject.status.get("phases") or (), answers)


def summary(resource: Verdict, inference: Verdict) -> dict[str, Verdict]:
    """WorkspaceReady and its mirror from the two that it follows from."""
    first = next((v for v in (resource, inference) if not v.good), None)
    if first is None:
        ready = Verdict(truth="True", reason=conditions.READY, message=inference.message)
        succeeded = Verdict(truth="True", reason=conditions.SUCCEEDED, message=inference.message)
    else:
        reason = conditions.FAILED if first.final else conditions.PENDING
        ready = Verdict(truth="False", reason=reason, message=first.message, final=first.final)
        succeeded = ready
    return {conditions.WORKSPACE_READY: ready, conditions.WORKSPACE_SUCCEEDED: succeeded}


def state_after(before: str, ready: Verdict) -> State:
    """Ready, Failed where somebody has to act, NotReady for what was ready once, Pending for what
    never was."""
    if ready.good:
        return "Ready"
    if ready.final:
        return "Failed"
    return "NotReady" if before in ("Ready", "NotReady") else "Pending"


def events(observation: Observation, after: Object) -> tuple[Event, ...]:
    """One event for each condition that says something else than before."""
    before = Subject(observation.workspace).status.get("conditions") or []
    types = TOLD_OF_TUNING if Subject(observation.workspace).tunes else TOLD
    return tuple(_events(before, after["conditions"], types))


def _events(
    before: Sequence[Object], after: Sequence[Object], types: Sequence[str]
) -> Iterator[Event]:
    told: set[str] = set()
    for type_ in types:
        old, new = find_condition(before, type_), find_condition(after, type_)
        if new is None or (
            old is not None and (old["status"], old["reason"]) == (new["status"], new["reason"])
        ):
            continue
        if old is None and new["reason"] in PATIENT and new["status"] != "True":
            continue
        if told & {new["reason"], new["message"]}:
            continue
        told |= {new["reason"], new["message"]}
        fine = new["status"] == "True" or new["reason"] in PATIENT
        yield Event(
            type="Normal" if fine else "Warning", reason=new["reason"], message=new["message"]
        )
