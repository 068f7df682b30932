"""What the failure of a Job's pod means: by its policy, for its index, and until the next. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaito.local.digits import whole
from kaito.local.workloads.podview import is_deleting, phase
from kaito.runtime import Object, find_condition, parse_rfc3339

FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"
LONGEST_PAUSE = 600.0  # the real controller's, between a failure and the next try


@dataclass(frozen=True, slots=True)
class Meaning:
    """`counts`: towards the limits. `job`: why the whole Job fails, "" when it does not.
    `index`: whether the pod's index is given up."""

    counts: bool = True
    job: str = ""
    index: bool = False


def has_failed(pod: Object, job: Object) -> bool:
    """Whether a pod counts as a failure: it failed, or was removed before it succeeded. A Job
    that replaces failed pods alone waits until a removed one has ended."""
    if phase(pod) == "Failed":
        return True
    waits = job["spec"].get("podReplacementPolicy") == "Failed"
    return not waits and is_deleting(pod) and phase(pod) != "Succeeded"


def meaning(job: Object, pod: Object) -> Meaning:
    """What the Job's policy says of this failed pod; the first rule that matches decides."""
    rules = (job["spec"].get("podFailurePolicy") or {}).get("rules") or ()
    for number, rule in enumerate(rules):
        found = _matches(rule, pod)
        if not found:
            continue
        match rule["action"]:
            case "Ignore":
                return Meaning(counts=False)
            case "FailIndex":
                return Meaning(index=True)
            case "FailJob":
                return Meaning(job=f"{found} matching FailJob rule at index {number}")
            case _:
                return Meaning()
    return Meaning()


def failures_of_index(job: Object, pods: Sequence[Object]) -> tuple[int, int]:
    """(counted, ignored) failures of an index so far, from its pods: each carries the counts of
    those before it."""
    counted = ignored = 0
    for pod in pods:
        before, skipped = _noted(pod, FAILURES), _noted(pod, IGNORED)
        if has_failed(pod, job):
            counts = meaning(job, pod).counts
            before, skipped = before + counts, skipped + (not counts)
        counted, ignored = max(counted, before), max(ignored, skipped)
    return counted, ignored


def index_is_lost(job: Object, pods: Sequence[Object]) -> bool:
    """Whether an index has failed for good, by its limit or by the policy."""
    failed = [pod for pod in pods if has_failed(pod, job)]
    if any(meaning(job, pod).index for pod in failed):
        return True
    counted, _ = failures_of_index(job, failed)
    limit: int = job["spec"]["backoffLimitPerIndex"]
    return counted > limit


def pause_before_next(job: Object, pods: Sequence[Object], now: float, backoff: float) -> float:
    """Seconds to wait before failed pods are replaced: longer with each since a success."""
    ends = sorted(
        (_ended_at(pod, now), phase(pod) == "Succeeded")
        for pod in pods
        if phase(pod) == "Succeeded" or has_failed(pod, job)
    )
    failures = 0
    for _, good in ends:
        failures = 0 if good else failures + 1
    if not failures:
        return 0.0
    wait: float = min(backoff * 2 ** min(failures - 1, 30), max(backoff, LONGEST_PAUSE))
    return max(0.0, ends[-1][0] + wait - now)


def _ended_at(pod: Object, now: float) -> float:
    """When the last of its containers ended; where one of them has no end, since when it has not
    been ready; else when it was deleted."""
    status, metadata = pod.get("status", {}), pod["metadata"]
    states = [each.get("state") or {} for each in status.get("containerStatuses") or ()]
    ends = [str((state.get("terminated") or {}).get("finishedAt") or "") for state in states]
    if ends and all(ends):
        return max(map(parse_rfc3339, ends))
    ready = find_condition(status.get("conditions") or (), "Ready")
    if ready is not None and ready["status"] == "False" and ready.get("lastTransitionTime"):
        return parse_rfc3339(ready["lastTransitionTime"])
    deleted = metadata.get("deletionTimestamp")
    if deleted:
        return parse_rfc3339(deleted) - (metadata.get("deletionGracePeriodSeconds") or 0)
    return now


def _matches(rule: Mapping[str, Any], pod: Object) -> str:
    """What a rule found, in words; "" when it does not match."""
    status = pod.get("status", {})
    where = f"{pod['metadata'].get('namespace', '')}/{pod['metadata']['name']}"
    wanted = rule.get("onExitCodes")
    if wanted is not None:
        for each in (
            *(status.get("containerStatuses") or ()),
            *(status.get("initContainerStatuses") or ()),
        ):
            code = ((each.get("state") or {}).get("terminated") or {}).get("exitCode", 0)
            named = wanted.get("containerName") in (None, each["name"])
            if code and named and (code in wanted["values"]) == (wanted["operator"] == "In"):
                return f"Container {each['name']} for pod {where} failed with exit code {code}"
        return ""
    patterns = {
        (pattern["type"], pattern.get("status", "True"))
        for pattern in rule.get("onPodConditions") or ()
    }
    for condition in status.get("conditions") or ():
        if (condition["type"], condition["status"]) in patterns:
            return f"Pod {where} has condition {condition['type']}"
    return ""


def _noted(pod: Object, name: str) -> int:
    text = (pod["metadata"].get("annotations") or {}).get(name, "")
    return whole(text) or 0
