"""What a Deployment's status says about its rollout. Pure."""

from __future__ import annotations

from typing import Any

from kaito.local.workloads.replicaset import REPLICA_FAILURE
from kaito.local.workloads.scaling import Sets, count, is_complete, limits
from kaito.local.workloads.template import without_zeros
from kaito.runtime import Object, find_condition, parse_rfc3339, rfc3339

AVAILABLE = "Available"
PROGRESSING = "Progressing"
# Reasons of the latter.
DONE, PAUSED, TIMED_OUT = "NewReplicaSetAvailable", "DeploymentPaused", "ProgressDeadlineExceeded"


def deployment_status(deployment: Object, sets: Sets, now: float) -> Object:
    """The status that follows from the ReplicaSets, compared with the one shown before."""
    spec, before = deployment["spec"], deployment.get("status", {})
    wanted = sum(each["spec"]["replicas"] for each in sets.all)
    available = count(sets.all, "availableReplicas")
    counts = {
        "replicas": count(sets.all, "replicas"),
        "updatedReplicas": count([sets.new], "replicas") if sets.new else 0,
        "readyReplicas": count(sets.all, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
        "collisionCount": before.get("collisionCount", 0),
        "observedGeneration": deployment["metadata"].get("generation"),
    }
    conditions = _with_pause(deployment, list(before.get("conditions", [])), now)
    _, unavailable = limits(deployment)
    if available >= spec["replicas"] - unavailable:
        said = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        said = (
            "False",
            "MinimumReplicasUnavailable",
            "Deployment does not have minimum availability.",
        )
    conditions = _set(conditions, AVAILABLE, *said, now)
    conditions = _with_progress(deployment, sets, counts, conditions, now)
    if not spec.get("paused"):
        conditions = _with_failure(sets, conditions, now)
    return without_zeros(counts) | {
        "terminatingReplicas": count(sets.all, "terminatingReplicas"),
        "conditions": conditions,
    }


def deadline_in(deployment: Object, status: Object, now: float) -> float | None:
    """Seconds until the rollout counts as stuck; None when it is over or never does."""
    limit = deployment["spec"].get("progressDeadlineSeconds")
    condition = find_condition(status.get("conditions", ()), PROGRESSING)
    if limit is None or condition is None or deployment["spec"].get("paused"):
        return None
    if condition["reason"] in (DONE, TIMED_OUT):
        return None
    left: float = parse_rfc3339(condition["lastUpdateTime"]) + limit - now
    # A second more than the limit: times are written in whole seconds.
    return max(0.0, left) + 1


def _with_pause(deployment: Object, conditions: list[Object], now: float) -> list[Object]:
    """Says when a rollout is paused and when it goes on; without a deadline nothing is said."""
    spec, current = deployment["spec"], find_condition(conditions, PROGRESSING)
    reason = current["reason"] if current else ""
    if spec.get("progressDeadlineSeconds") is None:
        return [each for each in conditions if each is not current]
    if spec.get("paused") and reason != TIMED_OUT:
        said = ("Unknown", PAUSED, "Deployment is paused")
        return _set(conditions, PROGRESSING, *said, now)
    if not spec.get("paused") and reason == PAUSED:
        said = ("Unknown", "DeploymentResumed", "Deployment is resumed")
        return _set(conditions, PROGRESSING, *said, now)
    return conditions


def _with_progress(
    deployment: Object, sets: Sets, counts: dict[str, Any], conditions: list[Object], now: float
) -> list[Object]:
    spec = deployment["spec"]
    limit = spec.get("progressDeadlineSeconds")
    if limit is None or spec.get("paused") or sets.new is None:
        return conditions
    name = sets.new["metadata"]["name"]
    current = find_condition(conditions, PROGRESSING)
    if current is None or (current["reason"] == DONE and f'"{name}"' not in current["message"]):
        said = ("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
        conditions = _set(conditions, PROGRESSING, *said, now, update=True)
        current = conditions[-1]
    if current["reason"] == DONE and counts["replicas"] == counts["updatedReplicas"]:
        # A finished rollout stays finished, however often its pods come and go.
        return conditions
    if is_complete(deployment, sets):
        said = ("True", DONE, f'ReplicaSet "{name}" has successfully progressed.')
        return _set(conditions, PROGRESSING, *said, now)
    if _moved(deployment.get("status", {}), counts):
        said = ("True", "ReplicaSetUpdated", f'ReplicaSet "{name}" is progressing.')
        return _set(conditions, PROGRESSING, *said, now, update=True)
    late = now - parse_rfc3339(current["lastUpdateTime"]) > limit
    if late and current["reason"] != DONE:
        said = ("False", TIMED_OUT, f'ReplicaSet "{name}" has timed out progressing.')
        return _set(conditions, PROGRESSING, *said, now)
    return conditions


def _with_failure(sets: Sets, conditions: list[Object], now: float) -> list[Object]:
    """Passes on why a set cannot make or remove pods, of the new one first."""
    told = ([sets.new] if sets.new is not None else []) + list(sets.old)
    found = (
        find_condition(each.get("status", {}).get("conditions", ()), REPLICA_FAILURE)
        for each in told
    )
    failure = next((each for each in found if each is not None), None)
    if failure is None:
        return [each for each in conditions if each["type"] != REPLICA_FAILURE]
    said = (failure["status"], failure["reason"], failure.get("message", ""))
    return _set(conditions, REPLICA_FAILURE, *said, now)


def _moved(before: Object, counts: dict[str, Any]) -> bool:
    """Whether more pods are new, ready or available than before, or fewer are old."""

    def old(status: Any) -> int:
        number: int = status.get("replicas", 0) - status.get("updatedReplicas", 0)
        return number

    return old(counts) < old(before) or any(
        counts[name] > before.get(name, 0)
        for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _set(
    conditions: list[Object],
    type_: str,
    status: str,
    reason: str,
    message: str,
    now: float,
    *,
    update: bool = False,
) -> list[Object]:
    """The conditions with this one set. lastUpdateTime moves when something in it changed or
    `update` says so, lastTransitionTime only with the status."""
    found = find_condition(conditions, type_)
    same = found is not None and (found["status"], found["reason"]) == (status, reason)
    if found is not None and same and not update:
        return conditions
    moved = found is None or found["status"] != status
    condition = {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": rfc3339(now),
        "lastTransitionTime": rfc3339(now)
        if moved or found is None
        else found["lastTransitionTime"],
    }
    return [*(each for each in conditions if each["type"] != type_), condition]
