"""Claims, budgets, network policies, autoscalers, roles and classes."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.amounts import amount
from kaito.local.apiserver.fields import FieldError, denied, required, wrong

Object = dict[str, Any]


def check_budget(budget: Object) -> list[FieldError]:
    spec = budget.get("spec") or {}
    errors: list[FieldError] = []
    if "minAvailable" in spec and "maxUnavailable" in spec:
        errors.append(wrong("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if name in spec:
            errors += amount(spec[name], f"spec.{name}")
    return errors


BUDGETS = Behaviour(
    validate=check_budget,
    validate_update=lambda n, o: check_budget(n),
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


def check_rules(role: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, rule in enumerate(role.get("rules") or ()):
        where = f"rules[{i}]"
        if not rule.get("verbs"):
            errors.append(required(f"{where}.verbs", "verbs must contain at least one value"))
        if rule.get("nonResourceURLs"):
            continue
        if not rule.get("apiGroups"):
            errors.append(
                required(f"{where}.apiGroups", "resource rules must supply at least one api group")
            )
        if not rule.get("resources"):
            errors.append(
                required(f"{where}.resources", "resource rules must supply at least one resource")
            )
    return errors


def default_binding(binding: Object) -> None:
    ref = binding.get("roleRef") or {}
    if ref:
        ref.setdefault("apiGroup", "rbac.authorization.k8s.io")
        binding["roleRef"] = ref
    for subject in binding.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def check_binding(binding: Object) -> list[FieldError]:
    ref = binding.get("roleRef") or {}
    errors: list[FieldError] = []
    if ref.get("kind") not in {"Role", "ClusterRole"}:
        from kaito.local.apiserver.fields import unsupported

        errors.append(unsupported("roleRef.kind", ref.get("kind", ""), ["Role", "ClusterRole"]))
    if not ref.get("name"):
        errors.append(required("roleRef.name"))
    return errors


def update_binding(new: Object, old: Object) -> list[FieldError]:
    errors = check_binding(new)
    if new.get("roleRef") != old.get("roleRef"):
        errors.append(wrong("roleRef", new.get("roleRef"), "cannot change roleRef"))
    return errors


ROLES = Behaviour(
    validate=check_rules, validate_update=lambda n, o: check_rules(n), name_rule="segment"
)
BINDINGS = Behaviour(
    default=default_binding,
    validate=check_binding,
    validate_update=update_binding,
    name_rule="segment",
)


def default_priority(obj: Object) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def update_priority(new: Object, old: Object) -> list[FieldError]:
    if new.get("value", 0) != old.get("value", 0):
        return [denied("value", "may not be changed in an update.")]
    return []


PRIORITY_CLASSES = Behaviour(
    default=default_priority, validate_update=update_priority, generation=True
)


STATUS = Behaviour(
    generation=True, has_status=True, ignored=(("f:status",),), status_ignored=(("f:spec",),)
)
PLAIN = Behaviour(generation=True)


def default_webhooks(obj: Object) -> None:
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    for hook in obj.get("webhooks") or ():
        hook.setdefault("failurePolicy", "Fail")
        hook.setdefault("matchPolicy", "Equivalent")
        hook.setdefault("namespaceSelector", {})
        hook.setdefault("objectSelector", {})
        hook.setdefault("timeoutSeconds", 10)
        if mutating:
            hook.setdefault("reinvocationPolicy", "Never")
        for rule in hook.get("rules") or ():
            rule.setdefault("scope", "*")
        service = (hook.get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)


WEBHOOKS = Behaviour(default=default_webhooks, generation=True)
