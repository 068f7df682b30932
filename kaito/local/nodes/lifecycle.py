"""What a simulated Node reports as it grows older, and what its failures look like.

It becomes Ready a moment after it registered, and its GPUs appear after that. What it is asked
to suffer (kaito.local.rehearsal) shows in its conditions; taints follow from those, as the real
controller sets them. Only Nodes that carry the annotation `local.kaito.sh/simulated` are touched.
Nothing heartbeats: a Node that nobody asks for a fault stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kaito.local.nodes.shape import GPUS, NOT_READY_TAINT, SIMULATED, WELL, node_condition
from kaito.local.profile import Profile
from kaito.local.rehearsal import NodeFault, asked_of_node
from kaito.runtime import Object, find_condition, rfc3339

UNREACHABLE = "node.kubernetes.io/unreachable"
_PRESSURES = {
    "MemoryPressure": "node.kubernetes.io/memory-pressure",
    "DiskPressure": "node.kubernetes.io/disk-pressure",
    "PIDPressure": "node.kubernetes.io/pid-pressure",
}
OUR_TAINTS = frozenset((NOT_READY_TAINT, UNREACHABLE, *_PRESSURES.values()))
SILENT = (NodeFault.LOST, NodeFault.NOT_READY)
"""Faults under which the kubelet says nothing of its pods."""
_RUNTIME_DOWN = ("Ready", "False", "KubeletNotReady", "container runtime is down")
_READY = ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
_SILENCE = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
_PRESSED = {
    NodeFault.DISK: ("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure"),
    NodeFault.MEMORY: (
        "MemoryPressure",
        "True",
        "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available",
    ),
}
# What a kubelet says when a condition turns, by type and status.
_TURNS = {
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
    ("Ready", "Unknown"): "NodeNotReady",
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStep:
    """What to write now (a merge patch of the status, the new taints), what to tell, and when
    to look again."""

    status: Object | None = None
    taints: list[Object] | None = None
    turns: tuple[str, ...] = field(default=())
    """What the Node's status is now, in the words of Events."""
    again: float | None = None


def next_step(
    node: Object, age: float, now: float, profile: Profile, asked_for: float = 0.0
) -> NodeStep:
    """What a Node needs that has been here for `age` seconds and was asked for its present fault
    `asked_for` seconds ago."""
    status = node.get("status", {})
    if SIMULATED not in (node["metadata"].get("annotations") or {}):
        return NodeStep()
    fault = asked_of_node(node)
    if fault is NodeFault.NEVER_READY:
        return NodeStep()
    if age < profile.node_ready:
        return NodeStep(again=profile.node_ready - age)
    if fault is NodeFault.LOST and asked_for < profile.node_grace:
        return NodeStep(again=profile.node_grace - asked_for)
    before = status.get("conditions", [])
    conditions = [_turned(before, wanted, now) for wanted in _conditions(fault)]
    news = [each for each in conditions if each not in before]
    turns = tuple(
        turn
        for each in news
        if _status_of(before, each["type"]) != each["status"]
        and (turn := _TURNS.get((each["type"], each["status"])))
    )
    patch: Object = {}
    if news:
        told = {each["type"]: each for each in [*before, *news]}
        patch["conditions"] = list(told.values())
    resources, again = _gpus(node, fault, age, profile)
    taints = _taints(node, conditions, now)
    return NodeStep(
        status=(patch | resources) or None,
        taints=taints if taints != (node.get("spec", {}).get("taints") or []) else None,
        turns=turns,
        again=again,
    )


def _conditions(fault: NodeFault | None) -> list[tuple[str, str, str, str]]:
    """(type, status, reason, message) of every condition under a fault."""
    well = [(type_, "False", reason, text) for type_, reason, text in WELL]
    if fault is NodeFault.LOST:
        return [(type_, "Unknown", *_SILENCE) for type_, *_ in (*well, _READY)]
    pressed = _PRESSED.get(fault) if fault is not None else None
    told = [pressed if pressed and pressed[0] == each[0] else each for each in well]
    return [*told, _RUNTIME_DOWN if fault is NodeFault.NOT_READY else _READY]


def _turned(before: Sequence[Object], wanted: tuple[str, str, str, str], now: float) -> Object:
    found = find_condition(before, wanted[0])
    if found is not None and (found["status"], found["reason"]) == wanted[1:3]:
        return found
    made = node_condition(*wanted, now)
    if found is not None and wanted[1] == "Unknown":
        made["lastHeartbeatTime"] = found["lastHeartbeatTime"]
    if found is not None and found["status"] == wanted[1]:
        made["lastTransitionTime"] = found["lastTransitionTime"]
    return made


def _gpus(
    node: Object, fault: NodeFault | None, age: float, profile: Profile
) -> tuple[Object, float | None]:
    """The patch that makes GPUs appear or vanish, and when to look again."""
    resource, _, number = (node["metadata"].get("annotations") or {}).get(GPUS, "").partition("=")
    if not resource:
        return {}, None
    status = node.get("status", {})
    there = (status.get("allocatable") or {}).get(resource)
    due = profile.node_ready + profile.gpu_ready
    if fault is NodeFault.NO_GPU:
        # A device plugin that went leaves the capacity and nothing to allocate.
        return ({"allocatable": {resource: "0"}} if there not in (None, "0") else {}), None
    if there == number:
        return {}, None
    if age < due:
        return {}, due - age
    return {"capacity": {resource: number}, "allocatable": {resource: number}}, None


def _taints(node: Object, conditions: Sequence[Object], now: float) -> list[Object]:
    """The taints that follow from the conditions, beside those of others. One that was there
    keeps its time."""
    before: list[Object] = node.get("spec", {}).get("taints") or []
    wanted: list[tuple[str, str]] = []
    ready = _status_of(conditions, "Ready")
    if ready != "True":
        key = UNREACHABLE if ready == "Unknown" else NOT_READY_TAINT
        wanted += [(key, "NoSchedule"), (key, "NoExecute")]
    wanted += [
        (key, "NoSchedule")
        for type_, key in _PRESSURES.items()
        if _status_of(conditions, type_) == "True"
    ]
    known = {(each["key"], each["effect"]): each for each in before}
    others = [each for each in before if each["key"] not in OUR_TAINTS]
    return others + [
        known.get(pair) or {"key": pair[0], "effect": pair[1], "timeAdded": rfc3339(now)}
        for pair in wanted
    ]


def _status_of(conditions: Sequence[Object], type_: str) -> str:
    found = find_condition(conditions, type_)
    return found["status"] if found is not None else ""
