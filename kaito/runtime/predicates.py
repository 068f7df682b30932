"""Which changes of an object are worth a reconcile. None of them decodes a body."""

from __future__ import annotations

from kaito.runtime.change import Change
from kaito.runtime.controller import Predicate


def generation_changed(change: Change) -> bool:
    """Added, deleted, marked for deletion, or its generation moved.

    Status writes do not move the generation of kinds with a status subresource, so a controller's
    own status writes do not wake it.
    """
    old, new = change.old, change.header
    return (
        change.kind != "modified"
        or old is None
        or change.replaced
        or old.generation != new.generation
        or old.deleting != new.deleting
    )


def labels_changed(change: Change) -> bool:
    """Added, deleted, or its labels differ."""
    return (
        change.old is None or change.kind == "deleted" or change.old.labels != change.header.labels
    )


def annotations_changed(change: Change) -> bool:
    """Added, deleted, or its annotations differ."""
    old = change.old
    return (
        old is None
        or change.kind == "deleted"
        or old.annotations_hash != change.header.annotations_hash
    )


def finalizers_changed(change: Change) -> bool:
    """Added, deleted, or its finalizers differ."""
    old = change.old
    return old is None or change.kind == "deleted" or old.finalizers != change.header.finalizers


def any_of(*predicates: Predicate) -> Predicate:
    """Whether at least one of them holds."""
    return lambda change: any(predicate(change) for predicate in predicates)


def all_of(*predicates: Predicate) -> Predicate:
    """Whether all of them hold."""
    return lambda change: all(predicate(change) for predicate in predicates)
