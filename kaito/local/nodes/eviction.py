"""Pods that have to leave their Node: by a NoExecute taint, or because it runs out of something.

What is decided is pure; the reconciler works through Nodes and costs nothing where there is no
reason to evict.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from kaito.local.kinds import PODS
from kaito.local.nodes.disruption import DISRUPTED, disrupt
from kaito.local.profile import Profile
from kaito.local.rehearsal import NodeFault, asked_of_node
from kaito.local.scheduling.fit import tolerates
from kaito.runtime import (
    Again,
    Change,
    Client,
    Clock,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
    find_condition,
    parse_rfc3339,
    rfc3339,
)

OVER = ("Succeeded", "Failed")
OVERDUE = "Pod was active on the node longer than the specified deadline"
NO_EXECUTE = "NoExecute"
_TAINTED = "Taint manager: deleting due to NoExecute taint"
# A kubelet's default thresholds, of a Node's disk and of its memory.
_THRESHOLDS = {NodeFault.DISK: 0.15, NodeFault.MEMORY: 100 * 2**20}
_RESOURCES = {NodeFault.DISK: "ephemeral-storage", NodeFault.MEMORY: "memory"}
SYSTEM_CRITICAL = 2_000_000_000  # the priority from which a kubelet evicts nobody


def stays_for(
    pod: Object, taints: Sequence[Mapping[str, str]], now: float, patience: float
) -> float | None:
    """Seconds until the pod has to go, None when it may stay for good. Counted from when the
    taint was added, by the shortest of the tolerations that are used; a second of theirs lasts
    `patience` seconds."""
    tolerations = pod["spec"].get("tolerations") or ()
    used: list[Mapping[str, Any]] = []
    for taint in taints:
        found = [each for each in tolerations if tolerates(each, taint)]
        if not found:
            return 0.0
        used += found
    limits: list[int] = [each["tolerationSeconds"] for each in used if "tolerationSeconds" in each]
    if not limits:
        return None
    added = [parse_rfc3339(each["timeAdded"]) for each in taints if each.get("timeAdded")]
    since = now - min(added) if added else 0.0
    return max(0.0, max(0, min(limits)) * patience - since)


def pressed_out(pod: Object, node: Object) -> str:
    """Why the kubelet evicts this pod now, "" when it does not."""
    fault = asked_of_node(node)
    if fault not in _RESOURCES or (pod["spec"].get("priority") or 0) >= SYSTEM_CRITICAL:
        return ""
    type_ = {NodeFault.DISK: "DiskPressure", NodeFault.MEMORY: "MemoryPressure"}[fault]
    pressure = find_condition(node.get("status", {}).get("conditions", ()), type_)
    if pressure is None or pressure["status"] != "True":
        return ""
    resource = _RESOURCES[fault]
    return f"The node was low on resource: {resource}. {_quantities(node, fault)} "


def _quantities(node: Object, fault: NodeFault) -> str:
    if fault is NodeFault.MEMORY:
        return "Threshold quantity: 100Mi, available: 87060Ki."
    capacity = str(node["status"].get("capacity", {}).get("ephemeral-storage", "0Gi"))
    size = int(capacity.removesuffix("Gi")) * 2**30 if capacity.endswith("Gi") else 0
    threshold = int(size * _THRESHOLDS[fault])
    return f"Threshold quantity: {threshold}, available: {int(threshold * 0.9) // 1024}Ki."


def overdue_in(pod: Object, now: float) -> float | None:
    """Seconds until a pod has been active for longer than it may, None when it may for ever."""
    limit = pod["spec"].get("activeDeadlineSeconds")
    started = pod.get("status", {}).get("startTime")
    if limit is None or not started:
        return None
    left: float = parse_rfc3339(started) + limit - now
    return left


def failure(pod: Object, reason: str, message: str, now: float) -> Object:
    """The patch of a pod's status that ends it with all of its containers."""
    return {
        "metadata": {"uid": pod["metadata"]["uid"]},
        "status": {
            "phase": "Failed",
            "reason": reason,
            "message": message,
            "conditions": _ended(pod["status"].get("conditions") or (), now),
            "containerStatuses": _killed(pod, now),
        },
    }


class Eviction:
    """The reconciler of Nodes, by name. `pods` needs the index "node"."""

    def __init__(
        self,
        client: Client,
        nodes: Informer[Object],
        pods: Informer[Object],
        *,
        kubelet: EventRecorder,
        controller: EventRecorder,
        profile: Profile,
        clock: Clock,
    ) -> None:
        self._client = client
        self._nodes = nodes.store
        self._pods = pods.store
        self._kubelet = kubelet
        self._controller = controller
        self._profile = profile
        self._clock = clock
        self._evicting: set[str] = set()

    def node_changed(self, change: Change) -> Iterable[Key]:
        """Mapper: a Node that has, or had, a reason to evict."""
        name = change.key.name
        node = change.object
        reason = change.kind != "deleted" and (_no_execute(node) or asked_of_node(node))
        if not reason and name not in self._evicting:
            return ()
        (self._evicting.add if reason else self._evicting.discard)(name)
        return (change.key,)

    def pod_changed(self, change: Change) -> Iterable[Key]:
        """Mapper: the Node of a pod, where pods are evicted."""
        if not self._evicting or change.kind == "deleted":
            return ()
        node = change.object["spec"].get("nodeName", "")
        return (Key("", node),) if node in self._evicting else ()

    async def reconcile(self, key: Key) -> Again | None:
        node = self._nodes.get(key)
        if node is None:
            return None
        taints, fault = _no_execute(node), asked_of_node(node)
        waits = []
        for pod_key in self._pods.by("node", key.name):
            pod = self._pods.get(pod_key)
            if pod is None or pod["metadata"].get("deletionTimestamp"):
                continue
            if pod.get("status", {}).get("phase") in OVER:
                continue
            if fault is not None and (reason := pressed_out(pod, node)):
                await self._press_out(pod_key, pod, node, fault, reason)
            elif taints:
                left = stays_for(pod, taints, self._clock.now(), self._profile.patience)
                if left is not None and left <= 0:
                    await self._drive_out(pod_key, pod)
                elif left is not None:
                    waits.append(left)
        return Again.after(min(waits)) if waits else None

    async def _drive_out(self, key: Key, pod: Object) -> None:
        message = f"Marking for deletion Pod {key}"
        self._controller.event(pod, reason="TaintManagerEviction", message=message)
        with suppress(NotFound):
            await disrupt(self._client, pod, "DeletionByTaintManager", _TAINTED, self._clock.now())
            await self._client.delete(PODS, key, uid=pod["metadata"]["uid"])

    async def _press_out(
        self, key: Key, pod: Object, node: Object, fault: NodeFault, reason: str
    ) -> None:
        now = self._clock.now()
        told = f"Attempting to reclaim {_RESOURCES[fault]}"
        self._kubelet.event(node, type="Warning", reason="EvictionThresholdMet", message=told)
        failed = failure(pod, "Evicted", reason, now)
        kept = [each for each in failed["status"]["conditions"] if each["type"] != DISRUPTED]
        failed["status"]["conditions"] = [*kept, _disrupted(reason, now)]
        with suppress(NotFound):
            await self._client.patch(PODS, key, failed, subresource="status")
            self._kubelet.event(pod, type="Warning", reason="Evicted", message=reason)


def _no_execute(node: Object) -> list[Mapping[str, str]]:
    taints = node.get("spec", {}).get("taints") or ()
    return [each for each in taints if each["effect"] == NO_EXECUTE]


def _disrupted(reason: str, now: float) -> Object:
    return {
        "type": DISRUPTED,
        "status": "True",
        "reason": "TerminationByKubelet",
        "message": reason,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(now),
    }


def _ended(conditions: Iterable[Object], now: float) -> list[Object]:
    """The conditions of a pod whose containers are ended."""
    gone = {"status": "False", "reason": "PodFailed", "lastTransitionTime": rfc3339(now)}
    return [
        each | gone if each["type"] in ("Ready", "ContainersReady") else each for each in conditions
    ]


def _killed(pod: Object, now: float) -> list[Object]:
    statuses = pod["status"].get("containerStatuses") or ()
    made = []
    for each in statuses:
        started = (each.get("state", {}).get("running") or {}).get("startedAt") or rfc3339(now)
        ended = {
            "exitCode": 137,
            "reason": "Error",
            "startedAt": started,
            "finishedAt": rfc3339(now),
        }
        made.append(each | {"ready": False, "started": False, "state": {"terminated": ended}})
    return made
