"""What a Pod waits for before any of its containers: its volumes and its network. Pure.

Nothing in the status of a Pod says which volume is missing; only Events of its node do. A kubelet
sets the condition PodReadyToStartContainers when the volumes are mounted and the network is there,
and pulls images after that. Where a kubelet does not know it, before 1.29, nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from kaito.api.words import listed
from kaito.runtime import Object, find_condition, is_true, parse_rfc3339

STARTABLE = "PodReadyToStartContainers"
MOUNT_SECONDS = 60.0  # most volumes and networks are there in a few, a disk of a cloud in less
OVER = ("Succeeded", "Failed")


def overdue_at(pod: Object) -> float | None:
    """When what a Pod mounts is late, in seconds since the epoch; None while it is not waited
    for."""
    status = pod.get("status") or {}
    conditions = status.get("conditions") or ()
    found = find_condition(conditions, STARTABLE)
    if status.get("phase") in OVER or not is_true(conditions, "PodScheduled"):
        return None
    if found is None or found.get("status") != "False":
        return None
    try:
        return parse_rfc3339(str(found.get("lastTransitionTime"))) + MOUNT_SECONDS
    except ValueError:
        return None


def waits(pod: Object) -> str:
    """What a Pod waits for and how to find out which of it is missing, after "Pod NAME"."""
    name, namespace = pod["metadata"]["name"], pod["metadata"].get("namespace", "default")
    parts = list(dict.fromkeys(_mounted(pod)))
    what = f"one of what it mounts ({listed(parts)}) or its network" if parts else "its network"
    return f"waits for {what}: kubectl describe pod {name} -n {namespace} says what is missing"


def _mounted(pod: Object) -> Iterator[str]:
    """What the volumes of a Pod are made of and may be missing."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        projected = (volume.get("projected") or {}).get("sources") or ()
        for source in (volume, *projected):
            for field, kind, key in _NAMED:
                held = source.get(field) or {}
                name = held.get(key)
                if name and not held.get("optional"):
                    yield f"{kind} {name}"
        if "ephemeral" in volume:
            yield f"PersistentVolumeClaim {pod['metadata']['name']}-{volume['name']}"
        if driver := (volume.get("csi") or {}).get("driver"):
            yield f"volume {volume['name']} of driver {driver}"


# The field of a volume or of a projected source, what it leads to, and the field that names it.
_NAMED = (
    ("secret", "Secret", "secretName"),
    ("secret", "Secret", "name"),
    ("configMap", "ConfigMap", "name"),
    ("persistentVolumeClaim", "PersistentVolumeClaim", "claimName"),
    ("hostPath", "host path", "path"),
)
