"""The volume claims of a StatefulSet: one of each template for each ordinal. Pure.

Claims outlive the pods, unless the retention policy gives them an owner whose end is theirs: the
set, or the pod of an ordinal that is no longer wanted.
"""

from __future__ import annotations

from kaito.local.workloads.ordinals import wanted_ordinals
from kaito.runtime import Object, owner_reference

RETAIN, DELETE = "Retain", "Delete"


def claims_of(stateful_set: Object, ordinal: int) -> list[Object]:
    """The volume claims of an ordinal, as they are made."""
    spec, metadata = stateful_set["spec"], stateful_set["metadata"]
    labels = (spec["selector"].get("matchLabels")) or {}
    owners = [owner_reference(stateful_set)] if _policy(stateful_set)[1] == DELETE else []
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                **template["metadata"],
                "name": f"{template['metadata']['name']}-{metadata['name']}-{ordinal}",
                "namespace": metadata["namespace"],
                "labels": {**(template["metadata"].get("labels") or {}), **labels},
                **({"ownerReferences": owners} if owners else {}),
            },
            "spec": template["spec"],
        }
        for template in spec.get("volumeClaimTemplates") or ()
    ]


def owners_due(stateful_set: Object, pod: Object, ordinal: int, claim: Object) -> list[Object]:
    """The owner references that a claim of this pod's shall have. Another's claim keeps its own."""
    ours = {stateful_set["metadata"]["uid"], pod["metadata"]["uid"]}
    names = {("StatefulSet", _name(stateful_set)), ("Pod", _name(pod))}
    now: list[Object] = claim["metadata"].get("ownerReferences") or []
    if any((each["kind"], each["name"]) in names and each["uid"] not in ours for each in now):
        # Of one that had the name before: garbage collection is to see to it.
        return now
    others = [each for each in now if each["uid"] not in ours]
    if any(each.get("controller") for each in others):
        return others
    scaled, deleted = _policy(stateful_set)
    surplus = ordinal not in wanted_ordinals(stateful_set["spec"])
    if scaled == DELETE and surplus:
        return [*others, owner_reference(pod)]
    if deleted == DELETE:
        return [*others, owner_reference(stateful_set)]
    return others


def _policy(stateful_set: Object) -> tuple[str, str]:
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return policy.get("whenScaled", RETAIN), policy.get("whenDeleted", RETAIN)


def _name(obj: Object) -> str:
    name: str = obj["metadata"]["name"]
    return name
