"""Namespaces, Leases and ServiceAccounts."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import by, not_negative
from kaito.local.apiserver.fields import (
    FieldError,
    wrong,
)
from kaito.local.apiserver.meta import STANDARD_FINALIZERS

Object = dict[str, Any]
NAME_LABEL = "kubernetes.io/metadata.name"


def default_namespace(obj: Object) -> None:
    meta = obj["metadata"]
    if meta.get("name"):
        meta.setdefault("labels", {})[NAME_LABEL] = meta["name"]
    if not obj.setdefault("status", {}).get("phase"):
        obj["status"]["phase"] = "Active"


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


def check_namespace(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for text in (obj.get("spec") or {}).get("finalizers") or ():
        errors += by(names.qualified, text, "spec.finalizers")
        if "/" not in text and text not in STANDARD_FINALIZERS:
            says = "name is neither a standard finalizer name nor is it fully qualified"
            errors.append(wrong("spec.finalizers", text, says))
    return errors


def check_namespace_status(new: Object, old: Object) -> list[FieldError]:
    """The phase follows from whether the namespace is being deleted."""
    phase = (new.get("status") or {}).get("phase", "")
    ending = "deletionTimestamp" in new["metadata"]
    if phase == ("Terminating" if ending else "Active"):
        return []
    says = (
        "may only be 'Terminating' if `deletionTimestamp` is not empty"
        if ending
        else "may only be 'Active' if `deletionTimestamp` is empty"
    )
    return [wrong("status.Phase", phase, says)]


NAMESPACES = Behaviour(
    hold=hold_namespace,
    default=default_namespace,
    before_create=create_namespace,
    before_update=update_namespace,
    validate=check_namespace,
    validate_status=check_namespace_status,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    name_rule="label",
    selectable=lambda o: {"status.phase": (o.get("status") or {}).get("phase", "")},
    selectors=frozenset({"status.phase"}),
)


def check_lease(lease: Object) -> list[FieldError]:
    spec = lease.get("spec") or {}
    errors: list[FieldError] = []
    duration = spec.get("leaseDurationSeconds")
    if duration is not None and duration <= 0:
        errors.append(wrong("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    return errors + not_negative(spec.get("leaseTransitions"), "spec.leaseTransitions")


def drop_strategy(lease: Object) -> None:
    """Leases that servers agree on are an experiment that is off."""
    for name in ("strategy", "preferredHolder"):
        (lease.get("spec") or {}).pop(name, None)


LEASES = Behaviour(
    before_create=drop_strategy,
    before_update=lambda new, old: drop_strategy(new),
    validate=check_lease,
    validate_update=lambda n, o: check_lease(n),
    create_by_update=True,
    blind_update=False,
)
SERVICE_ACCOUNTS = Behaviour()
