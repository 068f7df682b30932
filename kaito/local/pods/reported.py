"""What a pod's status tells of its containers, for a kubelet that has just started. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaito.local.pods.containers import ContainerState, all_containers, is_sidecar
from kaito.local.pods.process import restarts
from kaito.runtime import Object, parse_rfc3339


def reported(pod: Object, name: str) -> Mapping[str, Any]:
    """What was last written down about a container."""
    status = pod.get("status", {})
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    held = [each for kind in kinds for each in status.get(kind) or ()]
    return next((each for each in held if each["name"] == name), {})


def done_before(pod: Object) -> dict[str, ContainerState]:
    """Containers that have ended for good, as the pod's status tells; they do not run again."""
    found = {}
    for container in all_containers(pod):
        told = reported(pod, container["name"])
        ended = told.get("state", {}).get("terminated")
        if ended and not restarts(restart_policy(pod, container), ended["exitCode"]):
            found[container["name"]] = ContainerState(
                is_="terminated",
                reason=ended.get("reason", ""),
                message=ended.get("message", ""),
                exit_code=ended["exitCode"],
                started=parse_rfc3339(ended["startedAt"]),
                ended=parse_rfc3339(ended["finishedAt"]),
                restarts=told.get("restartCount", 0),
            )
    return found


def restart_policy(pod: Object, container: Mapping[str, Any]) -> str:
    """Init containers run until they succeed, sidecars for as long as the pod does, and those
    added to look at a pod once."""
    policy: str = pod["spec"].get("restartPolicy", "Always")
    if container in (pod["spec"].get("ephemeralContainers") or ()):
        return "Never"
    if container not in (pod["spec"].get("initContainers") or ()):
        return policy
    if is_sidecar(container):
        return "Always"
    return "Never" if policy == "Never" else "OnFailure"
