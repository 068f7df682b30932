"""When a Job starts pods, and when it is over: pure decisions.

Indexed completion, pod failure policies and success policies are not known here: such a Job is
run like a plain one. Ended pods are counted as long as they are there, not beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaito.local.workloads.podview import is_active, is_deleting, is_ready, phase
from kaito.runtime import Object, is_true, parse_rfc3339, rfc3339

TRACKING = "batch.kubernetes.io/job-tracking"
_RAN_OUT = "Job has reached the specified backoff limit"
_TOO_LATE = "Job was active longer than specified deadline"
_ENOUGH = "Reached expected number of succeeded pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What to do about a Job."""

    create: int = 0
    delete: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    """Ended pods that have been counted and need the Job's finalizer no more."""
    status: Object
    again: float | None = None


def plan(job: Object, pods: Sequence[Object], now: float, backoff: float) -> JobPlan:
    """The pods to make or remove and the status to show; `backoff` is the pause after the first
    failure in seconds, doubled by each further one."""
    spec, before = job["spec"], job.get("status", {})
    conditions = list(before.get("conditions") or [])
    active = [pod for pod in pods if is_active(pod)]
    # What was counted stays counted when somebody removes the pod.
    succeeded = max(sum(phase(pod) == "Succeeded" for pod in pods), before.get("succeeded", 0))
    failed = max(sum(map(_lost, pods)), before.get("failed", 0))
    release = tuple(_name(pod) for pod in pods if _tracked(pod) and not is_active(pod))
    over = is_true(conditions, "Complete") or is_true(conditions, "Failed")
    status: Object = {
        **{
            name: value for name, value in before.items() if name in ("startTime", "completionTime")
        },
        "terminating": sum(is_deleting(pod) and phase(pod) not in _OVER for pod in pods),
        "uncountedTerminatedPods": {},
    }
    if over:
        kept = {name: before[name] for name in ("succeeded", "failed") if name in before}
        status |= {**kept, "ready": 0, "conditions": conditions}
        return JobPlan(delete=_names(active), release=release, status=status)
    counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
    status |= {name: count for name, count in counts.items() if count}
    status["ready"] = sum(map(is_ready, active))
    if spec.get("suspend"):
        return JobPlan(delete=_names(active), release=release, status=status)
    status.setdefault("startTime", rfc3339(now))
    completions = spec.get("completions")
    parallelism = spec.get("parallelism", 1)
    reason, left = _verdict(job, succeeded, failed, active, now, status["startTime"])
    if reason:
        status["conditions"] = _ended(conditions, reason, now)
        status.pop("active", None)
        status["ready"] = 0
        if reason == "CompletionsReached":
            status["completionTime"] = rfc3339(now)
        return JobPlan(delete=_names(active), release=release, status=status)
    if conditions:
        status["conditions"] = conditions
    room = parallelism if completions is None else min(parallelism, completions - succeeded)
    if completions is None and succeeded:
        # A work queue: once one pod has succeeded, no more are started.
        room = len(active)
    if job["metadata"].get("deletionTimestamp"):
        room = len(active)
    missing = max(0, room - len(active))
    pause = _pause(pods, failed, now, backoff) if missing else 0.0
    waits = [seconds for seconds in (left, pause or None) if seconds is not None]
    return JobPlan(
        create=0 if pause else missing,
        delete=_names(active[room:]),
        release=release,
        status=status,
        again=min(waits) if waits else None,
    )


_OVER = ("Succeeded", "Failed")


def _verdict(
    job: Object, succeeded: int, failed: int, active: Sequence[Object], now: float, start: str
) -> tuple[str, float | None]:
    """The reason why the Job is over ("" while it is not), and seconds until it is too late."""
    spec = job["spec"]
    completions = spec.get("completions")
    # Without a number of completions pods share a queue: one success ends it for all.
    enough = succeeded >= (completions if completions is not None else 1)
    if enough and (completions is not None or not active):
        return "CompletionsReached", None
    if failed + _restarts(active, spec) > spec.get("backoffLimit", 6):
        return "BackoffLimitExceeded", None
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is None:
        return "", None
    left = parse_rfc3339(start) + deadline - now
    return ("DeadlineExceeded", None) if left <= 0 else ("", left)


def _restarts(active: Sequence[Object], spec: Object) -> int:
    """Failures of containers that are restarted in their pod count, too."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return 0
    return sum(
        status.get("restartCount", 0)
        for pod in active
        for status in pod.get("status", {}).get("containerStatuses") or ()
    )


def _ended(conditions: list[Object], reason: str, now: float) -> list[Object]:
    """The two conditions of a Job that is over: what was decided, then that it is done."""
    good = reason == "CompletionsReached"
    message = {
        "CompletionsReached": _ENOUGH,
        "BackoffLimitExceeded": _RAN_OUT,
        "DeadlineExceeded": _TOO_LATE,
    }[reason]
    types = ("SuccessCriteriaMet", "Complete") if good else ("FailureTarget", "Failed")
    return conditions + [
        {
            "type": type_,
            "status": "True",
            "reason": reason,
            "message": message,
            "lastProbeTime": rfc3339(now),
            "lastTransitionTime": rfc3339(now),
        }
        for type_ in types
    ]


def _pause(pods: Sequence[Object], failed: int, now: float, backoff: float) -> float:
    """Seconds to wait before a failed pod is replaced."""
    ends = [
        parse_rfc3339(state["finishedAt"])
        for pod in pods
        if _lost(pod)
        for each in pod.get("status", {}).get("containerStatuses") or ()
        if (state := each.get("state", {}).get("terminated")) and state.get("finishedAt")
    ]
    if not failed or not ends:
        return 0.0
    due: float = max(ends) + backoff * 2 ** min(failed - 1, 30)
    return max(0.0, due - now)


def _lost(pod: Object) -> bool:
    """Whether a pod counts as a failure: it failed, or was removed before it succeeded."""
    return phase(pod) == "Failed" or (is_deleting(pod) and phase(pod) != "Succeeded")


def _tracked(pod: Object) -> bool:
    return TRACKING in (pod["metadata"].get("finalizers") or ())


def _names(pods: Sequence[Object]) -> tuple[str, ...]:
    return tuple(map(_name, pods))


def _name(pod: Object) -> str:
    name: str = pod["metadata"]["name"]
    return name
