"""The Pods of a StatefulSet restart together when its template changes. Pure.

One model over several nodes is one program: Pods of two revisions cannot talk to each other, and a
rollout Pod by Pod would wait for ever for the first one to become ready. So the set is updated
`OnDelete`, and all Pods of earlier revisions go at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from kaito.controllers.workspace.decision import Deletion
from kaito.controllers.workspace.kinds import PODS
from kaito.runtime import Key, Object

REVISION = "controller-revision-hash"


def restarts(stateful_set: Object | None, pods: Iterable[Object]) -> tuple[Deletion, ...]:
    """The deletions of Pods that are not of the set's present template, once its controller has
    seen that: before, what comes back would be of the old one."""
    if stateful_set is None:
        return ()
    metadata, status = stateful_set["metadata"], stateful_set.get("status") or {}
    wanted = status.get("updateRevision", "")
    if not wanted or status.get("observedGeneration", 0) < metadata.get("generation", 0):
        return ()
    return tuple(
        Deletion(resource=PODS, key=Key.of(pod), uid=pod["metadata"]["uid"])
        for pod in pods
        if _controlled(pod, metadata.get("uid", ""))
        and (pod["metadata"].get("labels") or {}).get(REVISION) != wanted
        and not pod["metadata"].get("deletionTimestamp")
    )


def _controlled(pod: Object, uid: str) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(each.get("controller") and each.get("uid") == uid for each in owners)
