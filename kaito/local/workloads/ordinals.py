"""Which pods a StatefulSet has, makes and removes: pure decisions.

Pods are made in order and, unless the management policy is Parallel, each waits for the one
before to be ready. An update replaces pods from the highest ordinal down, one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kaito.local.workloads.podview import OVER, available_in, is_deleting, is_ready, phase
from kaito.local.workloads.template import pod_from
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
    status: Object
    again: float | None = None


def plan(
    stateful_set: Object, pods: Mapping[int, Object], current: str, update: str, now: float
) -> StatefulSetPlan:
    """The next step and the status; `pods` are its pods by ordinal, `current` and `update` the
    names of the revisions that it comes from and goes to."""
    spec = stateful_set["spec"]
    replicas = spec.get("replicas", 1)
    start = (spec.get("ordinals") or {}).get("start", 0)
    wanted = range(start, start + replicas)
    minimum = spec.get("minReadySeconds", 0)
    alive = {ordinal: pod for ordinal, pod in pods.items() if phase(pod) not in OVER}
    waits = {ordinal: available_in(pod, minimum, now) for ordinal, pod in alive.items()}
    create, delete = _moves(spec, pods, wanted, waits, update)
    if stateful_set["metadata"].get("deletionTimestamp"):
        create, delete = (), ()
    updated = sum(revision_of(pod) == update for pod in alive.values())
    rolls = (spec.get("updateStrategy") or {}).get("type") != "OnDelete"
    ready = sum(map(is_ready, alive.values()))
    done = rolls and updated == ready == len(alive) == replicas
    later = [seconds for seconds in waits.values() if seconds]
    status: Object = {
        "observedGeneration": stateful_set["metadata"].get("generation"),
        "replicas": len(alive),
        "readyReplicas": ready,
        "availableReplicas": sum(seconds == 0 for seconds in waits.values()),
        "currentReplicas": sum(revision_of(pod) == current for pod in alive.values()),
        "updatedReplicas": updated,
        "currentRevision": update if done else current,
        "updateRevision": update,
        "collisionCount": stateful_set.get("status", {}).get("collisionCount", 0),
    }
    if done:
        status["currentReplicas"] = updated
    for name in ("readyReplicas", "currentReplicas", "updatedReplicas"):
        if not status[name]:
            del status[name]
    return StatefulSetPlan(
        create=create, delete=delete, status=status, again=min(later) if later else None
    )


def _moves(
    spec: Object,
    pods: Mapping[int, Object],
    wanted: Sequence[int],
    waits: Mapping[int, float | None],
    update: str,
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    parallel = spec.get("podManagementPolicy") == "Parallel"
    over = [ordinal for ordinal in wanted if ordinal in pods and phase(pods[ordinal]) in OVER]
    if over:
        # A pod that has ended is replaced under its own name.
        return (), tuple(_name(pods[ordinal]) for ordinal in over if not is_deleting(pods[ordinal]))
    surplus = sorted((ordinal for ordinal in pods if ordinal not in wanted), reverse=True)
    leaving = tuple(_name(pods[ordinal]) for ordinal in surplus if not is_deleting(pods[ordinal]))
    if parallel:
        missing = tuple(ordinal for ordinal in wanted if ordinal not in pods)
        if missing or leaving:
            return missing, leaving
    for ordinal in wanted if not parallel else ():
        if ordinal not in pods:
            return (ordinal,), ()
        if is_deleting(pods[ordinal]) or waits.get(ordinal) != 0:
            return (), ()
    if surplus:
        # One at a time, from the end.
        return (), leaving[:1] if not is_deleting(pods[surplus[0]]) else ()
    return (), _outdated(spec, pods, wanted, waits, update)


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
        if ordinal < partition or pod is None:
            continue
        if is_deleting(pod):
            return ()
        if revision_of(pod) != update:
            return (_name(pod),)
        if waits.get(ordinal) != 0:
            return ()
    return ()


def ordinal_pod(stateful_set: Object, ordinal: int, revision: str) -> Object:
    """The pod of an ordinal: its name, labels, host name and volumes are its own."""
    spec, name = stateful_set["spec"], f"{stateful_set['metadata']['name']}-{ordinal}"
    pod = pod_from(spec["template"], stateful_set, name=name)
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


def claims_of(stateful_set: Object, ordinal: int) -> list[Object]:
    """The volume claims of an ordinal, which outlive its pods."""
    spec, metadata = stateful_set["spec"], stateful_set["metadata"]
    labels = (spec["selector"].get("matchLabels")) or {}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                **template["metadata"],
                "name": f"{template['metadata']['name']}-{metadata['name']}-{ordinal}",
                "namespace": metadata["namespace"],
                "labels": {**(template["metadata"].get("labels") or {}), **labels},
            },
            "spec": template["spec"],
        }
        for template in spec.get("volumeClaimTemplates") or ()
    ]


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
