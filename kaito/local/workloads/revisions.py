"""The ControllerRevisions that a StatefulSet keeps of its templates. Pure."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence

from kaito.local.workloads.hashes import revision_hash
from kaito.runtime import Object, owner_reference

HASH_LABEL = "controller.kubernetes.io/hash"
LONGEST_PREFIX = 223  # of a revision's name, which ends in the hash


def revision_data(stateful_set: Object) -> Object:
    """What a revision keeps: the template, as a patch that puts it back."""
    template = {**copy.deepcopy(stateful_set["spec"]["template"]), "$patch": "replace"}
    return {"spec": {"template": template}}


def revision_name(stateful_set: Object) -> str:
    """The name of the current template's revision."""
    return f"{stateful_set['metadata']['name'][:LONGEST_PREFIX]}-{_hash(stateful_set)}"


def new_revision(stateful_set: Object, number: int) -> Object:
    """The revision of the current template."""
    metadata, template = stateful_set["metadata"], stateful_set["spec"]["template"]
    labels = template["metadata"].get("labels") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": revision_name(stateful_set),
            "namespace": metadata["namespace"],
            "labels": {**labels, HASH_LABEL: _hash(stateful_set)},
            "annotations": metadata.get("annotations") or {},
            "ownerReferences": [owner_reference(stateful_set)],
        },
        "data": revision_data(stateful_set),
        "revision": number,
    }


def in_order(revisions: Iterable[Object]) -> list[Object]:
    """The newest last."""
    return sorted(revisions, key=lambda each: (each.get("revision", 0), each["metadata"]["name"]))


def outdated(stateful_set: Object, own: Sequence[Object], live: Collection[str]) -> list[str]:
    """Names of the revisions beyond the history that is kept, oldest first; those that pods or
    the status name do not count."""
    names = [name for each in own if (name := each["metadata"]["name"]) not in live]
    return names[: max(0, len(names) - stateful_set["spec"].get("revisionHistoryLimit", 10))]


def _hash(stateful_set: Object) -> str:
    collisions = stateful_set.get("status", {}).get("collisionCount", 0)
    return revision_hash(revision_data(stateful_set), collisions)
