"""Events of both groups, which are one kind of object with two shapes.

Faults name the fields of the older group, whatever group was written to.
"""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import by
from kaito.local.apiserver.fields import FieldError, required, unchangeable, wrong
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
REFERENCE = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
# Fields by their older and newer names, and the struct that shows them.
FROZEN = {
    "involvedObject": ("regarding", "ObjectReference"),
    "reason": ("reason", ""),
    "message": ("note", ""),
    "source": ("deprecatedSource", "EventSource"),
    "firstTimestamp": ("deprecatedFirstTimestamp", ""),
    "lastTimestamp": ("deprecatedLastTimestamp", ""),
    "count": ("deprecatedCount", ""),
    "type": ("type", ""),
    "eventTime": ("eventTime", ""),
    "action": ("action", ""),
    "related": ("related", "*ObjectReference"),
    "reportingController": ("reportingController", ""),
    "reportingInstance": ("reportingInstance", ""),
}
# How a server shows those that are not there; the others are empty texts.
UNSET_SHOWN: dict[str, Any] = {
    "involvedObject": {},
    "source": {},
    "count": 0,
    "related": None,
    "firstTimestamp": None,
    "lastTimestamp": None,
    "eventTime": None,
}
UNSET = ("source", "firstTimestamp", "lastTimestamp", "count")
LIMITS = {"reportingInstance": 128, "action": 128, "reason": 128}  # characters
NOTE_LIMIT = 1024  # characters
NO_MATCH = "does not match event.namespace"


# Written once: there are many Events, and each keeps these.
_ABOUT = [
    (f"{kind}.{name}", name) for kind in ("involvedObject", "regarding") for name in REFERENCE
]


def fields_of(event: Object) -> dict[str, str]:
    about = event.get("involvedObject") or event.get("regarding") or {}
    found = {name: about.get(field, "") for name, field in _ABOUT}
    controller = event.get("reportingComponent") or event.get("reportingController") or ""
    source = (event.get("source") or event.get("deprecatedSource") or {}).get(
        "component"
    ) or controller
    found |= {
        "reason": event.get("reason", ""),
        "type": event.get("type", ""),
        "source": source,
        "reportingComponent": controller,
        "reportingController": controller,
    }
    return found


def _common(event: Object, about: Object, note: str, controller: str) -> list[FieldError]:
    """What both groups ask of an event, more of one that says when it happened."""
    path, mine = "involvedObject.namespace", about.get("namespace", "")
    namespace = event["metadata"].get("namespace", "")
    if not event.get("eventTime"):
        fits = namespace == mine or (not mine and namespace in {"default", ""})
        return [] if fits else [wrong(path, mine, NO_MATCH)]
    errors: list[FieldError] = []
    if not mine and namespace not in {"default", "kube-system"}:
        errors.append(wrong(path, mine, NO_MATCH))
    if not event.get(controller):
        errors.append(required(controller))
    errors += by(names.qualified, event.get(controller, ""), controller)
    for name, limit in LIMITS.items():
        text = event.get(name, "")
        if not text:
            errors.append(required(name))
        elif len(text.encode()) > limit:
            errors.append(wrong(name, "", f"can have at most {limit} characters"))
    if len(note.encode()) > NOTE_LIMIT:
        errors.append(wrong("message", "", f"can have at most {NOTE_LIMIT} characters"))
    return errors


def check_old(event: Object) -> list[FieldError]:
    about, note = event.get("involvedObject") or {}, event.get("message", "")
    return _common(event, about, note, "reportingComponent")


def _newer(event: Object) -> list[FieldError]:
    about, note = event.get("regarding") or {}, event.get("note", "")
    return _common(event, about, note, "reportingController")


def _series(event: Object) -> list[FieldError]:
    series = event.get("series")
    errors: list[FieldError] = []
    if series is not None and series.get("count", 0) < 2:
        errors.append(wrong("series.count", "", "should be at least 2"))
    if series is not None and not series.get("lastObservedTime"):
        errors.append(required("series.lastObservedTime"))
    return errors


def check_new(event: Object) -> list[FieldError]:
    errors = _newer(event) + _series(event)
    if not event.get("eventTime"):
        errors.append(required("eventTime"))
    kind = event.get("type", "")
    if kind not in {"Normal", "Warning"}:
        errors.append(wrong("type", "", f"has invalid value: {kind}"))
    return errors + [
        wrong(name, "", "needs to be unset") for name in UNSET if event.get(FROZEN[name][0])
    ]


def update_new(new: Object, old: Object) -> list[FieldError]:
    errors = _newer(new)
    if new.get("series") != old.get("series"):
        errors += _series(new)
    for shown, (name, struct) in FROZEN.items():
        if new.get(name) != old.get(name):
            value = new.get(name, UNSET_SHOWN.get(shown, ""))
            fault = unchangeable(shown, compact(struct, value) if struct else value)
            errors += [fault, fault] if name == "reason" else [fault]
    return errors


def before_create(event: Object) -> None:
    """An event without a moment says so."""
    event.setdefault("eventTime", None)


SELECTORS = frozenset(
    {
        *(f"{part}.{n}" for part in ("involvedObject", "regarding") for n in REFERENCE),
        "reason",
        "type",
        "source",
        "reportingComponent",
        "reportingController",
    }
)
EVENTS = Behaviour(
    validate=check_old,
    validate_update=lambda new, old: check_old(new),
    selectable=fields_of,
    selectors=SELECTORS,
    name_rule="any",
    create_by_update=True,
)
NEW_EVENTS = Behaviour(
    validate=check_new,
    validate_update=update_new,
    selectable=fields_of,
    selectors=SELECTORS,
    create_by_update=True,
)
