"""The cells of what decides who may do what."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.cells.pieces import NONE, UNSET, Object, made, name
from kaito.local.apiserver.tables import duration


def binding(obj: Object, now: float) -> list[Any]:
    ref = obj.get("roleRef") or {}
    found: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or ():
        shown = subject.get("name", "")
        if subject.get("kind") == "ServiceAccount":
            shown = f"{subject.get('namespace', '')}/{shown}"
        found.setdefault(subject.get("kind", ""), []).append(shown)
    return [
        name(obj),
        f"{ref.get('kind', '')}/{ref.get('name', '')}",
        made(obj, now),
        ", ".join(found["User"]),
        ", ".join(found["Group"]),
        ", ".join(found["ServiceAccount"]),
    ]


def webhooks(obj: Object, now: float) -> list[Any]:
    return [name(obj), len(obj.get("webhooks") or ()), made(obj, now)]


def signing_request(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    types = {c.get("type") for c in status.get("conditions") or ()}
    state = "Denied" if "Denied" in types else "Approved" if "Approved" in types else "Pending"
    state += ",Failed" if "Failed" in types else ""
    state += ",Issued" if status.get("certificate") else ""
    wanted = spec.get("expirationSeconds")
    return [
        name(obj),
        made(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        NONE if wanted is None else duration(wanted),
        state,
    ]


def admission_policy(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    rules = spec.get("validations") or spec.get("mutations") or ()
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else UNSET
    return [name(obj), len(rules), shown, made(obj, now)]


def admission_binding(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    ref = spec.get("paramRef") or {}
    shown = f"{ref.get('namespace') or '*'}/{ref['name']}" if ref.get("name") else UNSET
    return [name(obj), spec.get("policyName", ""), shown, made(obj, now)]


def flow_schema(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    dangling = [c for c in status.get("conditions") or () if c.get("type") == "Dangling"]
    return [
        name(obj),
        (spec.get("priorityLevelConfiguration") or {}).get("name", ""),
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type", NONE),
        made(obj, now),
        dangling[0].get("status", "") if dangling else "?",
    ]


def priority_level(obj: Object, now: float) -> list[Any]:
    spec = obj.get("spec") or {}
    limited = spec.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    return [
        name(obj),
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", NONE),
        *(queuing.get(n, NONE) for n in ("queues", "handSize", "queueLengthLimit")),
        made(obj, now),
    ]
