"""Pods that are ended for the sake of others say so before they go, in a condition."""

from __future__ import annotations

from kaito.local.kinds import PODS
from kaito.runtime import Client, Key, Object, find_condition, rfc3339

DISRUPTED = "DisruptionTarget"


async def disrupt(client: Client, pod: Object, reason: str, message: str, now: float) -> None:
    """Write the condition. NotFound when the pod is gone, Conflict when somebody wrote first."""
    conditions = pod.get("status", {}).get("conditions") or []
    found = find_condition(conditions, DISRUPTED)
    if found is not None and found["status"] == "True" and found.get("reason") == reason:
        return
    metadata = pod["metadata"]
    told: Object = {
        "type": DISRUPTED,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": rfc3339(now),
    }
    if metadata.get("generation") is not None:
        told["observedGeneration"] = metadata["generation"]
    patch = {
        "metadata": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]},
        "status": {"conditions": [*(each for each in conditions if each is not found), told]},
    }
    await client.patch(PODS, Key.of(pod), patch, subresource="status")
