"""ResourceQuotas and LimitRanges: amounts of resources, by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import NOT_NEGATIVE, by
from kaito.local.apiserver.behaviours.podspec.resources import (
    COUNTED,
    HUGE,
    REQUESTS,
    STANDARD,
    container_name,
    extended,
    overcommitted,
    standard_name,
)
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    duplicate,
    required,
    unchangeable,
    wrong,
)
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
OF_PODS = {"pods", *(f"{p}{m}" for p in ("", "requests.", "limits.") for m in ("cpu", "memory"))}
SCOPES = {  # and the resources whose use each of them can narrow
    "BestEffort": {"pods"},
    "NotBestEffort": OF_PODS,
    "Terminating": OF_PODS,
    "NotTerminating": OF_PODS,
    "PriorityClass": OF_PODS,
    "CrossNamespacePodAffinity": OF_PODS,
    "VolumeAttributesClass": {"persistentvolumeclaims", "requests.storage"},
}
SIMPLE = set(SCOPES) - {"PriorityClass", "VolumeAttributesClass"}
CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
ONLY_EXISTS = "must be 'Exists' when scope is any of " + " or ".join(
    (
        ", ".join(
            f"ResourceQuotaScope{s}"
            for s in ("Terminating", "NotTerminating", "BestEffort", "NotBestEffort")
        ),
        "ResourceQuotaScopeCrossNamespacePodAffinity",
    )
)
TYPES = {"Pod", "Container", "PersistentVolumeClaim"}


def check_amounts(
    amounts: Mapping[str, str], path: str, *, named: bool = False
) -> list[FieldError]:
    """Faults of amounts by the names of their resources, for which `{}` stands in the path.

    `named` looks at the names too.
    """
    errors: list[FieldError] = []
    for name, text in sorted(amounts.items()):
        where, value = path.format(name), quantity.value(text)
        if named:
            errors += _quota_name(name, where)
        if value < 0:
            errors.append(wrong(where, text, NOT_NEGATIVE))
        if (name in COUNTED or extended(name)) and quantity.fractional(value):
            errors.append(wrong(where, text, "must be an integer"))
    return errors


def _quota_name(name: str, path: str) -> list[FieldError]:
    errors = standard_name(name, path)
    known = name in STANDARD - {"storage"} or name.startswith((HUGE, REQUESTS + HUGE))
    if "/" not in name and not known:
        errors.append(wrong(path, name, "must be a standard resource for quota"))
    return errors


def default_quota(quota: Object) -> None:
    quota.setdefault("spec", {})


def check_quota(quota: Object) -> list[FieldError]:
    spec = quota.get("spec") or {}
    hard = spec.get("hard") or {}
    errors = check_amounts(hard, "spec.hard[{}]", named=True)
    scopes = spec.get("scopes") or []
    for scope in scopes:
        errors += _scope(scope, hard, "spec.scopes", "spec.scopes", scopes, scopes)
    errors += [*_conflicts(set(scopes), "spec.scopes", scopes)]
    if "scopeSelector" in spec:
        errors += [*_selector(spec, hard, "spec.scopeSelector.matchExpressions")]
    return errors


def _scope(
    scope: str, hard: Object, path: str, applied: str, shown: Any, whole: Any
) -> list[FieldError]:
    """Faults of one scope and of its use for resources that it does not fit."""
    if scope not in SCOPES:
        return [wrong(path, shown, "unsupported scope")]
    fits = SCOPES[scope]
    narrowed = [n for n in hard if n in STANDARD and n not in fits]
    return [wrong(applied, whole, "unsupported scope applied to resource") for _ in narrowed]


def _conflicts(scopes: set[str], path: str, shown: Any) -> Iterator[FieldError]:
    for pair in CONFLICTS:
        if pair <= scopes:
            yield wrong(path, shown, "conflicting scopes")


def _selector(spec: Object, hard: Object, path: str) -> Iterator[FieldError]:
    rules = (spec["scopeSelector"] or {}).get("matchExpressions") or []
    for rule in rules:
        scope, operator = rule.get("scopeName", ""), rule.get("operator", "")
        values = rule.get("values") or []
        shown = compact("ScopeSelector", spec["scopeSelector"])
        yield from _scope(scope, hard, f"{path}.scopeName", path, scope, shown)
        if scope in SIMPLE and operator != "Exists":
            yield wrong(f"{path}.operator", operator, ONLY_EXISTS)
        if operator in {"In", "NotIn"}:
            if not values:
                says = "must be at least one value when `operator` is 'In' or 'NotIn' for scope "
                yield required(f"{path}.values", f"{says}selector")
        elif operator not in {"Exists", "DoesNotExist"}:
            yield wrong(f"{path}.operator", operator, "not a valid selector operator")
        elif values:
            says = (
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
            )
            yield wrong(f"{path}.values", values, says)
    yield from _conflicts({r.get("scopeName", "") for r in rules}, path, spec.get("scopes"))


def update_quota(new: Object, old: Object) -> list[FieldError]:
    scopes = new["spec"].get("scopes") or []
    errors = check_quota(new)
    if set(scopes) != set((old.get("spec") or {}).get("scopes") or ()):
        errors.append(unchangeable("spec.scopes", scopes))
    return errors


def check_quota_status(new: Object, old: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for part in ("hard", "used"):
        amounts = (new.get("status") or {}).get(part) or {}
        errors += check_amounts(amounts, f"status.{part}[{{}}]", named=True)
    return errors


QUOTAS = Behaviour(
    default=default_quota,
    validate=check_quota,
    validate_update=update_quota,
    validate_status=check_quota_status,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)


def default_limits(obj: Object) -> None:
    """What containers are limited to by default follows from what they may have at most."""
    for limit in (obj.get("spec") or {}).get("limits") or ():
        if limit.get("type") != "Container":
            continue
        usual = {**(limit.get("max") or {}), **(limit.get("default") or {})}
        asked = {**(limit.get("min") or {}), **usual, **(limit.get("defaultRequest") or {})}
        for name, found in (("default", usual), ("defaultRequest", asked)):
            if found:
                limit[name] = found


def check_limits(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{i}]", limit.get("type", "")
        faults = by(names.qualified, kind, f"{path}.type")
        if not faults and "/" not in kind and kind not in TYPES:
            says = "must be a standard limit type or fully qualified"
            faults = [wrong(f"{path}.type", kind, says)]
        errors += faults
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        errors += _limit(limit, kind, path)
    return errors


def _limit(limit: Object, kind: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    rule = container_name if kind in {"Pod", "Container"} else standard_name
    parts = ["max", "min", "maxLimitRequestRatio"]
    if kind == "Pod":
        errors += [
            denied(f"{path}.{part}", "may not be specified when `type` is 'Pod'")
            for part in ("default", "defaultRequest")
            if limit.get(part)
        ]
    else:
        parts += ["default", "defaultRequest"]
    found: dict[str, dict[str, str]] = {}
    for part in parts:
        for name, text in (limit.get(part) or {}).items():
            errors += rule(name, f"{path}.{part}[{name}]")
            found.setdefault(name, {})[part] = text
    if kind == "PersistentVolumeClaim" and not found.get("storage", {}).keys() & {"min", "max"}:
        says = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", says))
    for name, amounts in sorted(found.items()):
        errors += [*_order(name, amounts, path)]
    return errors


# Amounts of which the first may not exceed the second: (lower, upper, field, shown, names).
ORDERED = (
    ("min", "max", "min", "min", ("min", "max")),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", ("min", "default request")),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", ("default request", "max")),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        ("default request", "default limit"),
    ),
    ("min", "default", "default", "min", ("min", "default")),
    ("default", "max", "default", "max", ("default", "max")),
)


def _order(name: str, amounts: dict[str, str], path: str) -> Iterator[FieldError]:
    value = {part: quantity.value(text) for part, text in amounts.items()}
    for low, high, place, shown, (one, other) in ORDERED:
        if low in value and high in value and value[low] > value[high]:
            says = f"{one} value {amounts[low]} is greater than {other} value {amounts[high]}"
            yield wrong(f"{path}.{place}[{name}]", amounts[shown], says)
    ratio, where = "maxLimitRequestRatio", f"{path}.maxLimitRequestRatio[{name}]"
    if ratio in value and value[ratio] < 1:
        yield wrong(where, amounts[ratio], f"ratio {amounts[ratio]} is less than 1")
    if {ratio, "min", "max"} <= value.keys() and value["min"]:
        most = value["max"] / value["min"]
        if value[ratio] > most:
            says = f"ratio {amounts[ratio]} is greater than max/min = {float(most):f}"
            yield wrong(where, amounts[ratio], says)
    usual, asked = value.get("default"), value.get("defaultRequest")
    if not overcommitted(name) and None not in (usual, asked) and usual != asked:
        says = (
            f"default value {amounts['default']} must equal to defaultRequest value "
            f"{amounts['defaultRequest']} in {name}"
        )
        yield wrong(f"{path}.defaultRequest[{name}]", amounts["defaultRequest"], says)


def name_limits(obj: Object, uid: str) -> None:
    """Limits without a name are called by their identity."""
    if not obj["metadata"].get("name"):
        obj["metadata"]["name"] = uid


LIMIT_RANGES = Behaviour(
    default=default_limits,
    after_identity=name_limits,
    validate=check_limits,
    validate_update=lambda new, old: check_limits(new),
)
