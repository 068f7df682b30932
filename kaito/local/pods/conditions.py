"""The condition that says what about a pod is not real. Pure."""

from __future__ import annotations

from collections.abc import Collection

from kaito.local.pods.containers import all_containers
from kaito.local.pods.images import Images
from kaito.local.pods.volumes import stand_ins
from kaito.runtime import Object

SIMULATED_CONDITION = "local.kaito.sh/Simulated"


def simulated_condition(
    conditions: list[Object], pod: Object, processes: Collection[str], images: Images
) -> list[Object]:
    """The conditions with one that says what about this pod is not real."""
    parts = _unreal(pod, processes, images)
    others = [each for each in conditions if each["type"] != SIMULATED_CONDITION]
    if not parts:
        return others
    known = [each for each in conditions if each["type"] == SIMULATED_CONDITION]
    said: Object = {
        "type": SIMULATED_CONDITION,
        "status": "True",
        "reason": "LocalCluster",
        "message": "; ".join(parts),
        "lastProbeTime": None,
        "lastTransitionTime": (known or others[-1:])[0]["lastTransitionTime"],
    }
    return [*others, said]


def _unreal(pod: Object, processes: Collection[str], images: Images) -> list[str]:
    parts = []
    inits = pod["spec"].get("initContainers") or ()
    for container in all_containers(pod):
        name, program = container["name"], images.program(container)
        if program is None or (name not in processes and container not in inits):
            parts.append(f"{name}: nothing runs")
        elif program.simulated:
            parts.append(f"{name}: {program.simulated}")
    if processes:
        parts += [f"volume {name}: an empty directory" for name in stand_ins(pod)]
    return parts
