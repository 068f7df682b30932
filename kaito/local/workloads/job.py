"""Jobs: carries out what completion.py decides, and removes them when their time to live is up.

Pods carry a finalizer until they have been counted, as they do in a real cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kaito.local.kinds import JOBS, PODS
from kaito.local.profile import Profile
from kaito.local.workloads.completion import TRACKING, JobPlan, plan
from kaito.local.workloads.template import pod_from
from kaito.runtime import (
    Again,
    Change,
    Client,
    Clock,
    Conflict,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
    View,
    find_condition,
    parse_rfc3339,
)


def by_job(view: View) -> tuple[str, ...]:
    """Index: the pods of a Job by its key, so that they are found when the Job is gone."""
    return tuple(
        str(Key(view.key.namespace, owner.name))
        for owner in view.header.owners
        if owner.controller and owner.kind == "Job"
    )


def to_job(change: Change) -> Iterable[Key]:
    """Mapper: the Job of a pod."""
    return [
        Key(change.key.namespace, owner.name)
        for owner in change.header.owners
        if owner.controller and owner.kind == "Job"
    ]


@dataclass(frozen=True, slots=True)
class Jobs:
    """The reconciler. `pods` needs the index "job" (by_job)."""

    _client: Client
    _jobs: Informer[Object]
    _pods: Informer[Object]
    _recorder: EventRecorder
    _profile: Profile
    _clock: Clock

    async def reconcile(self, key: Key) -> Again | None:
        job = self._jobs.store.get(key)
        pods = [
            pod for pod in map(self._pods.store.get, self._pods.store.by("job", str(key))) if pod
        ]
        if job is None:
            for pod in pods:
                await self._release(Key.of(pod))
            return None
        uid = job["metadata"]["uid"]
        own = [pod for pod in pods if _owned_by(pod, uid)]
        now = self._clock.now()
        todo = plan(job, own, now, self._profile.restart_backoff)
        await self._carry_out(key, job, todo)
        expires = _expires_in(job, now)
        if expires is not None and expires <= 0:
            await self._client.delete(JOBS, key, uid=uid, propagation="Background")
            return None
        waits = [seconds for seconds in (todo.again, expires) if seconds is not None]
        return Again.after(min(waits)) if waits else None

    async def _carry_out(self, key: Key, job: Object, todo: JobPlan) -> None:
        before = job.get("status", {})
        if todo.status != before and not todo.create:
            # Counted first, released afterwards: a pod that is gone is not counted again.
            await self._client.update_status(JOBS, {**job, "status": todo.status})
            self._say_ended(job, before, todo.status)
        for name in todo.release:
            await self._release(Key(key.namespace, name))
        for name in todo.delete:
            await self._delete(Key(key.namespace, name))
        for _ in range(todo.create):
            pod = pod_from(job["spec"]["template"], job)
            pod["metadata"]["finalizers"] = [TRACKING]
            made = await self._client.create(PODS, pod)
            self._recorder.event(
                job,
                reason="SuccessfulCreate",
                message=f"Created pod: {made['metadata']['name']}",
            )

    async def _release(self, key: Key) -> None:
        header = self._pods.store.header(key)
        if header is None or TRACKING not in header.finalizers:
            return
        left = [name for name in header.finalizers if name != TRACKING]
        patch = {
            "metadata": {
                "resourceVersion": header.resource_version,
                "finalizers": left or None,
            }
        }
        try:
            await self._client.patch(PODS, key, patch)
        except NotFound:
            return

    async def _delete(self, key: Key) -> None:
        try:
            await self._client.delete(PODS, key)
        except (NotFound, Conflict):
            return

    def _say_ended(self, job: Object, before: Object, after: Object) -> None:
        if len(after.get("conditions") or ()) == len(before.get("conditions") or ()):
            return
        failed = find_condition(after["conditions"], "Failed")
        if failed is not None:
            self._recorder.event(
                job, type="Warning", reason=failed["reason"], message=failed["message"]
            )
        else:
            self._recorder.event(job, reason="Completed", message="Job completed")


def _owned_by(pod: Object, uid: str) -> bool:
    return any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())


def _expires_in(job: Object, now: float) -> float | None:
    """Seconds until a finished Job is removed, None when it stays or has not finished."""
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    conditions = job.get("status", {}).get("conditions") or ()
    ended = find_condition(conditions, "Complete") or find_condition(conditions, "Failed")
    if lifetime is None or ended is None:
        return None
    left: float = parse_rfc3339(ended["lastTransitionTime"]) + lifetime - now
    return left
