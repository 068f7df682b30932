"""The revisions of a Workspace: what its author wrote, each time that it changed. Pure.

They are kept as apps/v1 ControllerRevisions that the Workspace owns. What became of a revision is
in its annotations, so that a manager that starts anew knows which one answered last, which one is
being tried since when, and which one was undone and why. A revision holds no ConfigMap and no
Secret: it names them.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import count
from typing import TypeVar

from kaito.controllers.workspace.annotations import FOR_USERS
from kaito.controllers.workspace.decision import Deletion
from kaito.controllers.workspace.kinds import REVISIONS
from kaito.controllers.workspace.observation import Subject
from kaito.runtime import Key, Object

HISTORY = 10  # revisions that are kept; upstream's and the default of a StatefulSet
DIGITS = 10  # of a content's hash in the name of its revision, as of a StatefulSet's
PARTS = ("resource", "inference", "tuning")

T = TypeVar("T", "Undone", "Ended")

# Annotations of a ControllerRevision of ours.
SERVED = "kaito.sh/served"
TRIED_SINCE = "kaito.sh/tried-since"
UNDONE = "kaito.sh/undone"
ENDED = "kaito.sh/ended"
# Upstream's, so that tools that list its revisions list ours.
UPSTREAM_NAME = "workspace.kaito.io/name"
UPSTREAM_HASH = "workspace.kaito.io/hash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """Why a revision was taken back."""

    reason: str
    message: str
    config: str = ""
    """Tells the settings in its ConfigMap then from others, which are worth another try."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a training ended."""

    run: str
    """What was trained; see training.Run."""
    job: str
    """The uid of the Job that trained it."""
    at: str = ""
    """When, RFC 3339."""
    reason: str = ""
    """Why it failed; "" for one that ended well."""
    message: str = ""
    result: str = ""
    """Where the result of one that ended well is, "" where that is not known any more."""

    @property
    def good(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One content of a Workspace and what became of it. Times are RFC 3339, "" for never."""

    name: str
    number: int
    content: Object
    uid: str = ""
    """Of its ControllerRevision; "" while there is none."""
    served: str = ""
    """When the model first answered with it."""
    tried_since: str = ""
    """Since when it is being tried on nodes that are ready."""
    undone: Undone | None = None
    ended: Ended | None = None
    """How it was trained, where it is one of tuning."""


def content_of(workspace: Object) -> Object:
    """What its author may write of a Workspace and something follows from, without nulls."""
    noted = workspace.get("metadata", {}).get("annotations")
    chosen = noted.items() if isinstance(noted, Mapping) else ()
    annotations = {key: value for key, value in sorted(chosen) if key in FOR_USERS}
    parts = {name: _plain(workspace[name]) for name in PARTS if workspace.get(name) is not None}
    return parts | ({"annotations": annotations} if annotations else {})


def restored(workspace: Object, content: Object) -> Object:
    """The Workspace with this content in the place of its own."""
    metadata = workspace.get("metadata", {})
    noted = metadata.get("annotations") or {}
    others = {key: value for key, value in noted.items() if key not in FOR_USERS}
    kept = {key: value for key, value in workspace.items() if key not in PARTS}
    parts = {name: content[name] for name in PARTS if name in content}
    annotations = others | content.get("annotations", {})
    return {**kept, **parts, "metadata": {**metadata, "annotations": annotations}}


def history(subject: Subject, found: Iterable[Object]) -> tuple[Revision, ...]:
    """The revisions of this very Workspace, in order of number; what no revision can be is none."""
    known = [_read(each) for each in found if subject.owns(each) and _usable(each)]
    return tuple(sorted(known, key=lambda each: (each.number, each.name)))


def declared(
    subject: Subject, content: Object, known: Sequence[Revision], *, digits: int = DIGITS
) -> Revision:
    """The revision of this content, which is the one that its author asks for now.

    Content that was there before gets its revision again, with the next number, and what was
    undone then is tried again. Names of equal hashes are told apart by further hashes.
    """
    last = known[-1].number if known else 0
    text = _canonical(content)
    for each in reversed(known):
        if _canonical(each.content) == text:
            if each.number == last:
                return each
            return replace(each, number=last + 1, undone=None, tried_since="")
    taken = {each.name for each in known}
    names = (f"{subject.name}-{_digest(subject, text, probe)[:digits]}" for probe in count())
    name = next(each for each in names if each not in taken)
    return Revision(name=name, number=last + 1, content=content)


def last_good(known: Sequence[Revision], *, but: Revision) -> Revision | None:
    """The last revision that answered, another one than `but`; None when there is none."""
    return next((each for each in reversed(known) if each.served and each.name != but.name), None)


def surplus(
    known: Sequence[Revision], needed: Iterable[Revision], *, keep: int = HISTORY
) -> tuple[Revision, ...]:
    """Those to forget so that no more than `keep` are left with the needed ones, oldest first."""
    names = {each.name for each in needed}
    others = [each for each in known if each.name not in names]
    return tuple(others[: max(0, len(others) + len(names) - keep)])


def forgotten(
    subject: Subject, known: Sequence[Revision], needed: Iterable[Revision | None]
) -> list[Deletion]:
    """The deletions of revisions that are too old to keep."""
    return [
        Deletion(resource=REVISIONS, key=Key(subject.namespace, each.name), uid=each.uid)
        for each in surplus(known, filter(None, needed))
    ]


def record(subject: Subject, revision: Revision) -> Object:
    """The ControllerRevision of a revision."""
    undone = revision.undone
    told = {
        UPSTREAM_HASH: hashlib.sha256(_canonical(revision.content).encode()).hexdigest(),
        SERVED: revision.served,
        TRIED_SINCE: revision.tried_since,
        UNDONE: _canonical(
            {"config": undone.config, "message": undone.message, "reason": undone.reason}
        )
        if undone
        else "",
        ENDED: _canonical(asdict(revision.ended)) if revision.ended else "",
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": revision.name,
            "namespace": subject.namespace,
            "labels": {**subject.identity, UPSTREAM_NAME: subject.name},
            "annotations": {key: value for key, value in told.items() if value},
            "ownerReferences": [subject.owner],
        },
        "data": revision.content,
        "revision": revision.number,
    }


def seconds_since(text: str, now: float) -> float:
    """How long ago an RFC 3339 time is; 0 for what is none."""
    try:
        then = datetime.datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return now - then.timestamp() if then.tzinfo is not None else 0.0


def _usable(obj: Object) -> bool:
    number, content = obj.get("revision"), obj.get("data")
    if not isinstance(content, dict) or not isinstance(number, int) or number < 0:
        return False
    noted = content.get("annotations", {})
    return isinstance(noted, dict) and all(
        key in FOR_USERS and isinstance(value, str) for key, value in noted.items()
    )


def _read(obj: Object) -> Revision:
    metadata = obj["metadata"]
    told = metadata.get("annotations") or {}
    return Revision(
        name=metadata["name"],
        number=obj["revision"],
        content=obj["data"],
        uid=metadata.get("uid", ""),
        served=told.get(SERVED, ""),
        tried_since=told.get(TRIED_SINCE, ""),
        undone=_read_as(Undone, told.get(UNDONE, "")),
        ended=_read_as(Ended, told.get(ENDED, "")),
    )


def _read_as(kind: type[T], text: str) -> T | None:
    """What an annotation says, all of it texts; None for what says nothing."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    return kind(**{each.name: str(told.get(each.name, "")) for each in fields(kind)})


def _digest(subject: Subject, text: str, probe: int) -> str:
    # With the uid, so that what an earlier Workspace of this name left behind is in nobody's way.
    return hashlib.sha256(f"{subject.uid}/{probe}/{text}".encode()).hexdigest()


def _canonical(content: object) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


# Any JSON: the API server drops nulls from some objects and keeps them in others.
def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items() if each is not None}
    return [_plain(each) for each in value] if isinstance(value, list) else value
