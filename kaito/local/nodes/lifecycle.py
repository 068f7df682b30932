"""A simulated Node becomes Ready a moment after it registered, and its GPUs appear after that.

Only Nodes that carry the `local.kaito.sh/simulated` annotation are touched. Nothing heartbeats:
a simulated Node that is Ready stays so.
"""

from __future__ import annotations

from dataclasses import dataclass

from kaito.local.azure.faults import FAULT_LABEL, FaultKind
from kaito.local.kinds import NODES
from kaito.local.nodes.shape import (
    GPUS,
    NOT_READY_TAINT,
    SIMULATED,
    node_condition,
)
from kaito.local.profile import Profile
from kaito.runtime import Again, Client, Clock, Informer, Key, Object, is_true


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStep:
    """What to write now (a merge patch of the status, the new taints), and when to look again."""

    status: Object | None = None
    taints: list[Object] | None = None
    again: float | None = None


def next_step(node: Object, age: float, now: float, profile: Profile) -> NodeStep:
    """What a Node needs that has been here for `age` seconds."""
    metadata, status = node["metadata"], node.get("status", {})
    annotations = metadata.get("annotations") or {}
    fault = (metadata.get("labels") or {}).get(FAULT_LABEL, "")
    if SIMULATED not in annotations or fault == FaultKind.NEVER_READY:
        return NodeStep()
    if age < profile.node_ready:
        return NodeStep(again=profile.node_ready - age)
    patch: Object = {}
    conditions = status.get("conditions", [])
    if not is_true(conditions, "Ready"):
        ready = node_condition(
            "Ready", "True", "KubeletReady", "simulated: no kubelet runs here", now
        )
        patch["conditions"] = [c for c in conditions if c["type"] != "Ready"] + [ready]
    resource, _, gpus = annotations.get(GPUS, "").partition("=")
    gpu_due = profile.node_ready + profile.gpu_ready
    missing = bool(resource) and resource not in (status.get("capacity") or {})
    missing = missing and fault != FaultKind.NO_GPU
    if missing and age >= gpu_due:
        patch |= {"capacity": {resource: gpus}, "allocatable": {resource: gpus}}
    taints = node.get("spec", {}).get("taints") or []
    left = [taint for taint in taints if taint["key"] != NOT_READY_TAINT]
    waits = missing and age < gpu_due
    return NodeStep(
        status=patch or None,
        taints=left if left != taints else None,
        again=gpu_due - age if waits else None,
    )


class NodeLifecycle:
    """The reconciler; its workers may be many."""

    def __init__(
        self, client: Client, nodes: Informer[Object], profile: Profile, clock: Clock
    ) -> None:
        self._client = client
        self._nodes = nodes.store
        self._profile = profile
        self._clock = clock
        self._since: dict[str, float] = {}

    async def reconcile(self, key: Key) -> Again | None:
        node = self._nodes.get(key)
        if node is None:
            self._forget()
            return None
        uid = node["metadata"]["uid"]
        since = self._since.setdefault(uid, self._clock.monotonic())
        age = self._clock.monotonic() - since
        step = next_step(node, age, self._clock.now(), self._profile)
        if step.status is not None:
            await self._client.patch(NODES, key, {"status": step.status}, subresource="status")
        if step.taints is not None:
            # The list is replaced whole, so somebody else's taint must not get lost in between.
            fresh = await self._client.get(NODES, key)
            await self._client.patch(NODES, key, _without_taint(fresh))
        return None if step.again is None else Again.after(step.again)

    def _forget(self) -> None:
        # Far more entries than Nodes: some have gone.
        if len(self._since) > 2 * len(self._nodes) + 100:
            headers = map(self._nodes.header, self._nodes.keys())
            alive = {header.uid for header in headers if header is not None}
            self._since = {uid: at for uid, at in self._since.items() if uid in alive}


def _without_taint(node: Object) -> Object:
    taints = node["spec"].get("taints") or []
    return {
        "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
        "spec": {"taints": [taint for taint in taints if taint["key"] != NOT_READY_TAINT]},
    }
