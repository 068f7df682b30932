"""ReplicaSets: so many pods of one template, no more and no fewer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from kaito.local.kinds import PODS, REPLICA_SETS
from kaito.local.workloads.claims import claimed, controller_of
from kaito.local.workloads.podview import (
    OVER,
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
    ApiError,
    Client,
    Clock,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
    find_condition,
    rfc3339,
)

REPLICA_FAILURE = "ReplicaFailure"
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
        "terminatingReplicas": sum(is_deleting(pod) and phase(pod) not in OVER for pod in pods),
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


def with_failure(status: Object, reason: str, message: str, now: float) -> Object:
    """The status that says why pods could not be made or removed; "" takes that back. The
    first reason stays until all is well."""
    conditions = status.get("conditions") or []
    found = find_condition(conditions, REPLICA_FAILURE)
    if bool(found) == bool(reason):
        return status
    others = [each for each in conditions if each is not found]
    if reason:
        others.append(
            {
                "type": REPLICA_FAILURE,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": rfc3339(now),
            }
        )
    bare = {name: value for name, value in status.items() if name != "conditions"}
    return bare | ({"conditions": others} if others else {})


async def slow_start(count: int, make: Callable[[], Awaitable[None]]) -> ApiError | None:
    """Call `make` so often, in batches that double; the first error ends it after its batch."""
    batch = 1
    while count > 0:
        batch = min(batch, count)
        done = await asyncio.gather(*(make() for _ in range(batch)), return_exceptions=True)
        for error in done:
            if isinstance(error, ApiError):
                return error
            if error is not None:
                raise error
        count -= batch
        batch *= 2
    return None


@dataclass(frozen=True, slots=True)
class ReplicaSets:
    """The reconciler. `pods` needs the indexes of claims.candidates."""

    _client: Client
    _replica_sets: Informer[Object]
    _pods: Informer[Object]
    _recorder: EventRecorder
    _clock: Clock

    async def reconcile(self, key: Key) -> Again | None:
        replica_set = self._replica_sets.store.get(key)
        if replica_set is None:
            return None
        pods = await claimed(self._client, self._pods, replica_set, _may_be_taken)
        now = self._clock.now()
        todo = plan(replica_set, pods, now)
        error = await slow_start(todo.create, lambda: self._create(replica_set))
        reason = "FailedCreate" if error is not None else ""
        for pod in todo.delete:
            try:
                await self._delete(replica_set, pod)
            except ApiError as refusal:
                error, reason = refusal, "FailedDelete"
                break
        message = error.status.message if error is not None else ""
        status = with_failure(todo.status, reason, message, now)
        # What was made or removed just now comes back as an event, and changes the status then.
        settled = (not todo.create and not todo.delete) or error is not None
        if settled and status != replica_set.get("status"):
            await self._write_status(replica_set, status)
        if error is not None:
            raise error
        return None if todo.again is None else Again.after(todo.again)

    async def _write_status(self, replica_set: Object, status: Object) -> None:
        try:
            await self._client.update_status(REPLICA_SETS, {**replica_set, "status": status})
        except NotFound:
            return

    async def _create(self, replica_set: Object) -> None:
        pod = pod_from(replica_set["spec"]["template"], replica_set)
        try:
            made = await self._client.create(PODS, pod)
        except ApiError as error:
            self._say_failed(replica_set, "FailedCreate", f"Error creating: {error.status.message}")
            raise
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
        except ApiError as error:
            self._say_failed(replica_set, "FailedDelete", f"Error deleting: {error.status.message}")
            raise
        self._recorder.event(
            replica_set, reason="SuccessfulDelete", message=f"Deleted pod: {pod.name}"
        )

    def _say_failed(self, replica_set: Object, reason: str, message: str) -> None:
        self._recorder.event(replica_set, type="Warning", reason=reason, message=message)


def _may_be_taken(pod: Object) -> bool:
    """Pods that are over are not adopted."""
    return controller_of(pod) is not None or phase(pod) not in OVER
