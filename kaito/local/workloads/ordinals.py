"""Which pods a StatefulSet has, makes and removes: pure decisions.

Pods are made in order and, unless the management policy is Parallel, each waits for the one
before to be ready. An update replaces pods from the highest ordinal down, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaito.local.workloads.podview import OVER, available_in, is_deleting, phase
from kaito.local.workloads.template import pod_from, without_zeros
from kaito.runtime import Object

REVISION_LABEL = "controller-revision-hash"
NAME_LABEL = "statefulset.kubernetes.io/pod-name"
INDEX_LABEL = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatefulSetPlan:
    """What to do about a StatefulSet."""

    create: tuple[int, ...] = ()
    """Ordinals."""
    delete: tuple[str, ...] = ()
    """Names of pods."""
    settled: tuple[int, ...] = ()
    """Ordinals of pods that are up, whose identity and claims may be put right."""
    status: Object
    again: float | None = None


@dataclass(slots=True)
class _Moves:
    create: list[int] = field(default_factory=list)
    delete: list[str] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)


def plan(
    stateful_set: Object, pods: Mapping[int, Object], current: str, update: str, now: float
) -> StatefulSetPlan:
    """The next step and the status; `pods` are its pods by ordinal, `current` and `update` the
    names of the revisions that it comes from and goes to."""
    spec = stateful_set["spec"]
    minimum = spec.get("minReadySeconds", 0)
    waits = {
        ordinal: available_in(pod, minimum, now) if phase(pod) == "Running" else None
        for ordinal, pod in pods.items()
    }
    moves = _Moves()
    if not stateful_set["metadata"].get("deletionTimestamp"):
        _move(spec, pods, wanted_ordinals(spec), waits, update, moves)
    later = [seconds for seconds in waits.values() if seconds]
    return StatefulSetPlan(
        create=tuple(moves.create),
        delete=tuple(moves.delete),
        settled=tuple(moves.settled),
        status=_status(stateful_set, pods, waits, current, update),
        again=min(later) if later else None,
    )


def wanted_ordinals(spec: Object) -> range:
    """The ordinals that a StatefulSet shall have pods of."""
    start = (spec.get("ordinals") or {}).get("start", 0)
    return range(start, start + spec.get("replicas", 1))


def made_of(stateful_set: Object, ordinal: int, current: str, update: str) -> str:
    """The revision that a new pod is made from: below the partition the one before."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    partition: int = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    below = wanted_ordinals(stateful_set["spec"]).start + partition
    return current if ordinal < below else update


def _status(
    stateful_set: Object,
    pods: Mapping[int, Object],
    waits: Mapping[int, float | None],
    current: str,
    update: str,
) -> Object:
    spec = stateful_set["spec"]
    staying = [revision_of(pod) for pod in pods.values() if not is_deleting(pod)]
    ready = sum(seconds is not None for seconds in waits.values())
    updated = staying.count(update)
    rolls = (spec.get("updateStrategy") or {}).get("type") != "OnDelete"
    done = rolls and updated == ready == len(pods) == spec.get("replicas", 1)
    counts = {
        "readyReplicas": ready,
        "currentReplicas": updated if done else staying.count(current),
        "updatedReplicas": updated,
    }
    return without_zeros(counts) | {
        "observedGeneration": stateful_set["metadata"].get("generation"),
        "replicas": len(pods),
        "availableReplicas": sum(seconds == 0 for seconds in waits.values()),
        "currentRevision": update if done else current,
        "updateRevision": update,
        "collisionCount": stateful_set.get("status", {}).get("collisionCount", 0),
    }


def _move(
    spec: Object,
    pods: Mapping[int, Object],
    wanted: range,
    waits: Mapping[int, float | None],
    update: str,
    moves: _Moves,
) -> None:
    """Fill `moves`, pod after pod; in order, each waits for those before it."""
    in_order = spec.get("podManagementPolicy") != "Parallel"
    replaced = False
    for ordinal in wanted:
        pod = pods.get(ordinal)
        if pod is None:
            moves.create.append(ordinal)
        elif phase(pod) in OVER:
            # A pod that has ended is replaced under its own name.
            replaced = True
            if not is_deleting(pod):
                moves.delete.append(_name(pod))
        elif not in_order or (waits[ordinal] == 0 and not is_deleting(pod)):
            moves.settled.append(ordinal)
            continue
        if in_order:
            return
    if replaced:
        return
    surplus = sorted((ordinal for ordinal in pods if ordinal not in wanted), reverse=True)
    if in_order and surplus:
        if _may_leave(surplus, pods, waits):
            moves.delete.append(_name(pods[surplus[0]]))
        return
    moves.delete += [_name(pods[each]) for each in surplus if not is_deleting(pods[each])]
    if not moves.create and not moves.delete:
        moves.delete += _outdated(spec, pods, wanted, waits, update)


def _may_leave(
    surplus: Sequence[int], pods: Mapping[int, Object], waits: Mapping[int, float | None]
) -> bool:
    """Whether the last pod may go: one at a time, and not while a lower one is unwell."""
    last, *lower = surplus
    unwell = any(waits[each] != 0 or is_deleting(pods[each]) for each in lower)
    return not is_deleting(pods[last]) and (waits[last] == 0 or not unwell)


def _outdated(
    spec: Object,
    pods: Mapping[int, Object],
    wanted: Sequence[int],
    waits: Mapping[int, float | None],
    update: str,
) -> tuple[str, ...]:
    """The next pod to replace by one of the new template."""
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return ()
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    for ordinal in reversed(wanted):
        pod = pods.get(ordinal)
        if ordinal < wanted[0] + partition or pod is None:
            continue
        if is_deleting(pod):
            return ()
        if revision_of(pod) != update:
            return (_name(pod),)
        if waits.get(ordinal) != 0:
            return ()
    return ()


def ordinal_pod(
    stateful_set: Object, template: Mapping[str, Any], ordinal: int, revision: str
) -> Object:
    """The pod of an ordinal: its name, labels, host name and volumes are its own."""
    spec, name = stateful_set["spec"], f"{stateful_set['metadata']['name']}-{ordinal}"
    pod = pod_from(template, stateful_set, name=name)
    labels = pod["metadata"].setdefault("labels", {})
    labels |= {NAME_LABEL: name, INDEX_LABEL: str(ordinal), REVISION_LABEL: revision}
    pod["spec"] |= {"hostname": name, "subdomain": spec.get("serviceName", "")}
    claims = [template["metadata"]["name"] for template in spec.get("volumeClaimTemplates") or ()]
    if claims:
        kept = [each for each in pod["spec"].get("volumes") or () if each["name"] not in claims]
        pod["spec"]["volumes"] = [
            *({"name": c, "persistentVolumeClaim": {"claimName": f"{c}-{name}"}} for c in claims),
            *kept,
        ]
    return pod


def ordinal_of(stateful_set: Object, pod: Object) -> int | None:
    """The ordinal in a pod's name, None for a name that the set did not give."""
    prefix = f"{stateful_set['metadata']['name']}-"
    rest = _name(pod).removeprefix(prefix)
    return int(rest) if _name(pod).startswith(prefix) and rest.isdigit() else None


def revision_of(pod: Object) -> str:
    """The name of the revision that a pod was made from."""
    text: str = (pod["metadata"].get("labels") or {}).get(REVISION_LABEL, "")
    return text


def _name(pod: Object) -> str:
    name: str = pod["metadata"]["name"]
    return name
