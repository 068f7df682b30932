"""Budgets for disruptions, priority classes and webhook configurations."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.amounts import amount, at_most_all
from kaito.local.apiserver.behaviours.conditions import check_conditions
from kaito.local.apiserver.behaviours.podspec.checks import (
    chosen,
    label_selector,
    needs_choice,
    not_negative,
)
from kaito.local.apiserver.fields import FieldError, denied, unchangeable, wrong
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
RESERVED = "system-"
HIGHEST = 1_000_000_000  # of the priorities that users may define
SYSTEM_CLASSES = {"system-cluster-critical": 2000000000, "system-node-critical": 2000001000}


def check_budget(budget: Object) -> list[FieldError]:
    spec = budget.get("spec") or {}
    errors = label_selector(spec.get("selector"), "spec.selector")
    if "minAvailable" in spec and "maxUnavailable" in spec:
        shown = compact("PodDisruptionBudgetSpec", spec)
        errors.append(wrong("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if name in spec:
            path = f"spec.{name}"
            errors += amount(spec[name], path) + at_most_all(spec[name], path)
    policies = ("AlwaysAllow", "IfHealthyBudget")
    policy = spec.get("unhealthyPodEvictionPolicy")
    return errors + chosen(policy, policies, "spec.unhealthyPodEvictionPolicy")


def check_budget_status(new: Object, old: Object) -> list[FieldError]:
    status = new.get("status") or {}
    errors = [*check_conditions(status.get("conditions") or [], "status.conditions")]
    for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        errors += not_negative(status.get(name), f"status.{name}")
    return errors


BUDGETS = Behaviour(
    validate=check_budget,
    validate_update=lambda n, o: check_budget(n),
    validate_status=check_budget_status,
    name_rule="any",
    generation=True,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)


def default_priority(obj: Object) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def check_priority(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    name, value = obj["metadata"].get("name", ""), obj.get("value", 0)
    if name.startswith(RESERVED):
        fault = _reserved(name, value, default=bool(obj.get("globalDefault")))
        if fault:
            says = f"priority class names with '{RESERVED}' prefix are reserved for system use only"
            errors.append(denied("metadata.name", f"{says}. error: {fault}"))
    elif value > HIGHEST:
        says = f"maximum allowed value of a user defined priority is {HIGHEST}"
        errors.append(denied("value", says))
    policies = ("PreemptLowerPriority", "Never")
    return errors + needs_choice(obj.get("preemptionPolicy", ""), policies, "preemptionPolicy")


def _reserved(name: str, value: int, *, default: bool) -> str:
    """Why a class with a reserved name is not one of the system's own."""
    if name not in SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    if value != SYSTEM_CLASSES[name]:
        return f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
    return f"globalDefault of {name} PriorityClass must be false" if default else ""


def update_priority(new: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    if new.get("value", 0) != old.get("value", 0):
        errors.append(denied("value", "may not be changed in an update."))
    if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
        errors.append(unchangeable("preemptionPolicy", new.get("preemptionPolicy")))
    return errors


PRIORITY_CLASSES = Behaviour(
    default=default_priority,
    validate=check_priority,
    validate_update=update_priority,
    generation=True,
)
SIGNING_REQUESTS = Behaviour(
    has_status=True,
    selectable=lambda o: {"spec.signerName": (o.get("spec") or {}).get("signerName", "")},
    selectors=frozenset({"spec.signerName"}),
)
