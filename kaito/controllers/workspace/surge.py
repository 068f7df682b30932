"""Whether a new Pod fits beside the old one while an edit is rolled out. Pure.

Nodes that were made for a Workspace are its alone, so what its Pods leave of their GPUs is free.
Who else uses a node that its user brings is not known, and counts as no room. What is counted are
places for Pods and not the Pods of the moment: a rollout that surges must not forbid itself to.
"""

from __future__ import annotations

from math import ceil

from kaito.api import labels
from kaito.catalog.timing import Range
from kaito.controllers.workspace.crew import Crew
from kaito.controllers.workspace.kinds import DEPLOYMENTS
from kaito.runtime import Object, parse_quantity

SURGE: Object = {"maxSurge": 1, "maxUnavailable": 0}
GAP: Object = {"maxSurge": 0, "maxUnavailable": 1}


def with_room(desired: Object, crew: Crew, live: Object | None) -> Object:
    """A workload as it rolls out: one Pod more for a while where there is a free place, else one
    less. What is no Deployment stays as it is."""
    if desired["kind"] != DEPLOYMENTS.kind:
        return desired
    spec = desired["spec"]
    replicas = max(spec["replicas"], ((live or {}).get("spec") or {}).get("replicas", 0))
    each = gpus_each(spec["template"])
    room = each > 0 and places(crew, each) > replicas
    strategy = {"type": "RollingUpdate", "rollingUpdate": SURGE if room else GAP}
    return {**desired, "spec": {**spec, "strategy": strategy}}


def leaves_gap(desired: Object) -> bool:
    """Whether fewer Pods serve while this workload is rolled out."""
    strategy = desired["spec"].get("strategy") or {}
    return bool(strategy.get("rollingUpdate") != SURGE)


def gap_told(desired: Object, expected: Range | None) -> str:
    """What its users miss while it is rolled out, as a sentence; `expected` is how long a start
    takes in seconds. "" when they miss nothing."""
    if not leaves_gap(desired):
        return ""
    alone = desired["kind"] != DEPLOYMENTS.kind or desired["spec"]["replicas"] == 1
    if alone:
        told = "No free GPU is seen for a second copy, so the model does not answer meanwhile"
    else:
        told = "No free GPU is seen for another copy, so one fewer answers meanwhile"
    if expected is None:
        return f"{told}."
    low, high = max(1, round(expected.low / 60)), max(1, ceil(expected.high / 60))
    return f"{told}, for {low} to {high} minutes{'' if alone else ' each'}."


def places(crew: Crew, gpus: int) -> int:
    """How many Pods with so many GPUs the nodes hold that were made for the Workspace."""
    offered = (
        node.status.allocatable.get(labels.GPU_RESOURCE, "0")
        for node in crew.nodes
        if node.ready and not node.deleting and not node.spec.unschedulable
    )
    return sum(_count(amount) // gpus for amount in offered)


def gpus_each(template: Object) -> int:
    """The GPUs that a Pod of this template asks for."""
    containers = (template.get("spec") or {}).get("containers") or ()
    asked = (((each.get("resources") or {}).get("limits")) or {} for each in containers)
    return sum(_count(limits.get(labels.GPU_RESOURCE, 0)) for limits in asked)


def _count(amount: object) -> int:
    try:
        return int(parse_quantity(str(amount)))
    except ValueError:
        return 0
