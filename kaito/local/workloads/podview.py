"""What the workload controllers ask of a pod. Pure."""

from __future__ import annotations

from kaito.runtime import Object, find_condition, parse_rfc3339

OVER = ("Succeeded", "Failed")
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def is_active(pod: Object) -> bool:
    """Whether it counts as a replica: it has neither ended nor been told to."""
    return not is_deleting(pod) and phase(pod) not in OVER


def is_deleting(pod: Object) -> bool:
    return bool(pod["metadata"].get("deletionTimestamp"))


def phase(pod: Object) -> str:
    text: str = pod.get("status", {}).get("phase", "")
    return text


def is_ready(pod: Object) -> bool:
    found = find_condition(pod.get("status", {}).get("conditions", ()), "Ready")
    return found is not None and found.get("status") == "True"


def available_in(pod: Object, min_ready_seconds: int, now: float) -> float | None:
    """Seconds until the pod counts as available, 0 when it does, None while it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_seconds:
        return 0.0
    ready = find_condition(pod["status"]["conditions"], "Ready")
    since = (ready or {}).get("lastTransitionTime")
    if not since:
        return None
    return max(0.0, parse_rfc3339(since) + min_ready_seconds - now)


def deletion_rank(pod: Object) -> tuple[bool, int, bool, int, int, str]:
    """Sorts pods so that those that are missed least come first: without a node, not yet
    running, not ready, cheap by their own account, often restarted, and young."""
    annotations = pod["metadata"].get("annotations") or {}
    try:
        cost = int(annotations.get(DELETION_COST, "0"))
    except ValueError:
        cost = 0
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    restarts = max((status.get("restartCount", 0) for status in statuses), default=0)
    return (
        bool(pod["spec"].get("nodeName")),
        _PHASES.get(phase(pod), 0),
        is_ready(pod),
        cost,
        -restarts,
        # Younger first: the later time sorts first when its characters are turned round.
        "".join(chr(0x10FFFF - ord(c)) for c in pod["metadata"].get("creationTimestamp", "")),
    )
