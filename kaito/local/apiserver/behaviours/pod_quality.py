"""The class of service that a pod gets from what it asks for."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from kaito.local.apiserver import quantity

Object = dict[str, Any]
COMPUTED = ("cpu", "memory")


def quality(pod: Object) -> str:
    """BestEffort, Burstable or Guaranteed, from requests and limits of cpu and memory.

    Those of the pod as a whole count where it has any, else those of its containers.
    """
    spec = pod.get("spec") or {}
    own = spec.get("resources")
    holders: Iterable[Object] = (
        [spec]
        if own is not None
        else [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    )
    totals: dict[str, dict[str, Decimal]] = {"requests": {}, "limits": {}}
    bounded = True
    for holder in holders:
        resources = holder.get("resources") or {}
        for part, total in totals.items():
            for name in COMPUTED:
                amount = quantity.value((resources.get(part) or {}).get(name, "0"))
                if amount > 0:
                    total[name] = total.get(name, Decimal(0)) + amount
        limits = resources.get("limits") or {}
        bounded &= all(quantity.value(limits.get(name, "0")) > 0 for name in COMPUTED)
    if not totals["requests"] and not totals["limits"]:
        return "BestEffort"
    return "Guaranteed" if bounded and totals["requests"] == totals["limits"] else "Burstable"
