"""HorizontalPodAutoscalers of both versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import (
    by,
    chosen,
    needed,
    not_negative,
)
from kaito.local.apiserver.behaviours.podspec.resources import container_name
from kaito.local.apiserver.fields import FieldError, denied, required, unsupported, wrong

Object = dict[str, Any]
USUAL_LOAD = 80  # percent of what pods ask for
LONGEST_WINDOW, LONGEST_PERIOD = 3600, 1800  # seconds
# What each type of metric is found under, in the order in which a server looks at them.
SOURCES = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}
TARGETS = {"Utilization", "Value", "AverageValue"}
FAST = {"type": "Pods", "value": 4, "periodSeconds": 15}
FULL = {"type": "Percent", "value": 100, "periodSeconds": 15}
RULES: dict[str, Object] = {
    "scaleUp": {
        "selectPolicy": "Max",
        "policies": [FAST, FULL],
        "stabilizationWindowSeconds": 0,
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [FULL]},
}


def default(scaler: Object) -> None:
    spec = scaler.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if scaler.get("apiVersion") == "autoscaling/v1":
        spec.setdefault("targetCPUUtilizationPercentage", USUAL_LOAD)
        return
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": USUAL_LOAD}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if "behavior" in spec:
        for part, usual in RULES.items():
            given = spec["behavior"].get(part) or {}
            policies = [dict(p) for p in given.get("policies") or usual["policies"]]
            spec["behavior"][part] = {**usual, **given, "policies": policies}


def validate(scaler: Object) -> list[FieldError]:
    spec = scaler.get("spec") or {}
    least, most = spec.get("minReplicas"), spec.get("maxReplicas", 0)
    errors: list[FieldError] = []
    if least is not None and least < 1:
        errors.append(wrong("spec.minReplicas", least, "must be greater than or equal to 1"))
    path = "spec.maxReplicas"
    if most == 0:
        errors.append(required(path, "must be set and greater than 0"))
    elif most < 0:
        errors.append(wrong(path, most, "must be greater than or equal to 1"))
    if least is not None and most < least:
        errors.append(wrong(path, most, "must be greater than or equal to `minReplicas`"))
    errors += [*_target(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")]
    metrics = spec.get("metrics") or []
    for i, metric in enumerate(metrics):
        errors += [*_metric(metric, f"spec.metrics[{i}]")]
    if least == 0 and not {m.get("type") for m in metrics} & {"Object", "External"}:
        says = "must specify at least one Object or External metric to support scaling to zero"
        errors.append(denied("spec.metrics", f"{says} replicas"))
    for part in RULES:
        rules = (spec.get("behavior") or {}).get(part)
        if rules is not None:
            errors += [*_rules(rules, f"spec.behavior.{part}")]
    return errors


def _target(reference: Object, path: str, *, core: bool = False) -> Iterator[FieldError]:
    """A reference to what is scaled or measured; `core` allows kinds without a group."""
    for part in ("kind", "name"):
        yield from needed(names.path_segment, reference.get(part, ""), f"{path}.{part}")
    version = reference.get("apiVersion", "")
    if version.count("/") > 1:
        yield wrong(f"{path}.apiVersion", version, f"unexpected GroupVersion string: {version}")
    elif not core and "/" not in version:
        yield wrong(f"{path}.apiVersion", version, "apiVersion must specify API group")


def _metric(metric: Object, path: str) -> Iterator[FieldError]:
    kind = metric.get("type", "")
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
    if kind not in SOURCES:  # said by two checks
        yield from [unsupported(f"{path}.type", kind, SOURCES)] * 2
    present = [part for part in SOURCES.values() if part in metric]
    for part in present[:1]:
        yield from _source(metric[part] or {}, part, f"{path}.{part}")
    mine = SOURCES.get(kind)
    if mine and mine not in present:
        says = "must populate information for the given metric source"
        yield required(f"{path}.{mine}", says)
    if len(present) != 1:
        for part in present:
            if part != mine:
                yield denied(f"{path}.{part}", "must populate the given metric source only")


def _source(source: Object, part: str, path: str) -> Iterator[FieldError]:
    target = source.get("target") or {}
    where = f"{path}.target"
    value, mean, load = (target.get(n) for n in ("value", "averageValue", "averageUtilization"))
    if part == "object":
        yield from _target(
            source.get("describedObject") or {}, f"{path}.describedObject", core=True
        )
    if part in {"object", "external", "pods"}:
        yield from _name((source.get("metric") or {}).get("name", ""), f"{path}.metric.name")
    else:
        yield from _resource(source, part, path)
    yield from _amounts(target, where)
    if part in {"resource", "containerResource"}:
        if mean is None and load is None:
            says = "must set either a target raw value or a target utilization"
            yield required(f"{where}.averageUtilization", says)
        if mean is not None and load is not None:
            says = "may not set both a target raw value and a target utilization"
            yield denied(f"{where}.averageValue", says)
    elif part == "pods" and mean is None:
        yield required(f"{where}.averageValue", "must specify a positive target averageValue")
    elif part != "pods" and value is None and mean is None:
        what = (
            "value or averageValue" if part == "object" else "value for metric or a per-pod target"
        )
        yield required(f"{where}.averageValue", f"must set either a target {what}")
    elif part == "external" and value is not None and mean is not None:
        says = "may not set both a target value for metric and a per-pod target"
        yield denied(f"{where}.value", says)


def _name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path, "must specify a metric name")]
    return by(names.path_segment, name, path)


def _resource(source: Object, part: str, path: str) -> Iterator[FieldError]:
    name = source.get("name", "")
    if not name:
        yield required(f"{path}.name", "must specify a resource name")
    if part == "resource":
        return
    if name:
        yield from container_name(name, f"{path}.name")
    container = source.get("container", "")
    if container:
        yield from by(names.label, container, f"{path}.container")
    else:
        yield required(f"{path}.container", "must specify a container")


def _amounts(target: Object, path: str) -> Iterator[FieldError]:
    kind = target.get("type", "")
    if not kind:
        yield required(f"{path}.type", "must specify a metric target type")
    if kind not in TARGETS:
        yield wrong(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue")
    for name in ("value", "averageValue"):
        if name in target and quantity.value(target[name]) <= 0:
            yield wrong(f"{path}.{name}", target[name], "must be positive")
    if target.get("averageUtilization", 1) < 1:
        load = target["averageUtilization"]
        yield wrong(f"{path}.averageUtilization", load, "must be greater than 0")


def _rules(rules: Object, path: str) -> Iterator[FieldError]:
    window, where = rules.get("stabilizationWindowSeconds"), f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        yield wrong(where, window, "must be greater than or equal to zero")
    if window is not None and window > LONGEST_WINDOW:
        yield wrong(where, window, f"must be less than or equal to {LONGEST_WINDOW}")
    selects = ("Disabled", "Max", "Min")
    yield from chosen(rules.get("selectPolicy"), selects, f"{path}.selectPolicy")
    policies = rules.get("policies") or []
    if not policies:
        yield required(f"{path}.policies", "must specify at least one Policy")
    for i, policy in enumerate(policies):
        at, seconds = f"{path}.policies[{i}]", policy.get("periodSeconds", 0)
        yield from chosen(policy.get("type", ""), ("Percent", "Pods"), f"{at}.type")
        for name in ("value", "periodSeconds"):
            if policy.get(name, 0) <= 0:
                yield wrong(f"{at}.{name}", policy.get(name, 0), "must be greater than zero")
        if seconds > LONGEST_PERIOD:
            says = f"must be less than or equal to {LONGEST_PERIOD}"
            yield wrong(f"{at}.periodSeconds", seconds, says)


def validate_status(new: Object, old: Object) -> list[FieldError]:
    status = new.get("status") or {}
    errors: list[FieldError] = []
    for name in ("currentReplicas", "desiredReplicas"):
        errors += not_negative(status.get(name), f"status.{name}")
    return errors


AUTOSCALERS = Behaviour(
    default=default,
    validate=validate,
    validate_update=lambda new, old: validate(new),
    validate_status=validate_status,
    has_status=True,
    ignored=(("f:status",),),
    status_ignored=(("f:spec",),),
)
