"""Requests, limits and claims of a container or of a whole pod."""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

from kaito.local.apiserver import names, quantity
from kaito.local.apiserver.behaviours.podspec.checks import NOT_NEGATIVE, by
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    duplicate,
    listed,
    missing,
    required,
    wrong,
)
from kaito.local.apiserver.gotext import compact

Object = dict[str, Any]
Names = Callable[[str, str], list[FieldError]]
COUNTED = {
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
}
MEASURED = {"cpu", "memory", "ephemeral-storage"}
STANDARD = {
    *MEASURED,
    *COUNTED,
    "storage",
    *(f"requests.{m}" for m in (*MEASURED, "storage")),
    *(f"limits.{m}" for m in MEASURED),
}
HUGE = "hugepages-"
REQUESTS = "requests."


def native(name: str) -> bool:
    """Does the name belong to the system? All names without a prefix do."""
    return "/" not in name or "kubernetes.io/" in name


def extended(name: str) -> bool:
    if native(name) or name.startswith(REQUESTS):
        return False
    return not names.qualified(REQUESTS + name)


def overcommitted(name: str) -> bool:
    """May more be promised than there is? Not of extended resources and huge pages."""
    return native(name) and not name.startswith(HUGE)


def standard_name(name: str, path: str) -> list[FieldError]:
    faults = by(names.qualified, name, path)
    if faults or "/" in name:
        return faults
    if name in STANDARD or name.startswith((HUGE, REQUESTS + HUGE)):
        return []
    return [wrong(path, name, "must be a standard resource type or fully qualified")]


def container_name(name: str, path: str) -> list[FieldError]:
    errors = standard_name(name, path)
    if "/" not in name:
        if name not in MEASURED and not name.startswith(HUGE):
            errors.append(wrong(path, name, "must be a standard resource for containers"))
    elif not native(name) and not extended(name):
        errors.append(wrong(path, name, "doesn't follow extended resource name standard"))
    return errors


def pod_name(name: str, path: str) -> list[FieldError]:
    errors = standard_name(name, path)
    if not errors and name not in {"cpu", "memory"} and not name.startswith(HUGE):
        errors.append(listed(path, name, ("cpu", HUGE, "memory")))
    return errors


def _amount(name: str, text: str, path: str) -> list[FieldError]:
    amount = quantity.value(text)
    errors: list[FieldError] = []
    if amount < 0:
        errors.append(wrong(path, text, NOT_NEGATIVE))
    if (name in COUNTED or extended(name)) and quantity.fractional(amount):
        errors.append(wrong(path, text, "must be an integer"))
    return errors


def _huge_pages(name: str, text: str, path: str) -> list[FieldError]:
    try:
        size = quantity.value(name.removeprefix(HUGE))
    except quantity.QuantityError:
        size = Decimal(0)
    if (
        size > 0
        and not quantity.fractional(size)
        and not quantity.remainder(quantity.value(text), size)
    ):
        return []
    return [wrong(path, text, f"{text} is not positive integer multiple of {name}")]


def check_resources(
    resources: Object, path: str, claims: Collection[str], check_name: Names = container_name
) -> list[FieldError]:
    """Faults of requests and limits; `claims` are the pod's names of resource claims."""
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    errors: list[FieldError] = []
    for part, table in (("limits", limits), ("requests", requests)):
        for name, text in sorted(table.items()):
            where = f"{path}.{part}[{name}]"
            errors += check_name(name, where) + _amount(name, text, where)
            if part == "requests":
                errors += _fits(name, text, limits.get(name), path)
            if name.startswith(HUGE):
                errors += _huge_pages(name, text, where)
    every = {*limits, *requests}
    if any(n.startswith(HUGE) for n in every) and not every & {"cpu", "memory"}:
        errors.append(denied(path, "HugePages require cpu or memory"))
    return errors + _claims(resources.get("claims") or [], claims, f"{path}.claims")


def _fits(name: str, text: str, limit: str | None, path: str) -> list[FieldError]:
    """A request against its limit."""
    if limit is None:
        if overcommitted(name):
            return []
        return [required(f"{path}.limits", "Limit must be set for non overcommitable resources")]
    asked, most = quantity.value(text), quantity.value(limit)
    if asked != most and not overcommitted(name):
        return [wrong(f"{path}.requests", text, f"must be equal to {name} limit of {limit}")]
    if asked > most:
        says = f"must be less than or equal to {name} limit of {limit}"
        return [wrong(f"{path}.requests", text, says)]
    return []


def _claims(claims: list[Object], known: Collection[str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, claim in enumerate(claims):
        where, name, request = f"{path}[{i}]", claim.get("name", ""), claim.get("request", "")
        if not name:
            errors.append(required(where))
            continue
        if name in seen:
            errors.append(duplicate(where, name))
        else:
            key = f"{name}/{request}" if request else name
            if request:
                errors += by(names.label, request, f"{where}.request")
            if key in seen:
                errors.append(duplicate(where, key))
            elif not request:
                errors += [duplicate(where, name) for s in seen if s.partition("/")[0] == name]
            seen.add(key)
        if name not in known:
            listing = ": " + ", ".join(sorted(known)) if known else " which is empty"
            says = f"must be one of the names in pod.spec.resourceClaims{listing}"
            errors.append(FieldError(where, missing(where, name).what, name, says))
    return errors


def check_pod_claims(claims: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    kinds = ("resourceClaimName", "resourceClaimTemplateName")
    for i, claim in enumerate(claims):
        where, name = f"{path}[{i}]", claim.get("name", "")
        if not name:
            errors.append(required(f"{where}.name"))
        elif name in seen:
            errors.append(duplicate(f"{where}.name", name))
        else:
            errors += by(names.label, name, f"{where}.name")
            seen.add(name)
        given = [k for k in kinds if k in claim]
        if len(given) != 1:
            says = (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
                if given
                else "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            )
            errors.append(wrong(where, compact("PodResourceClaim", claim), says))
        for kind in given:
            errors += by(names.subdomain, claim[kind], f"{where}.{kind}")
    return errors
