"""Requests and limits of a whole pod, and what its containers ask for together."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.behaviours.podspec.resources import HUGE, check_resources, pod_name
from kaito.local.apiserver.fields import FieldError, denied, wrong

Object = dict[str, Any]


def supported(name: str) -> bool:
    """Can a pod as a whole ask for the resource?"""
    return name in {"cpu", "memory"} or name.startswith(HUGE)


def asked(spec: Object, part: str) -> dict[str, str]:
    """What the containers need at most at any time: `part` is requests or limits."""
    total = _added({}, *(_of(c, part) for c in spec.get("containers") or ()))
    staying: dict[str, str] = {}
    first: dict[str, str] = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, part)
        if container.get("restartPolicy") == "Always":
            total, staying = _added(total, own), _added(staying, own)
            own = staying
        else:
            own = _added(staying, own)
        first = _highest(first, own)
    return _highest(total, first)


def _of(container: Object, part: str) -> dict[str, str]:
    found: dict[str, str] = (container.get("resources") or {}).get(part) or {}
    return found


def _added(total: dict[str, str], *more: dict[str, str]) -> dict[str, str]:
    """The sums, printed in the style of the first amount that is not zero."""
    found = dict(total)
    for table in more:
        for name, text in table.items():
            found[name] = quantity.added(found[name], text) if name in found else text
    return found


def _highest(left: dict[str, str], right: dict[str, str]) -> dict[str, str]:
    found = dict(left)
    for name, text in right.items():
        if name not in found or quantity.value(text) > quantity.value(found[name]):
            found[name] = text
    return found


def check_totals(spec: Object, path: str) -> list[FieldError]:
    own = spec["resources"]
    if (spec.get("os") or {}).get("name") == "windows":
        return [denied(path, "may not be set for a windows pod")]
    errors: list[FieldError] = []
    if own.get("claims"):
        says = "claims may not be set for Resources at pod-level"
        errors.append(denied(f"{path}.claims", says))
    claims = {c.get("name", "") for c in spec.get("resourceClaims") or ()}
    errors += check_resources(own, path, claims, pod_name)
    requests, limits = own.get("requests") or {}, own.get("limits") or {}
    for part, given in (("requests", requests), ("limits", limits)):
        for name, text in asked(spec, part).items():
            whole = part == "requests" or name.startswith(HUGE)
            if whole and name in given and quantity.value(text) > quantity.value(given[name]):
                says = f"must be greater than or equal to aggregate container {part} of {text}"
                errors.append(wrong(f"{path}.{part}[{name}]", given[name], says))
    for i, container in enumerate(spec.get("containers") or ()):
        for name, text in _of(container, "limits").items():
            if name in limits and quantity.value(text) > quantity.value(limits[name]):
                where = f"{path}.containers[{i}][{name}].limits"
                says = f"must be less than or equal to pod limits of {limits[name]}"
                errors.append(wrong(where, text, says))
    return errors
