"""The cells of autoscalers: what they scale, and each metric beside its target."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.cells.pieces import NONE, UNKNOWN, UNSET, Object, made, name

SHOWN = 2  # metrics of one autoscaler; of the others the number is told


def autoscaler(obj: Object, now: float) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    ref = spec.get("scaleTargetRef") or {}
    return [
        name(obj),
        f"{ref.get('kind', '')}/{ref.get('name', '')}",
        _targets(spec, status),
        str(spec["minReplicas"]) if "minReplicas" in spec else UNSET,
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        made(obj, now),
    ]


def _targets(spec: Object, status: Object) -> str:
    if "targetCPUUtilizationPercentage" in spec:
        now = status.get("currentCPUUtilizationPercentage")
        shown = UNKNOWN if now is None else f"{now}%"
        return f"cpu: {shown}/{spec['targetCPUUtilizationPercentage']}%"
    current = status.get("currentMetrics") or []
    metrics = spec.get("metrics") or []
    found = [
        _metric(metric, current[i] if i < len(current) else {})
        for i, metric in enumerate(metrics[:SHOWN])
    ]
    more = f" + {len(metrics) - SHOWN} more..." if len(metrics) > SHOWN else ""
    return (", ".join(found) or NONE) + more


def _metric(metric: Object, current: Object) -> str:
    kind = metric.get("type") or ""
    field = kind[:1].lower() + kind[1:]
    part, target = metric.get(field) or {}, (metric.get(field) or {}).get("target") or {}
    now = (current.get(field) or {}).get("current") or {}
    if kind in {"Resource", "ContainerResource"}:
        if "averageValue" in target:
            shown, wanted = now.get("averageValue", UNKNOWN), target["averageValue"]
        else:
            used, aim = now.get("averageUtilization"), target.get("averageUtilization")
            shown = UNKNOWN if used is None else f"{used}%"
            wanted = "<auto>" if aim is None else f"{aim}%"
        return f"{part.get('name', '')}: {shown}/{wanted}"
    if kind == "Pods" or "averageValue" not in target:
        unit = "averageValue" if kind == "Pods" else "value"
        return f"{now.get(unit, UNKNOWN)}/{target.get(unit, '')}"
    return f"{now.get('averageValue', UNKNOWN)}/{target['averageValue']} (avg)"
