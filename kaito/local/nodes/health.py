"""Carries out what lifecycle.py decides of a Node, and tells its pods when it fails."""

from __future__ import annotations

from kaito.local.kinds import NODES, PODS
from kaito.local.nodes.lifecycle import NodeStep, next_step
from kaito.local.profile import Profile
from kaito.local.rehearsal import asked_of_node
from kaito.runtime import (
    Again,
    Client,
    Clock,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
    find_condition,
    is_true,
    rfc3339,
)


class NodeHealth:
    """The reconciler of Nodes. `pods` needs the index "node"."""

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
        self._since: dict[str, float] = {}
        self._asked: dict[str, tuple[str, float]] = {}

    async def reconcile(self, key: Key) -> Again | None:
        node = self._nodes.get(key)
        if node is None:
            self._forget()
            return None
        uid, monotonic = node["metadata"]["uid"], self._clock.monotonic()
        if uid not in self._since:
            self._register(node, uid, monotonic)
        fault = asked_of_node(node) or ""
        if self._asked.get(uid, ("", 0.0))[0] != fault:
            self._asked[uid] = fault, monotonic
        asked_for = monotonic - self._asked.get(uid, ("", monotonic))[1]
        age = monotonic - self._since[uid]
        step = next_step(node, age, self._clock.now(), self._profile, asked_for)
        await self._carry_out(key, node, step)
        return None if step.again is None else Again.after(step.again)

    def _register(self, node: Object, uid: str, monotonic: float) -> None:
        self._since[uid] = monotonic
        ready = find_condition(node.get("status", {}).get("conditions", ()), "Ready")
        if ready is not None and ready["status"] == "True":
            # Of an earlier run of this cluster.
            return
        name = node["metadata"]["name"]
        told = f"Node {name} event: Registered Node {name} in Controller"
        self._controller.event(node, reason="RegisteredNode", message=told)

    async def _carry_out(self, key: Key, node: Object, step: NodeStep) -> None:
        if step.status is not None:
            await self._client.patch(NODES, key, {"status": step.status}, subresource="status")
        if step.taints is not None:
            # The list is replaced whole, so somebody else's taint must not get lost in between.
            fresh = await self._client.get(NODES, key)
            if (fresh["spec"].get("taints") or []) == (node["spec"].get("taints") or []):
                version = fresh["metadata"]["resourceVersion"]
                patch = {"resourceVersion": version}
                taints = {"taints": step.taints or None}
                await self._client.patch(NODES, key, {"metadata": patch, "spec": taints})
        name = node["metadata"]["name"]
        for turn in step.turns:
            recorder = self._controller if turn == "NodeNotReady" else self._kubelet
            message = f"Node {name} status is now: {turn}"
            recorder.event(node, reason=turn, message=message)
            if turn == "NodeNotReady":
                await self._mark_pods(name)

    async def _mark_pods(self, node: str) -> None:
        """Pods of a Node that failed are ready no more: nothing is sent to them."""
        for key in self._pods.by("node", node):
            pod = self._pods.get(key)
            conditions = pod.get("status", {}).get("conditions") or [] if pod is not None else []
            if pod is None or not is_true(conditions, "Ready"):
                continue
            now = rfc3339(self._clock.now())
            told = [
                each | {"status": "False", "lastTransitionTime": now}
                if each["type"] == "Ready"
                else each
                for each in conditions
            ]
            patch = {"metadata": {"uid": pod["metadata"]["uid"]}, "status": {"conditions": told}}
            try:
                await self._client.patch(PODS, key, patch, subresource="status")
            except NotFound:
                continue
            self._controller.event(
                pod, type="Warning", reason="NodeNotReady", message="Node is not ready"
            )

    def _forget(self) -> None:
        # Far more entries than Nodes: some have gone.
        if len(self._since) > 2 * len(self._nodes) + 100:
            headers = map(self._nodes.header, self._nodes.keys())
            alive = {header.uid for header in headers if header is not None}
            self._since = {uid: at for uid, at in self._since.items() if uid in alive}
            self._asked = {uid: at for uid, at in self._asked.items() if uid in alive}
