"""What is to be done about a Workspace: the outcome of decide, for apply to write."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

from kaito.runtime import Key, Object, Resource


class Finalizer(Enum):
    """What to do with our finalizer."""

    KEEP = auto()
    ADD = auto()
    REMOVE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """An object to delete, provided that it is still this one."""

    resource: Resource[Object]
    key: Key
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something worth telling in `kubectl describe`."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What should be so. Written in this order: finalizer (unless removed), status where it
    announces, trial, revision, objects, deletions, status, removal of the finalizer."""

    finalizer: Finalizer = Finalizer.KEEP
    trial: tuple[Object, ...] = ()
    """What will be wanted once nodes are there; when the API server would refuse any of it, no
    node is asked for, because nodes cost money."""
    revision: Object | None = None
    """The ControllerRevision of what its author asks for. Written before the objects: what was
    undone must not be tried again because that was forgotten."""
    objects: tuple[Object, ...] = ()
    deletions: tuple[Deletion, ...] = ()
    status: Object | None = None
    """The whole of what we say in the status; None leaves it as it is."""
    events: tuple[Event, ...] = ()
    gap: str = ""
    """What users miss while an edit is rolled out, as a sentence; "" when they miss nothing."""
    announces: bool = False
    """Whether status and events are told before anything else is done."""
    listens: Key | None = None
    """The Pod to whose trainer is listened from now on, None for none."""
    look_again: float | None = None
    """Seconds after which to look again though nothing may have changed; None: only then."""
