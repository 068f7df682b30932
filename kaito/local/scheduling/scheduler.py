"""The scheduler: gives each waiting pod a Node, or says why it has none.

One worker, so that no two pods are given the same room. Changes pass through the picture on
their way to the queue: a pod that is woken is tried against what woke it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress

from kaito.local.kinds import PODS
from kaito.local.nodes.disruption import disrupt
from kaito.local.scheduling.fit import PodNeeds
from kaito.local.scheduling.picture import Picture
from kaito.local.scheduling.refusals import Outlook, unavailable
from kaito.runtime import (
    Call,
    Change,
    Client,
    Clock,
    Conflict,
    Controller,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
    find_condition,
    rfc3339,
    watch,
)

DEFAULT_SCHEDULER = "default-scheduler"


class Scheduler:
    """The reconciler of pods that wait for a Node."""

    def __init__(
        self,
        client: Client,
        pods: Informer[Object],
        nodes: Informer[Object],
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._client = client
        self._pods = pods
        self._nodes = nodes
        self._recorder = recorder
        self._clock = clock
        self._picture = Picture()

    def controller(self) -> Controller:
        """The controller to run."""
        return Controller(
            "scheduler",
            self.reconcile,
            primary=watch(self._pods, to=self._woken_by_pod),
            watches=[watch(self._nodes, to=self._woken_by_node)],
            workers=1,
        )

    async def reconcile(self, key: Key) -> None:
        pod = self._pods.store.get(key)
        if pod is None or not _waits(pod) or self._picture.placed(key):
            return
        needs = PodNeeds.of(pod)
        choice = self._picture.choose(needs)
        node = choice.node
        if not node:
            self._picture.wait(key, needs)
            outlook, nominated = await self._preempt(pod, needs)
            why = unavailable(choice.total, choice.refusals or {}, outlook)
            await self._refuse(key, pod, why, nominated)
            return
        self._picture.place(key, node, needs)
        try:
            await self._bind(key, pod, node)
        except NotFound:
            self._picture.release(key)
            return
        except Exception:
            self._picture.release(key)
            raise
        self._picture.stop_waiting(key)
        self._recorder.event(
            pod,
            reason="Scheduled",
            message=f"Successfully assigned {key} to {node}",
        )

    async def _bind(self, key: Key, pod: Object, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {
                "name": key.name,
                "namespace": key.namespace,
                "uid": pod["metadata"]["uid"],
            },
            "target": {"kind": "Node", "name": node},
        }
        await self._client.send(
            Call(
                method="POST",
                path=PODS.path(*key, "binding"),
                headers={"Content-Type": "application/json", "Accept": "application/json"},
                body=json.dumps(binding).encode(),
            )
        )

    async def _preempt(self, pod: Object, needs: PodNeeds) -> tuple[Outlook, str]:
        """Drive out pods of lower priority where that makes room; the Node where it does."""
        nominated: str = pod.get("status", {}).get("nominatedNodeName", "")
        if not needs.preempts:
            return Outlook.NEVER, nominated
        if nominated and self._picture.makes_room(nominated, needs):
            return Outlook.UNDER_WAY, nominated
        found = self._picture.preempt(needs)
        if found is None:
            return Outlook.NONE, ""
        for victim in found.victims:
            await self._drive_out(victim, pod, found.node)
        return Outlook.FOUND, found.node

    async def _drive_out(self, key: Key, preemptor: Object, node: str) -> None:
        victim = self._pods.store.get(key)
        if victim is None or victim["metadata"].get("deletionTimestamp"):
            return
        uid = victim["metadata"]["uid"]
        message = f"{DEFAULT_SCHEDULER}: preempting to accommodate a higher priority pod"
        with suppress(NotFound):
            await disrupt(self._client, victim, "PreemptionByScheduler", message, self._clock.now())
            await self._client.delete(PODS, key, uid=uid)
        self._recorder.event(
            victim,
            reason="Preempted",
            message=f"Preempted by pod {preemptor['metadata']['uid']} on node {node}",
            action="Preempting",
        )

    async def _refuse(self, key: Key, pod: Object, why: str, nominated: str) -> None:
        """Write down why the pod has no Node, once for each reason."""
        conditions = pod.get("status", {}).get("conditions", [])
        before = find_condition(conditions, "PodScheduled")
        if before is not None and before.get("message") == why:
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": why,
            "lastProbeTime": None,
            "lastTransitionTime": (before or {}).get("lastTransitionTime")
            or rfc3339(self._clock.now()),
        }
        others = [each for each in conditions if each["type"] != "PodScheduled"]
        patch = {
            "metadata": {"resourceVersion": pod["metadata"]["resourceVersion"]},
            "status": {"conditions": [*others, condition], "nominatedNodeName": nominated or None},
        }
        try:
            await self._client.patch(PODS, key, patch, subresource="status")
        except (NotFound, Conflict):
            # Somebody changed it: that change brings the pod here again.
            return
        self._recorder.event(pod, type="Warning", reason="FailedScheduling", message=why)

    def _woken_by_pod(self, change: Change) -> Iterable[Key]:
        """A pod that waits comes itself; one that leaves a Node wakes those who want its room."""
        before = self._picture.node_of(change.key)
        self._picture.pod_changed(change)
        if self._picture.placed(change.key):
            return self._picture.sociable()
        if before:
            return self._picture.hopeful(self._picture.labels_of(before))
        return (change.key,)

    def _woken_by_node(self, change: Change) -> Iterable[Key]:
        if not self._picture.node_changed(change):
            return ()
        return self._picture.hopeful(change.header.labels.items())


def _waits(pod: Object) -> bool:
    """Whether a pod waits for this scheduler."""
    spec = pod["spec"]
    return (
        not spec.get("nodeName")
        and not pod["metadata"].get("deletionTimestamp")
        and not spec.get("schedulingGates")
        and spec.get("schedulerName", DEFAULT_SCHEDULER) == DEFAULT_SCHEDULER
    )
