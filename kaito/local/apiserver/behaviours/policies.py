"""Claims, budgets, network policies, autoscalers, roles and classes."""

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


def default_network_policy(policy: Object) -> None:
    spec = policy.setdefault("spec", {})
    for part in ("ingress", "egress"):
        for rule in spec.get(part) or ():
            for port in rule.get("ports") or ():
                port.setdefault("protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]


NETWORK_POLICIES = Behaviour(default=default_network_policy, generation=True)


def default_autoscaler(scaler: Object) -> None:
    spec = scaler.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if scaler.get("apiVersion") == "autoscaling/v1":
        spec.setdefault("targetCPUUtilizationPercentage", 80)
        return
    if not spec.get("metrics"):
        spec["metrics"] = [
            {
                "type": "Resource",
                "resource": {
                    "name": "cpu",
                    "target": {"type": "Utilization", "averageUtilization": 80},
                },
            }
        ]


def check_autoscaler(scaler: Object) -> list[FieldError]:
    spec = scaler.get("spec") or {}
    errors = []
    if spec.get("maxReplicas", 0) < 1:
        errors.append(
            wrong("spec.maxReplicas", spec.get("maxReplicas", 0), "must be greater than 0")
        )
    elif spec["maxReplicas"] < spec.get("minReplicas", 1):
        errors.append(
            wrong(
                "spec.maxReplicas",
                spec["maxReplicas"],
                "must be greater than or equal to `minReplicas`",
            )
        )
    return errors


AUTOSCALERS = Behaviour(
    default=default_autoscaler,
    validate=check_autoscaler,
    validate_update=lambda n, o: check_autoscaler(n),
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
    policies = ("Never", "PreemptLowerPriority")
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


STATUS = Behaviour(
    generation=True, has_status=True, ignored=(("f:status",),), status_ignored=(("f:spec",),)
)
PLAIN = Behaviour(generation=True)
