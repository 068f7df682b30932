"""Nodes."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import by, needs_choice
from kaito.local.apiserver.behaviours.podspec.placement import EFFECTS
from kaito.local.apiserver.behaviours.quotas import check_amounts
from kaito.local.apiserver.behaviours.values import network, parse_network
from kaito.local.apiserver.fields import FieldError, denied, wrong
from kaito.local.apiserver.gotext import compact
from kaito.local.apiserver.jsontext import TextError, parse_json

Object = dict[str, Any]
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
AVOIDED = "scheduler.alpha.kubernetes.io/preferAvoidPods"
ONCE = 'node updates may not change {} except from "" to valid'


def default(node: Object) -> None:
    status = node.setdefault("status", {})
    if status.get("capacity"):
        status["allocatable"] = status.get("allocatable") or dict(status["capacity"])
    _settle_ranges(node.get("spec") or {})


def _settle_ranges(spec: Object) -> None:
    """`podCIDR` and `podCIDRs` say the same; the former wins."""
    one, many = spec.get("podCIDR", ""), spec.get("podCIDRs") or []
    if one and many[:1] != [one]:
        spec["podCIDRs"] = [one]
    elif many and not one:
        spec["podCIDR"] = many[0]


def before_create(node: Object) -> None:
    spec = node.setdefault("spec", {})
    spec.pop("configSource", None)
    taints = spec.setdefault("taints", [])
    known = {(t.get("key"), t.get("effect")) for t in taints}
    if (NOT_READY["key"], NOT_READY["effect"]) not in known:
        taints.append(dict(NOT_READY))


def before_update(new: Object, old: Object) -> None:
    if "configSource" not in (old.get("spec") or {}):
        (new.get("spec") or {}).pop("configSource", None)


def validate(node: Object) -> list[FieldError]:
    errors, path = _common(node), "spec.podCIDRs"
    ranges = (node.get("spec") or {}).get("podCIDRs") or []
    for i, text in enumerate(ranges):
        errors += network(text, f"{path}[{i}]")
    found = [parse_network(text) for text in ranges]
    versions = [n.version for n in found if n is not None]
    if len(ranges) > 1 and len(found) == len(versions) and len(set(versions)) < len(versions):
        errors.append(wrong(path, ranges, "may specify no more than one CIDR for each IP family"))
    return errors


def _common(node: Object) -> list[FieldError]:
    status = node.get("status") or {}
    errors = _avoided(node["metadata"].get("annotations") or {})
    errors += _taints((node.get("spec") or {}).get("taints") or [])
    for part in ("capacity", "allocatable"):
        errors += check_amounts(status.get(part) or {}, f"status.{part}.{{}}")
    return errors


def _avoided(annotations: dict[str, str]) -> list[FieldError]:
    path = "metadata.annotations.AvoidPods"
    if AVOIDED not in annotations:
        return []
    try:
        parse_json(annotations[AVOIDED].encode())
    except TextError as error:
        return [wrong(path, AVOIDED, str(error))]
    return []


def _taints(taints: list[Object]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        path = f"metadata.taints[{i}]"
        key, value, effect = (taint.get(n, "") for n in ("key", "value", "effect"))
        errors += by(names.qualified, key, f"{path}.key")
        if faults := names.label_value(value):
            errors.append(wrong(f"{path}.value", value, ";".join(faults)))
        errors += needs_choice(effect, EFFECTS, f"{path}.effect")
        if (key, effect) in seen:
            says = "taints must be unique by key and effect pair"
            errors.append(FieldError(path, "Duplicate value", compact("Taint", taint), says))
        seen.add((key, effect))
    return errors


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validate(new) + validate_status(new, old)


def validate_status(new: Object, old: Object) -> list[FieldError]:
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    errors = _common(new)
    addresses = (new.get("status") or {}).get("addresses") or []
    for i, address in enumerate(addresses):
        if address in addresses[:i]:
            shown = compact("NodeAddress", address)
            errors.append(FieldError(f"status.addresses[{i}]", "Duplicate value", shown))
    mine, kept = spec.get("podCIDRs") or [], before.get("podCIDRs") or []
    changes = sum(a != b for a, b in zip(mine, kept, strict=False))
    if kept:
        count = 1 if len(mine) != len(kept) else changes
        errors += [denied("spec.podCIDRs", ONCE.format("podCIDR"))] * count
    if before.get("providerID") and spec.get("providerID", "") != before["providerID"]:
        errors.append(denied("spec.providerID", ONCE.format("providerID")))
    if spec.get("externalID", "") != before.get("externalID", ""):
        errors.append(denied("spec.externalID", "may not be updated"))
    return errors


def warnings(node: Object) -> list[str]:
    spec = node.get("spec") or {}
    found: list[str] = []
    if "configSource" in spec:
        found.append("spec.configSource: the feature is removed")
    if spec.get("externalID"):
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    return found


NODES = Behaviour(
    default=default,
    before_create=before_create,
    before_update=before_update,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    warnings=warnings,
    has_status=True,
    keeps_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    selectable=lambda o: {
        "spec.unschedulable": "true" if (o.get("spec") or {}).get("unschedulable") else "false"
    },
    selectors=frozenset({"spec.unschedulable"}),
)
