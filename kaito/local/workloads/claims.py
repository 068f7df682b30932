"""Which objects belong to a controller: those that name it as theirs and match its selector.

An orphan that matches is adopted, an object that stopped matching is released, as in Kubernetes.
The indexes here keep that cheap: nobody looks through all objects of a namespace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver.selectors import of_label_selector
from kaito.runtime import (
    Change,
    Client,
    Informer,
    Key,
    Mapper,
    NotFound,
    Object,
    Store,
    View,
    owner_reference,
)

# Index names: what an object's controller is, what orphans wear, what owners ask for.
CONTROLLER, ORPHAN, SELECTOR = "controller", "orphan", "selector"


def by_controller(view: View) -> tuple[str, ...]:
    """Index: objects by the uid of the object that controls them."""
    return tuple(owner.uid for owner in view.header.owners if owner.controller)


def by_orphan(view: View) -> tuple[str, ...]:
    """Index: objects that nobody controls, by namespace and by each of their labels."""
    if view.header.deleting or any(owner.controller for owner in view.header.owners):
        return ()
    return _worn(view)


def by_selector(view: View) -> tuple[str, ...]:
    """Index: owners, by the label that whatever they select must wear."""
    return (_asked(view.key.namespace, view.object.get("spec", {}).get("selector")),)


def to_owners(owners: Informer[Object]) -> Mapper:
    """Mapper: those that may adopt an orphan. `owners` needs the index SELECTOR (by_selector)."""

    def owners_of(change: Change) -> Iterable[Key]:
        if change.kind == "deleted" or not by_orphan(change):
            return ()
        return {key for worn in _worn(change) for key in owners.store.by(SELECTOR, worn)}

    return owners_of


@dataclass(frozen=True, slots=True)
class Claims:
    """What is a controller's own, and what has to be written so that it is."""

    own: tuple[Object, ...]
    adopt: tuple[Object, ...]
    release: tuple[Object, ...]


def judge(
    owner: Object, candidates: Iterable[Object], fits: Callable[[Object], bool] = bool
) -> Claims:
    """Sort objects into what `owner` has, takes and lets go. `fits` is asked beside the selector.

    An owner that is being deleted takes and releases nothing, and an object that is being
    deleted is not adopted.
    """
    metadata = owner["metadata"]
    selects = of_label_selector(owner["spec"].get("selector"))
    leaving = bool(metadata.get("deletionTimestamp"))
    own, adopt, release = [], [], []
    for each in candidates:
        controller = controller_of(each)
        matches = selects(each["metadata"].get("labels") or {}) and fits(each)
        if controller is None:
            if matches and not leaving and not each["metadata"].get("deletionTimestamp"):
                adopt.append(each)
        elif controller["uid"] == metadata["uid"]:
            if matches:
                own.append(each)
            elif not leaving:
                release.append(each)
    return Claims(tuple(own), tuple(adopt), tuple(release))


def controller_of(obj: Object) -> Mapping[str, Any] | None:
    """The owner reference of the controller of an object, None for an orphan."""
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((owner for owner in owners if owner.get("controller")), None)


def candidates(store: Store[Object], owner: Object) -> list[Object]:
    """What `owner` controls, and the orphans that it might take. `store` needs the indexes
    CONTROLLER (by_controller) and ORPHAN (by_orphan)."""
    metadata = owner["metadata"]
    asked = _asked(metadata["namespace"], owner["spec"].get("selector"))
    keys = [*store.by(CONTROLLER, metadata["uid"]), *store.by(ORPHAN, asked)]
    return [found for key in keys if (found := store.get(key)) is not None]


async def claimed(
    client: Client,
    informer: Informer[Object],
    owner: Object,
    fits: Callable[[Object], bool] = bool,
    finalizers: Sequence[str] = (),
) -> list[Object]:
    """What is `owner`'s after adopting and releasing.

    Conflict: somebody wrote first. `finalizers` are added to what is adopted, removed from what
    is released.
    """
    claims = judge(owner, candidates(informer.store, owner), fits)
    own = list(claims.own)
    for each in claims.adopt:
        kept = [*(each["metadata"].get("finalizers") or ())]
        if taken := await _write(
            client,
            informer,
            each,
            [*(each["metadata"].get("ownerReferences") or ()), owner_reference(owner)],
            [*kept, *(name for name in finalizers if name not in kept)],
        ):
            own.append(taken)
    for each in claims.release:
        left = [
            reference
            for reference in each["metadata"]["ownerReferences"]
            if reference["uid"] != owner["metadata"]["uid"]
        ]
        kept = [n for n in each["metadata"].get("finalizers") or () if n not in finalizers]
        await _write(client, informer, each, left, kept)
    return own


async def _write(
    client: Client,
    informer: Informer[Object],
    obj: Object,
    owners: Sequence[Mapping[str, Any]],
    finalizers: Sequence[str],
) -> Object | None:
    metadata: Object = {
        "uid": obj["metadata"]["uid"],
        "resourceVersion": obj["metadata"]["resourceVersion"],
        "ownerReferences": list(owners) or None,
    }
    if list(finalizers) != (obj["metadata"].get("finalizers") or []):
        metadata["finalizers"] = list(finalizers) or None
    try:
        return await client.patch(informer.resource, Key.of(obj), {"metadata": metadata})
    except NotFound:
        return None


def _worn(view: View) -> tuple[str, ...]:
    namespace = view.key.namespace
    labels = view.header.labels.items()
    return (namespace, *(f"{namespace}/{name}={text}" for name, text in labels))


def _asked(namespace: str, selector: Mapping[str, Any] | None) -> str:
    """The label that a selector asks for in any case, or the whole namespace."""
    labels = (selector or {}).get("matchLabels") or {}
    if not labels:
        return namespace
    name = min(labels)
    return f"{namespace}/{name}={labels[name]}"
