"""Jobs: carries out what completion.py decides, and removes them when their time to live is up.

Pods carry a finalizer until they have been counted, as they do in a real cluster. Jobs that
`spec.managedBy` gives to another controller are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from kaito.local.kinds import JOBS, PODS
from kaito.local.profile import Profile
from kaito.local.workloads.claims import claimed, controller_of
from kaito.local.workloads.completion import TRACKING, JobPlan, Start, is_over, plan
from kaito.local.workloads.completions import INDEX
from kaito.local.workloads.failures import FAILURES, IGNORED
from kaito.local.workloads.replicaset import slow_start
from kaito.local.workloads.template import pod_from
from kaito.runtime import (
    Again,
    ApiError,
    Change,
    Client,
    Clock,
    Conflict,
    EventRecorder,
    Header,
    Informer,
    Key,
    NotFound,
    Object,
    View,
    find_condition,
    parse_rfc3339,
)

OURSELVES = "kubernetes.io/job-controller"
NAME_LABEL = "batch.kubernetes.io/job-name"
INDEX_VARIABLE = "JOB_COMPLETION_INDEX"


def by_job(view: View) -> tuple[str, ...]:
    """Index: the pods of a Job by its key, so that they are found when the Job is gone."""
    return tuple(str(Key(view.key.namespace, name)) for name in _job_names(view.header))


def to_job(change: Change) -> Iterable[Key]:
    """Mapper: the Job of a pod."""
    return [Key(change.key.namespace, name) for name in _job_names(change.header)]


def _job_names(header: Header) -> tuple[str, ...]:
    owners = tuple(owner for owner in header.owners if owner.controller)
    if owners:
        return tuple(owner.name for owner in owners if owner.kind == "Job")
    # Nobody's any more, and held by the finalizer of the Job that it was made for.
    name = header.labels.get(NAME_LABEL, "")
    return (name,) if name and TRACKING in header.finalizers else ()


@dataclass(frozen=True, slots=True)
class Jobs:
    """The reconciler. `pods` needs the index "job" (by_job) and those of claims.candidates."""

    _client: Client
    _jobs: Informer[Object]
    _pods: Informer[Object]
    _recorder: EventRecorder
    _profile: Profile
    _clock: Clock

    async def reconcile(self, key: Key) -> Again | None:
        job = self._jobs.store.get(key)
        uid = job["metadata"]["uid"] if job is not None else ""
        known = map(self._pods.store.get, self._pods.store.by("job", str(key)))
        for pod in known:
            owner = controller_of(pod) if pod is not None else None
            if pod is not None and (owner is None or owner["uid"] != uid):
                await self._release(Key.of(pod))
        if job is None or job["spec"].get("managedBy", OURSELVES) != OURSELVES:
            return None
        pods = await claimed(self._client, self._pods, job, finalizers=(TRACKING,))
        now = self._clock.now()
        todo = plan(job, pods, now, self._profile.restart_backoff)
        await self._carry_out(key, job, todo)
        expires = _expires_in(job, now)
        if expires is not None and expires <= 0:
            await self._client.delete(JOBS, key, uid=uid, propagation="Background")
            return None
        waits = [seconds for seconds in (todo.again, expires) if seconds is not None]
        return Again.after(min(waits)) if waits else None

    async def _carry_out(self, key: Key, job: Object, todo: JobPlan) -> None:
        before = job.get("status", {})
        if todo.status != before:
            # Counted first, released afterwards: a pod that is gone is not counted again.
            await self._client.update_status(JOBS, {**job, "status": todo.status})
            self._say_what_changed(job, before, todo.status)
        for name in todo.release:
            await self._release(Key(key.namespace, name))
        for name in todo.delete:
            await self._delete(job, Key(key.namespace, name))
        starts = iter(todo.create)
        error = await slow_start(len(todo.create), lambda: self._create(job, next(starts)))
        if error is not None:
            raise error

    async def _create(self, job: Object, start: Start) -> None:
        try:
            made = await self._client.create(PODS, _pod(job, start))
        except ApiError as error:
            message = f"Error creating: {error.status.message}"
            self._recorder.event(job, type="Warning", reason="FailedCreate", message=message)
            raise
        message = f"Created pod: {made['metadata']['name']}"
        self._recorder.event(job, reason="SuccessfulCreate", message=message)

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

    async def _delete(self, job: Object, key: Key) -> None:
        try:
            await self._client.delete(PODS, key)
        except (NotFound, Conflict):
            return
        message = f"Deleted pod: {key.name}"
        self._recorder.event(job, reason="SuccessfulDelete", message=message)

    def _say_what_changed(self, job: Object, before: Object, after: Object) -> None:
        known = {(each["type"], each["status"]) for each in before.get("conditions") or ()}
        for each in after.get("conditions") or ():
            if (each["type"], each["status"]) in known:
                continue
            match each["type"]:
                case "Suspended":
                    word = "Suspended" if each["status"] == "True" else "Resumed"
                    self._recorder.event(job, reason=word, message=each["message"])
                case "Failed":
                    reason, message = each["reason"], each["message"]
                    self._recorder.event(job, type="Warning", reason=reason, message=message)
                case "Complete":
                    self._recorder.event(job, reason="Completed", message="Job completed")


def _pod(job: Object, start: Start) -> Object:
    pod = pod_from(job["spec"]["template"], job)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["finalizers"] = [*metadata.get("finalizers", ()), TRACKING]
    if start.index is None:
        return pod
    number, name = str(start.index), job["metadata"]["name"]
    notes = metadata.setdefault("annotations", {}) | {INDEX: number}
    if start.failures is not None:
        notes |= {FAILURES: str(start.failures)}
        notes |= {IGNORED: str(start.ignored)} if start.ignored else {}
    metadata["annotations"] = notes
    metadata["labels"] = metadata.get("labels", {}) | {INDEX: number}
    metadata["generateName"] = f"{name}-{number}-"
    spec["hostname"] = f"{name}-{number}"
    path = f"metadata.labels['{INDEX}']"
    variable = {"name": INDEX_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": path}}}
    for container in chain(spec.get("initContainers") or (), spec["containers"]):
        given = container.get("env") or []
        if all(each["name"] != INDEX_VARIABLE for each in given):
            container["env"] = [*given, variable]
    return pod


def _expires_in(job: Object, now: float) -> float | None:
    """Seconds until a finished Job is removed, None when it stays or has not finished."""
    lifetime = job["spec"].get("ttlSecondsAfterFinished")
    if lifetime is None or not is_over(job):
        return None
    conditions = job["status"]["conditions"]
    ended = find_condition(conditions, "Complete") or find_condition(conditions, "Failed")
    assert ended is not None
    left: float = parse_rfc3339(ended["lastTransitionTime"]) + lifetime - now
    return left
