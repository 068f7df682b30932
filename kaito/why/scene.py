"""What was observed of a Workspace and all that it was made into, at one moment. Values only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaito.api import conditions
from kaito.api.words import one_line
from kaito.controllers.workspace.observation import Subject, preset_name
from kaito.controllers.workspace.order import Order
from kaito.runtime import Object, find_condition, parse_rfc3339

MESSAGE_LENGTH = 3000
"""Characters of what others wrote: more than the controllers allow themselves."""
WORD_LENGTH = 128  # of a reason, which anybody may have written
# The parts that a summary follows from: the first that says the same is the one that is meant.
PARTS = (
    conditions.RESOURCE_READY,
    conditions.INFERENCE_READY,
    conditions.JOB_STARTED,
    conditions.WORKSPACE_SUCCEEDED,
)
# Reasons that name nothing, where another part has a better one.
VAGUE = (conditions.PENDING, conditions.FAILED, conditions.JOB_FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An Event, of whichever group it was written in."""

    warning: bool
    reason: str
    message: str
    count: int
    first: float | None
    last: float | None
    """In seconds since the epoch, as `first`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A condition, as far as anything is concluded from it."""

    type: str
    status: str
    reason: str
    message: str
    since: float | None
    generation: int | None

    @property
    def evidence(self) -> str:
        """How it is quoted."""
        same = not self.reason or self.reason == self.type
        return f"{self.type}={self.status}" + ("" if same else f", {self.reason}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that an explanation depends on."""

    workspace: Object
    now: float
    """Seconds since the epoch."""
    orders: tuple[Order, ...] = ()
    """What asks for nodes and carries its labels."""
    nodes: tuple[Object, ...] = ()
    """Those that serve it, or are to."""
    workloads: tuple[Object, ...] = ()
    """Deployment, StatefulSet and Job of its name, whoever made them."""
    makers: tuple[Object, ...] = ()
    """ReplicaSets of its Deployment."""
    pods: tuple[Object, ...] = ()
    events: Mapping[str, tuple[Happening, ...]] = field(default_factory=dict)
    """By the uid of what they are about, the latest last."""
    leases: Mapping[str, Object | None] = field(default_factory=dict)
    """Of the daemons, by name; None for one that is not there. What is missing was not seen."""
    absent: frozenset[str] = frozenset()
    """Kinds that the API server does not have."""
    unseen: tuple[str, ...] = ()
    """What could not be looked at, a sentence each."""

    @property
    def subject(self) -> Subject:
        return Subject(self.workspace)

    @property
    def preset(self) -> str:
        """The preset that it names, "" for none."""
        return preset_name(self.workspace)

    @property
    def size(self) -> str:
        """The size of nodes that it names, "" for none."""
        return str((self.workspace.get("resource") or {}).get("instanceType") or "")

    @property
    def workload(self) -> Object | None:
        """What runs its Pods and is its own."""
        return next((each for each in self.workloads if self.subject.owns(each)), None)

    @property
    def failed(self) -> bool:
        """Whether the manager says of what is written now that nothing but a person mends it."""
        return self.judged and self.subject.status.get("state") == "Failed"

    @property
    def judged(self) -> bool:
        """Whether the manager has looked at what is written now."""
        whole = self.said(conditions.WORKSPACE_READY)
        return whole is not None and (whole.generation or 0) >= self.subject.generation

    def said(self, type_: str) -> Said | None:
        """A condition of the Workspace."""
        found = find_condition(self.subject.status.get("conditions") or (), type_)
        return said(found) if found else None

    @property
    def meant(self) -> Said | None:
        """The condition that WorkspaceReady repeats, or itself; None while there is none."""
        whole = self.said(conditions.WORKSPACE_READY)
        parts = [found for type_ in PARTS if (found := self.said(type_))]
        if whole is None:
            return parts[0] if parts else None
        same = [p for p in parts if p.status != "True" and p.message == whole.message]
        return next((p for p in same if p.reason not in VAGUE), next(iter(same), whole))

    def warnings(self, obj: Object) -> Iterator[Happening]:
        """What was warned of about an object, the latest first."""
        about = self.events.get(str(obj["metadata"].get("uid", "")), ())
        return (each for each in reversed(about) if each.warning)


def said(condition: Object) -> Said:
    """A condition of whatever object."""
    generation = condition.get("observedGeneration")
    return Said(
        type=one_line(str(condition.get("type", "")), WORD_LENGTH),
        status=one_line(str(condition.get("status", "")), WORD_LENGTH),
        reason=one_line(str(condition.get("reason") or ""), WORD_LENGTH),
        message=one_line(str(condition.get("message") or ""), MESSAGE_LENGTH),
        since=moment(condition.get("lastTransitionTime")),
        generation=generation if isinstance(generation, int) else None,
    )


def said_of(obj: Object, type_: str) -> Said | None:
    """A condition in the status of an object."""
    found = find_condition(listed(obj, "status", "conditions"), type_)
    return said(found) if found else None


def happening(event: Object) -> Happening:
    """An Event as it is read from core/v1, whoever wrote it in whichever form."""
    series = event.get("series") or {}
    born = event.get("eventTime") or event["metadata"].get("creationTimestamp")
    last = series.get("lastObservedTime") or event.get("lastTimestamp")
    return Happening(
        warning=event.get("type") == "Warning",
        reason=one_line(str(event.get("reason") or ""), WORD_LENGTH),
        message=one_line(str(event.get("message") or ""), MESSAGE_LENGTH),
        count=int(event.get("count") or series.get("count") or 1),
        first=moment(event.get("firstTimestamp") or born),
        last=moment(last or born),
    )


# Any: whatever others put where a time belongs.
def moment(timestamp: Any) -> float | None:
    """Seconds since the epoch, None for what is no time."""
    try:
        return parse_rfc3339(str(timestamp))
    except (ValueError, OverflowError):
        return None


def listed(obj: Object, *path: str) -> Sequence[Object]:
    """A list somewhere in an object, empty where there is none."""
    found: Any = obj
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, list) else ()


def born(obj: Object) -> float | None:
    """When an object was created."""
    return moment(obj["metadata"].get("creationTimestamp"))
