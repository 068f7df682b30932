"""Namespaces, Nodes, Leases, Events and ServiceAccounts."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.pod_rules import EFFECTS, listed, not_negative
from kaito.local.apiserver.fields import FieldError, denied, required, unchangeable, wrong

Object = dict[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def default_namespace(obj: Object) -> None:
    meta = obj["metadata"]
    if meta.get("name"):
        meta.setdefault("labels", {})[NAME_LABEL] = meta["name"]


def create_namespace(obj: Object) -> None:
    default_namespace(obj)
    finalizers = (obj.get("spec") or {}).get("finalizers") or []
    if "kubernetes" not in finalizers:
        finalizers = [*finalizers, "kubernetes"]
    obj["spec"] = {"finalizers": finalizers}
    obj["status"] = {"phase": "Active"}


def update_namespace(new: Object, old: Object) -> None:
    new["spec"] = old.get("spec") or {}


def hold_namespace(obj: Object, now: str) -> bool:
    """A namespace with finalizers of its own terminates first."""
    if not (obj.get("spec") or {}).get("finalizers") and not obj["metadata"].get("finalizers"):
        return False
    obj["metadata"].setdefault("deletionTimestamp", now)
    obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
    return True


NAMESPACES = Behaviour(
    hold=hold_namespace,
    default=default_namespace,
    before_create=create_namespace,
    before_update=update_namespace,
    has_status=True,
    ignored=(("f:status",), ("f:spec",)),
    status_ignored=(("f:spec",),),
    name_rule="label",
    selectable=lambda o: {"status.phase": (o.get("status") or {}).get("phase", "")},
    selectors=frozenset({"status.phase"}),
)


def default_node(node: Object) -> None:
    status = node.setdefault("status", {})
    capacity = status.get("capacity")
    if capacity:
        allocatable = status.setdefault("allocatable", {})
        for name, value in capacity.items():
            allocatable.setdefault(name, value)


def create_node(node: Object) -> None:
    taints = node.setdefault("spec", {}).setdefault("taints", [])
    if not any(
        t.get("key") == NOT_READY["key"] and t.get("effect") == NOT_READY["effect"] for t in taints
    ):
        taints.append(dict(NOT_READY))


def check_taints(node: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate((node.get("spec") or {}).get("taints") or ()):
        where = f"metadata.taints[{i}]"
        key, effect = taint.get("key", ""), taint.get("effect", "")
        errors += [wrong(f"{where}.key", key, f) for f in names.qualified(key)]
        errors += [
            wrong(f"{where}.value", taint.get("value", ""), f)
            for f in names.label_value(taint.get("value", ""))
        ]
        if not effect:
            errors.append(required(f"{where}.effect"))
        elif effect not in EFFECTS:
            errors.append(listed(f"{where}.effect", effect, EFFECTS))
        if (key, effect) in seen:
            from kaito.local.apiserver.fields import duplicate

            errors.append(duplicate(where, dict(taint)))
            errors[-1] = FieldError(
                where,
                "Duplicate value",
                dict(taint),
                "taints must be unique by key and effect pair",
            )
        seen.add((key, effect))
    return errors


def update_node(new: Object, old: Object) -> list[FieldError]:
    errors = check_taints(new)
    before = (old.get("spec") or {}).get("providerID", "")
    if before and (new.get("spec") or {}).get("providerID", "") != before:
        errors.append(
            denied(
                "spec.providerID", 'node updates may not change providerID except from "" to valid'
            )
        )
    return errors + check_taints(new)


NODES = Behaviour(
    default=default_node,
    before_create=create_node,
    validate=check_taints,
    validate_update=update_node,
    has_status=True,
    keeps_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    selectable=lambda o: {
        "spec.unschedulable": "true" if (o.get("spec") or {}).get("unschedulable") else "false"
    },
    selectors=frozenset({"spec.unschedulable"}),
)


def check_lease(lease: Object) -> list[FieldError]:
    spec = lease.get("spec") or {}
    errors: list[FieldError] = []
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        errors.append(wrong("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    return errors + not_negative(spec.get("leaseTransitions"), "spec.leaseTransitions")


LEASES = Behaviour(
    validate=check_lease,
    validate_update=lambda n, o: check_lease(n),
    create_by_update=True,
    blind_update=False,
)
EVENT_FIELDS = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def event_fields(event: Object) -> dict[str, str]:
    about = event.get("involvedObject") or event.get("regarding") or {}
    found = {f"involvedObject.{n}": about.get(n, "") for n in EVENT_FIELDS}
    found |= {f"regarding.{n}": about.get(n, "") for n in EVENT_FIELDS}
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


def check_event(event: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    newer = event.get("apiVersion") == "events.k8s.io/v1"
    about = event.get("regarding" if newer else "involvedObject") or {}
    if newer and not event.get("eventTime"):
        errors.append(required("eventTime"))
    if newer and event.get("type", "") not in {"Normal", "Warning"}:
        errors.append(
            wrong("type", event.get("type", ""), f"has invalid value: {event.get('type', '')}")
        )
    if newer and event.get("eventTime"):
        errors += [
            required(n)
            for n in ("reportingController", "reportingInstance", "action", "reason")
            if not event.get(n)
        ]
    namespace, wanted = event["metadata"].get("namespace", ""), about.get("namespace", "")
    if (not wanted and namespace not in {"default", ""}) or (wanted and wanted != namespace):
        errors.append(wrong("involvedObject.namespace", wanted, "does not match event.namespace"))
    return errors


FROZEN = {
    "involvedObject": "regarding",
    "reason": "reason",
    "message": "note",
    "type": "type",
    "action": "action",
    "eventTime": "eventTime",
    "reportingComponent": "reportingController",
    "reportingInstance": "reportingInstance",
}


def update_event(new: Object, old: Object) -> list[FieldError]:
    if new.get("apiVersion") != "events.k8s.io/v1":
        return []
    return [
        unchangeable(core, new.get(mine))
        for core, mine in FROZEN.items()
        if new.get(mine) != old.get(mine)
    ]


EVENTS = Behaviour(
    validate=check_event,
    validate_update=update_event,
    selectable=event_fields,
    selectors=frozenset(
        {
            *(f"involvedObject.{n}" for n in EVENT_FIELDS),
            *(f"regarding.{n}" for n in EVENT_FIELDS),
            "reason",
            "type",
            "source",
            "reportingComponent",
            "reportingController",
        }
    ),
    create_by_update=True,
)
SERVICE_ACCOUNTS = Behaviour()
