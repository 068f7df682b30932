"""The ReplicaSets of a Deployment, and how they follow a change of its size: pure decisions.

In the middle of a rollout a change of `replicas` is spread over all sets that have pods, each in
proportion to its size, as kube-controller-manager does it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kaito.local.digits import whole
from kaito.runtime import Object

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAXIMUM = "deployment.kubernetes.io/max-replicas"


@dataclass(frozen=True, slots=True)
class Scale:
    """Give a ReplicaSet so many replicas, and the annotations that record what was wanted."""

    name: str
    replicas: int
    before: int
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sets:
    """The ReplicaSets of a Deployment: the one of its template, and the others, oldest first."""

    new: Object | None
    old: tuple[Object, ...]

    @property
    def all(self) -> tuple[Object, ...]:
        return self.old if self.new is None else (*self.old, self.new)


def limits(deployment: Object) -> tuple[int, int]:
    """(surge, unavailable) as numbers of pods: percentages of the replicas, the first rounded up
    and the second down; unavailable is 1 when both would be 0, or nothing could move. Both are 0
    where nothing rolls."""
    spec = deployment["spec"]
    replicas = spec["replicas"]
    if spec["strategy"]["type"] == "Recreate":
        return 0, 0
    rolling = spec["strategy"].get("rollingUpdate") or {}
    surge = _share(rolling.get("maxSurge", "25%"), replicas, up=True)
    unavailable = min(_share(rolling.get("maxUnavailable", "25%"), replicas, up=False), replicas)
    if not surge and not unavailable:
        unavailable = 1
    return surge, unavailable


def is_complete(deployment: Object, sets: Sets) -> bool:
    """Whether every wanted pod is of the new template and available, and no other is left."""
    replicas = deployment["spec"]["replicas"]
    new = sets.new
    return (
        new is not None
        and count([new], "replicas") == replicas
        and count(sets.all, "replicas") == replicas
        and count(sets.all, "availableReplicas") == replicas
    )


def is_scaled(deployment: Object, sets: Sets) -> bool:
    """Whether `replicas` has changed since the sets that have pods were last sized."""
    wanted = deployment["spec"]["replicas"]
    noted = (_noted(each, DESIRED) for each in sets.all if each["spec"]["replicas"])
    return any(size is not None and size != wanted for size in noted)


def follow(deployment: Object, sets: Sets) -> tuple[Scale, ...]:
    """Follow `replicas` with the sets there are, and roll nothing."""
    replicas = deployment["spec"]["replicas"]
    active = [each for each in sets.all if each["spec"]["replicas"]]
    if len(active) <= 1:
        target = active[0] if active else sets.new or (sets.old[-1] if sets.old else None)
        if target is None or target["spec"]["replicas"] == replicas:
            return ()
        return (resized(deployment, target, replicas),)
    if sets.new is not None and _is_saturated(deployment, sets.new):
        return tuple(resized(deployment, each, 0) for each in active if each is not sets.new)
    if deployment["spec"]["strategy"]["type"] == "Recreate":
        return ()
    return _in_proportion(deployment, active)


def _in_proportion(deployment: Object, active: Sequence[Object]) -> tuple[Scale, ...]:
    replicas = deployment["spec"]["replicas"]
    surge, _ = limits(deployment)
    room = (replicas + surge if replicas else 0) - sum(each["spec"]["replicas"] for each in active)
    # The larger first; of equal ones the newer grow first and the older shrink first.
    by_age = sorted(active, key=_age, reverse=room > 0)
    ordered = sorted(by_age, key=lambda each: -each["spec"]["replicas"])
    sizes, given = {}, 0
    for each in ordered:
        share = _share_of(deployment, each, replicas + surge, room) if room else 0
        share = min(share, room - given) if room > 0 else max(share, room - given)
        sizes[name_of(each)] = each["spec"]["replicas"] + share
        given += share
    largest = name_of(ordered[0])
    sizes[largest] = max(0, sizes[largest] + room - given)
    due = recorded(deployment)
    return tuple(
        resized(deployment, each, sizes[name_of(each)])
        for each in ordered
        if sizes[name_of(each)] != each["spec"]["replicas"]
        or not due.items() <= (each["metadata"].get("annotations") or {}).items()
    )


def _share_of(deployment: Object, replica_set: Object, maximum: int, room: int) -> int:
    """The part of `room` that is a set's by its size before, which is negative in want of it."""
    size: int = replica_set["spec"]["replicas"]
    if not deployment["spec"]["replicas"]:
        return -size
    before = _noted(replica_set, MAXIMUM) or deployment.get("status", {}).get("replicas", 0)
    if not before or not room:
        return 0
    # Half away from zero, as Go rounds.
    return math.floor(size * maximum / before + 0.5) - size


def _is_saturated(deployment: Object, replica_set: Object) -> bool:
    replicas: int = deployment["spec"]["replicas"]
    sizes = (
        replica_set["spec"]["replicas"],
        _noted(replica_set, DESIRED),
        count([replica_set], "availableReplicas"),
    )
    return all(size == replicas for size in sizes)


def resized(deployment: Object, replica_set: Object, replicas: int) -> Scale:
    """This set with that many pods."""
    before = replica_set["spec"]["replicas"]
    return Scale(name_of(replica_set), replicas, before, recorded(deployment))


def recorded(deployment: Object) -> dict[str, str]:
    """The annotations of a set that say for which size of the Deployment it was sized."""
    replicas = deployment["spec"]["replicas"]
    surge, _ = limits(deployment)
    return {DESIRED: str(replicas), MAXIMUM: str(replicas + surge)}


def count(replica_sets: Sequence[Object], name: str) -> int:
    """The sum of a number in their status."""
    return sum(each.get("status", {}).get(name, 0) for each in replica_sets)


def name_of(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name


def _noted(replica_set: Object, name: str) -> int | None:
    return whole((replica_set["metadata"].get("annotations") or {}).get(name, ""))


def _age(replica_set: Object) -> tuple[str, str]:
    return replica_set["metadata"]["creationTimestamp"], name_of(replica_set)


def _share(value: int | str, of: int, *, up: bool) -> int:
    if isinstance(value, int):
        return value
    part = int(value.removesuffix("%")) * of / 100
    return math.ceil(part) if up else math.floor(part)
