"""How a Deployment gets from its old ReplicaSets to the new one: pure decisions.

One step at a time, as kube-controller-manager does it: scale the new set up, or the old ones
down, or report; the next step follows when that one shows.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

from kaito.local.digits import whole
from kaito.local.workloads.hashes import template_hash
from kaito.local.workloads.scaling import (
    DESIRED,
    MAXIMUM,
    Scale,
    Sets,
    count,
    follow,
    is_complete,
    is_scaled,
    limits,
    name_of,
    recorded,
    resized,
)
from kaito.local.workloads.template import HASH_LABEL
from kaito.runtime import Object, owner_reference

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
LONGEST_NAME = 253  # of a DNS subdomain
# What a Deployment's annotations do not hand down to its ReplicaSets.
_KEPT_BACK = (
    REVISION,
    REVISION_HISTORY,
    DESIRED,
    MAXIMUM,
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.deployment.rollback.to",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What to do now; empty when only the status is left to report."""

    create: Object | None = None
    scale: tuple[Scale, ...] = ()
    patch: dict[str, Object] = field(default_factory=dict)
    """Merge patches of ReplicaSets, by name."""
    revision: str = ""
    """The revision to write on the Deployment, "" when it is right."""
    delete: tuple[str, ...] = ()

    @property
    def quiet(self) -> bool:
        """Whether there is nothing to do that would move pods."""
        return self.create is None and not self.scale


def sort_out(deployment: Object, replica_sets: Sequence[Object]) -> Sets:
    """Which of its ReplicaSets is the Deployment's new one."""
    ordered = sorted(
        replica_sets, key=lambda each: (each["metadata"]["creationTimestamp"], name_of(each))
    )
    wanted = _bare(deployment["spec"]["template"])
    # Several may be equal after a collision; the oldest counts, so that all agree on it.
    new = next((each for each in ordered if _bare(each["spec"]["template"]) == wanted), None)
    return Sets(new, tuple(each for each in ordered if each is not new))


def next_step(deployment: Object, sets: Sets) -> Step:
    """What brings the Deployment closer to what it asks for."""
    spec, metadata = deployment["spec"], deployment["metadata"]
    if metadata.get("deletionTimestamp"):
        return Step()
    if spec.get("paused") or is_scaled(deployment, sets):
        return Step(scale=follow(deployment, sets))
    revision = max((_revision(each) for each in sets.old), default=0) + 1
    annotations = _handed_down(deployment)
    if sets.new is None:
        if spec["strategy"]["type"] == "Recreate" and _still_there(sets.old):
            return _recreate(deployment, sets)
        first = max(revision, 1)
        created = _new_set(
            deployment, sets, annotations | recorded(deployment) | {REVISION: str(first)}
        )
        return Step(create=created, revision=str(first))
    # A set that is the new one again after an undo gets the next number.
    number = max(revision, _revision(sets.new))
    patch: Object = {}
    missing = _missing(sets.new, annotations | {REVISION: str(number)})
    if missing:
        former = sets.new["metadata"].get("annotations", {}).get(REVISION)
        if former is not None and former != str(number):
            missing |= {REVISION_HISTORY: _history(sets.new, former)}
        patch["metadata"] = {"annotations": missing}
    minimum = spec.get("minReadySeconds", 0)
    if sets.new["spec"].get("minReadySeconds", 0) != minimum:
        patch["spec"] = {"minReadySeconds": minimum}
    shown = (metadata.get("annotations") or {}).get(REVISION)
    if spec["strategy"]["type"] == "Recreate":
        moved = _recreate(deployment, sets)
    else:
        moved = _roll(deployment, sets)
    return Step(
        patch={name_of(sets.new): patch} if patch else {},
        revision="" if shown == str(number) else str(number),
        scale=moved.scale,
        delete=_outdated(deployment, sets) if is_complete(deployment, sets) else (),
    )


def _roll(deployment: Object, sets: Sets) -> Step:
    assert sets.new is not None
    replicas = deployment["spec"]["replicas"]
    surge, unavailable = limits(deployment)
    new = sets.new["spec"]["replicas"]
    total = sum(each["spec"]["replicas"] for each in sets.all)
    if new > replicas:
        return Step(scale=(resized(deployment, sets.new, replicas),))
    room = replicas + surge - total
    grown = min(new + max(0, room), replicas)
    if grown > new:
        return Step(scale=(resized(deployment, sets.new, grown),))
    old = [each for each in sets.old if each["spec"]["replicas"]]
    if not old:
        return Step()
    least = replicas - unavailable
    unready = new - count([sets.new], "availableReplicas")
    may_go = total - least - unready
    return Step(scale=_shrink(deployment, old, sets, may_go, least))


def _shrink(
    deployment: Object, old: Sequence[Object], sets: Sets, may_go: int, least: int
) -> tuple[Scale, ...]:
    """Scale old sets down: first what is not available anyway, then what can be spared."""
    if may_go <= 0:
        return ()
    left = {name_of(each): each["spec"]["replicas"] for each in old}
    for each in old:
        broken = left[name_of(each)] - count([each], "availableReplicas")
        gone = max(0, min(broken, may_go))
        left[name_of(each)] -= gone
        may_go -= gone
    spare = min(may_go, count(sets.all, "availableReplicas") - least)
    for each in old:
        gone = max(0, min(left[name_of(each)], spare))
        left[name_of(each)] -= gone
        spare -= gone
    return tuple(
        resized(deployment, each, left[name_of(each)])
        for each in old
        if left[name_of(each)] != each["spec"]["replicas"]
    )


def _recreate(deployment: Object, sets: Sets) -> Step:
    """All old pods go before the first new one comes."""
    down = tuple(resized(deployment, each, 0) for each in sets.old if each["spec"]["replicas"])
    if down or _still_there(sets.old) or sets.new is None:
        return Step(scale=down)
    return Step(scale=follow(deployment, Sets(sets.new, ())))


def _still_there(old: Sequence[Object]) -> bool:
    return bool(
        count(old, "replicas")
        + count(old, "terminatingReplicas")
        + sum(each["spec"]["replicas"] for each in old)
    )


def _outdated(deployment: Object, sets: Sets) -> tuple[str, ...]:
    """Old sets beyond the history that is kept, lowest revision first."""
    limit = deployment["spec"].get("revisionHistoryLimit", 10)
    empty = [
        each
        for each in sorted(sets.old, key=_revision)
        if not each["spec"]["replicas"]
        and not count([each], "replicas")
        and not each["metadata"].get("deletionTimestamp")
    ]
    return tuple(name_of(each) for each in empty[: max(0, len(sets.old) - limit)])


def _new_set(deployment: Object, sets: Sets, annotations: dict[str, str]) -> Object:
    spec = deployment["spec"]
    label = template_hash(spec["template"], deployment.get("status", {}).get("collisionCount"))
    template = copy.deepcopy(spec["template"])
    labels = template.setdefault("metadata", {}).setdefault("labels", {})
    labels[HASH_LABEL] = label
    selector = copy.deepcopy(spec["selector"])
    selector.setdefault("matchLabels", {})[HASH_LABEL] = label
    old = sum(each["spec"]["replicas"] for each in sets.old)
    surge, _ = limits(deployment)
    room = max(0, spec["replicas"] + surge - old)
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)[: LONGEST_NAME - 1 - len(label)]}-{label}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": dict(labels),
            "annotations": annotations,
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": min(spec["replicas"], room),
            "selector": selector,
            "template": template,
            **({"minReadySeconds": spec["minReadySeconds"]} if spec.get("minReadySeconds") else {}),
        },
    }


def _handed_down(deployment: Object) -> dict[str, str]:
    annotations = deployment["metadata"].get("annotations") or {}
    return {name: text for name, text in annotations.items() if name not in _KEPT_BACK}


def _missing(replica_set: Object, annotations: dict[str, str]) -> dict[str, str]:
    has = replica_set["metadata"].get("annotations") or {}
    return {name: text for name, text in annotations.items() if has.get(name) != text}


def _history(replica_set: Object, former: str) -> str:
    past = replica_set["metadata"]["annotations"].get(REVISION_HISTORY)
    return f"{past},{former}" if past else former


def _revision(replica_set: Object) -> int:
    text = (replica_set["metadata"].get("annotations") or {}).get(REVISION, "0")
    return whole(text) or 0


def _bare(template: Object) -> Object:
    """A template without the label that its ReplicaSet added."""
    bare = copy.deepcopy(template)
    labels = (bare.get("metadata") or {}).get("labels") or {}
    labels.pop(HASH_LABEL, None)
    return bare
