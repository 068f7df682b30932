"""Claims, budgets, network policies, autoscalers, roles and classes."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.pod_rules import not_negative
from kaito.local.apiserver.fields import FieldError, denied, required, unchangeable, wrong

Object = dict[str, Any]
CLAIM_SAYS = (
    "spec is immutable after creation except resources.requests and "
    "volumeAttributesClassName for bound claims"
)
PROTECTED = "kubernetes.io/pvc-protection"


def default_claim(claim: Object) -> None:
    claim.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    claim.setdefault("status", {}).setdefault("phase", "Pending")


def create_claim(claim: Object) -> None:
    claim["status"] = {"phase": "Pending"}


def check_claim(claim: Object) -> list[FieldError]:
    spec = claim.get("spec") or {}
    errors: list[FieldError] = []
    modes = spec.get("accessModes") or []
    if not modes:
        errors.append(required("spec.accessModes", "at least 1 access mode is required"))
    allowed = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
    for mode in modes:
        if mode not in allowed:
            from kaito.local.apiserver.fields import unsupported

            errors.append(unsupported("spec.accessModes", mode, allowed))
    storage = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        errors.append(required("spec.resources[storage]"))
    elif quantity.value(storage) <= 0:
        errors.append(wrong("spec.resources[storage]", storage, "must be greater than zero"))
    return errors


def update_claim(new: Object, old: Object) -> list[FieldError]:
    errors = check_claim(new)
    mine, before = dict(new["spec"]), dict(old["spec"])
    if not before.get("volumeName"):
        for name in ("volumeName",):
            mine.pop(name, None)
    if (old.get("status") or {}).get("phase") == "Bound":
        mine.pop("resources", None)
        before.pop("resources", None)
    if mine != before:
        errors.append(denied("spec", f"{CLAIM_SAYS}\n{_difference(before, mine)}"))
    return errors


def _difference(old: Object, new: Object) -> str:
    import json

    return "\n".join(
        f"-{k}: {json.dumps(old.get(k))}\n+{k}: {json.dumps(new.get(k))}"
        for k in sorted({*old, *new})
        if old.get(k) != new.get(k)
    )


CLAIMS = Behaviour(
    default=default_claim,
    before_create=create_claim,
    validate=check_claim,
    validate_update=update_claim,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
    name_rule="subdomain",
)


def default_volume(volume: Object) -> None:
    spec = volume.setdefault("spec", {})
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    spec.setdefault("volumeMode", "Filesystem")
    volume.setdefault("status", {}).setdefault("phase", "Pending")


def create_volume(volume: Object) -> None:
    volume["status"] = {"phase": "Pending"}


VOLUMES = Behaviour(
    default=default_volume,
    before_create=create_volume,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)


def check_budget(budget: Object) -> list[FieldError]:
    spec = budget.get("spec") or {}
    errors: list[FieldError] = []
    if "minAvailable" in spec and "maxUnavailable" in spec:
        errors.append(wrong("spec", spec, "minAvailable and maxUnavailable cannot be both set"))
    for name in ("minAvailable", "maxUnavailable"):
        if name in spec:
            from kaito.local.apiserver.behaviours.workloads import check_amount

            errors += check_amount(spec[name], f"spec.{name}")
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


def default_storage_class(obj: Object) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def check_storage_class(obj: Object) -> list[FieldError]:
    return [] if obj.get("provisioner") else [required("provisioner")]


def update_storage_class(new: Object, old: Object) -> list[FieldError]:
    return [
        denied("parameters", "updates to parameters are forbidden.")
        if name == "parameters"
        else unchangeable(name, new.get(name))
        for name in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
        if new.get(name) != old.get(name)
    ]


STORAGE_CLASSES = Behaviour(
    default=default_storage_class,
    validate=check_storage_class,
    validate_update=update_storage_class,
)


def default_quota(obj: Object) -> None:
    obj.setdefault("spec", {})


QUOTAS = Behaviour(
    default=default_quota, has_status=True, ignored=(("f:status",),), status_ignored=(("f:spec",),)
)


def check_counts(obj: Object) -> list[FieldError]:
    return not_negative((obj.get("spec") or {}).get("replicas"), "spec.replicas")


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
