"""Webhook configurations: what is filled in, and what they may say."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviour import Behaviour
from kaito.local.apiserver.behaviours.podspec.checks import label_selector
from kaito.local.apiserver.clientconfigs import config_faults
from kaito.local.apiserver.fields import (
    FieldError,
    duplicate,
    required,
    unsupported,
    wrong,
)

Object = dict[str, Any]
OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]
SCOPES = ["*", "Cluster", "Namespaced"]
ENUMS = (
    ("failurePolicy", ["Fail", "Ignore"]),
    ("matchPolicy", ["Equivalent", "Exact"]),
    ("reinvocationPolicy", ["IfNeeded", "Never"]),
)
SIDE_EFFECTS = ["None", "NoneOnDryRun"]
REVIEWS = ("v1", "v1beta1")
MOST_CONDITIONS = 64
RESERVED = ".static.k8s.io"


def default(obj: Object) -> None:
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


def validate(obj: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, hook in enumerate(obj.get("webhooks") or ()):
        path, name = f"webhooks[{i}]", hook.get("name", "")
        errors += _hook(hook, path)
        if name and name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def _hook(hook: Object, path: str) -> list[FieldError]:
    errors = _name(hook.get("name", ""), f"{path}.name")
    for i, rule in enumerate(hook.get("rules") or ()):
        errors += _rule(rule, f"{path}.rules[{i}]")
    for name, allowed in ENUMS:
        value = hook.get(name)
        if value is not None and value not in allowed:
            errors.append(unsupported(f"{path}.{name}", value, allowed))
    effects = hook.get("sideEffects")
    if effects is None:
        says = f"must specify one of {', '.join(SIDE_EFFECTS)}"
        errors.append(required(f"{path}.sideEffects", says))
    elif effects not in SIDE_EFFECTS:
        errors.append(unsupported(f"{path}.sideEffects", effects, SIDE_EFFECTS))
    seconds = hook.get("timeoutSeconds", 10)
    if not 1 <= seconds <= 30:
        errors.append(
            wrong(
                f"{path}.timeoutSeconds",
                seconds,
                "the timeout value must be between 1 and 30 seconds",
            )
        )
    for part in ("namespaceSelector", "objectSelector"):
        errors += label_selector(hook.get(part) or {}, f"{path}.{part}")
    where = f"{path}.clientConfig"
    errors += config_faults(hook.get("clientConfig") or {}, where, where)
    errors += _conditions(hook.get("matchConditions") or [], f"{path}.matchConditions")
    return errors + _reviews(
        hook.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions"
    )


def _name(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    faults = names.subdomain(name)
    if faults:
        return [wrong(path, name, ",".join(faults))]
    if name.count(".") < 2:
        says = "should be a domain with at least three segments separated by dots"
        return [wrong(path, name, says)]
    return []


def _rule(rule: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operations = rule.get("operations") or []
    errors += _listed(operations, f"{path}.operations", "operations")
    errors += [
        unsupported(f"{path}.operations[{i}]", operation, OPERATIONS)
        for i, operation in enumerate(operations)
        if operation not in OPERATIONS
    ]
    errors += _listed(rule.get("apiGroups") or [], f"{path}.apiGroups", "API groups")
    versions = rule.get("apiVersions") or []
    errors += _listed(versions, f"{path}.apiVersions", "API versions")
    errors += [required(f"{path}.apiVersions[{i}]") for i, v in enumerate(versions) if not v]
    errors += _resources(rule.get("resources") or [], f"{path}.resources")
    scope = rule.get("scope")
    if scope is not None and scope not in SCOPES:
        errors.append(unsupported(f"{path}.scope", scope, SCOPES))
    return errors


def _listed(values: list[str], path: str, what: str) -> list[FieldError]:
    if not values:
        return [required(path)]
    if len(values) > 1 and "*" in values:
        return [wrong(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _resources(values: list[str], path: str) -> list[FieldError]:
    if not values:
        return [required(path)]
    errors: list[FieldError] = []
    whole: set[str] = set()
    parts: set[str] = set()
    bare = False
    for i, value in enumerate(values):
        where = f"{path}[{i}]"
        if not value:
            errors.append(required(where))
            continue
        resource, slash, sub = value.partition("/")
        if not slash:
            bare = value != "*"
            continue
        if resource in whole:
            says = f"if '{resource}/*' is present, must not specify {value}"
            errors.append(wrong(where, value, says))
        if sub in parts:
            says = f"if '*/{sub}' is present, must not specify {value}"
            errors.append(wrong(where, value, says))
        if sub == "*":
            whole.add(resource)
        if resource == "*":
            parts.add(sub)
    if len(values) > 1 and "*/*" in values:
        errors.append(wrong(path, values, "if '*/*' is present, must not specify other resources"))
    if "*" in values and bare:
        says = "if '*' is present, must not specify other resources without subresources"
        errors.append(wrong(path, values, says))
    return errors


def _reviews(versions: list[str], path: str) -> list[FieldError]:
    if not versions:
        return [required(path, f"must specify one of {', '.join(REVIEWS)}")]
    errors: list[FieldError] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errors.append(wrong(f"{path}[{i}]", version, "duplicate version"))
        else:
            errors += [wrong(f"{path}[{i}]", version, f) for f in names.label_1035(version)]
    if not set(REVIEWS) & set(versions):
        errors.append(wrong(path, versions, f"must include at least one of {', '.join(REVIEWS)}"))
    return errors


def _conditions(conditions: list[Object], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if len(conditions) > MOST_CONDITIONS:
        says = f"must have at most {MOST_CONDITIONS} items"
        errors.append(FieldError(path, "Too many", len(conditions), says))
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        where = f"{path}[{i}]"
        text, name = (condition.get("expression") or "").strip(), condition.get("name", "")
        if not text:
            errors.append(required(f"{where}.expression"))
        elif fault := _fault(text):
            errors.append(wrong(f"{where}.expression", text, fault))
        if not name:
            errors.append(required(f"{where}.name"))
        else:
            errors += [wrong(f"{where}.name", name, f) for f in names.qualified(name)]
            if name in seen:
                errors.append(duplicate(f"{where}.name", name))
        seen.add(name)
    return errors


@lru_cache(256)
def _fault(text: str) -> str:
    """Why a condition does not compile; empty where it does."""
    from kaito.local.apiserver.matchconditions import Unusable, compiled

    try:
        compiled(text)
    except Unusable as error:
        return str(error)
    return ""


def validate_update(new: Object, old: Object) -> list[FieldError]:
    return validate(new)


def warnings(obj: Object) -> list[str]:
    if not obj["metadata"].get("name", "").endswith(RESERVED):
        return []
    text = (
        f'metadata.name: names ending with "{RESERVED}" are reserved for static manifest-based '
        "configurations and cannot be managed via the API"
    )
    return [text]


WEBHOOKS = Behaviour(
    warnings=warnings,
    default=default,
    validate=validate,
    validate_update=validate_update,
    generation=True,
    blind_update=False,
)
