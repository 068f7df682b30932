"""ReplicaSets: so many pods of one template, no more and no fewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaito.local.kinds import PODS, REPLICA_SETS
from kaito.local.workloads.podview import (
    available_in,
    deletion_rank,
    is_active,
    is_deleting,
    is_ready,
    phase,
)
from kaito.local.workloads.template import pod_from, without_zeros
from kaito.runtime import (
    Again,
    Client,
    Clock,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
)

# client-go's burst for one set; the rest follows in the next round.
BURST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSetPlan:
    """What to do about a ReplicaSet."""

    create: int = 0
    delete: tuple[Key, ...] = ()
    status: Object
    again: float | None = None


def plan(replica_set: Object, pods: Sequence[Object], now: float) -> ReplicaSetPlan:
    """The pods to make or remove and the status to show, from all pods that the set controls."""
    metadata, spec = replica_set["metadata"], replica_set["spec"]
    active = [pod for pod in pods if is_active(pod)]
    wanted = spec.get("replicas", 1)
    surplus = len(active) - wanted
    template_labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    waits = [available_in(pod, spec.get("minReadySeconds", 0), now) for pod in active]
    later = [seconds for seconds in waits if seconds]
    status = without_zeros(
        {
            "fullyLabeledReplicas": sum(
                template_labels.items() <= (pod["metadata"].get("labels") or {}).items()
                for pod in active
            ),
            "readyReplicas": sum(map(is_ready, active)),
            "availableReplicas": sum(seconds == 0 for seconds in waits),
            "observedGeneration": metadata.get("generation"),
            "conditions": replica_set.get("status", {}).get("conditions"),
        }
    ) | {
        "replicas": len(active),
        "terminatingReplicas": sum(
            is_deleting(pod) and phase(pod) not in ("Succeeded", "Failed") for pod in pods
        ),
    }
    deleting = bool(metadata.get("deletionTimestamp"))
    return ReplicaSetPlan(
        create=0 if deleting else min(BURST, max(0, -surplus)),
        delete=tuple(Key.of(pod) for pod in sorted(active, key=deletion_rank)[: max(0, surplus)])
        if not deleting
        else (),
        status=status,
        again=min(later) if later else None,
    )


@dataclass(frozen=True, slots=True)
class ReplicaSets:
    """The reconciler. `pods` needs the index "controller" (template.by_controller)."""

    _client: Client
    _replica_sets: Informer[Object]
    _pods: Informer[Object]
    _recorder: EventRecorder
    _clock: Clock

    async def reconcile(self, key: Key) -> Again | None:
        replica_set = self._replica_sets.store.get(key)
        if replica_set is None:
            return None
        keys = self._pods.store.by("controller", replica_set["metadata"]["uid"])
        pods = [pod for pod in map(self._pods.store.get, keys) if pod is not None]
        todo = plan(replica_set, pods, self._clock.now())
        for _ in range(todo.create):
            await self._create(replica_set)
        for pod in todo.delete:
            await self._delete(replica_set, pod)
        # What was made or removed just now comes back as an event, and changes the status then.
        settled = not todo.create and not todo.delete
        if settled and todo.status != replica_set.get("status"):
            await self._client.update_status(REPLICA_SETS, {**replica_set, "status": todo.status})
        return None if todo.again is None else Again.after(todo.again)

    async def _create(self, replica_set: Object) -> None:
        pod = pod_from(replica_set["spec"]["template"], replica_set)
        made = await self._client.create(PODS, pod)
        self._recorder.event(
            replica_set,
            reason="SuccessfulCreate",
            message=f"Created pod: {made['metadata']['name']}",
        )

    async def _delete(self, replica_set: Object, pod: Key) -> None:
        header = self._pods.store.header(pod)
        if header is None:
            return
        try:
            await self._client.delete(PODS, pod, uid=header.uid)
        except NotFound:
            return
        self._recorder.event(
            replica_set, reason="SuccessfulDelete", message=f"Deleted pod: {pod.name}"
        )
