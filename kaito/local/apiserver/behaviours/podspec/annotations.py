"""Annotations that mean something for a pod, and profiles that must agree with them."""

from __future__ import annotations

import re
from typing import Any

from kaito.local.apiserver.behaviours.podspec.checks import descending
from kaito.local.apiserver.behaviours.podspec.placement import check_tolerations
from kaito.local.apiserver.behaviours.podspec.security import containers_of
from kaito.local.apiserver.fields import FieldError, denied, wrong
from kaito.local.apiserver.jsontext import TextError, parse_json

Object = dict[str, Any]
MIRROR = "kubernetes.io/config.mirror"
COST = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
TOLERATION = {n.lower(): n for n in ("key", "operator", "value", "effect", "tolerationSeconds")}
SHAPES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number"}
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
LOCAL = "localhost/"


def check_annotations(meta: Object, spec: Object, path: str) -> list[FieldError]:
    found = meta.get("annotations")
    if not found:
        return []
    errors: list[FieldError] = []
    if MIRROR in found and not spec.get("nodeName"):
        says = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(wrong(f"{path}[{MIRROR}]", found[MIRROR], says))
    if COST in found and not number(found[COST]):
        errors.append(wrong(f"{path}[{COST}]", found[COST], "must be a 32bit integer"))
    if found.get(TOLERATIONS):
        errors += _tolerations(found[TOLERATIONS], path)
    known = {c.get("name", "") for c, _ in containers_of(spec, "")}
    for key, value in sorted(found.items()):
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            errors += _seccomp(value, f"{path}.{key}")
        elif key.startswith(APP_ARMOR):
            name, where = key.removeprefix(APP_ARMOR), f"{path}[{key}]"
            if name not in known:
                errors.append(wrong(where, name, "container not found"))
            if value not in {"", "runtime/default", "unconfined"} and not value.startswith(LOCAL):
                errors.append(wrong(where, value, f'invalid AppArmor profile name: "{value}"'))
    return errors


def _tolerations(text: str, path: str) -> list[FieldError]:
    """Tolerations as JSON, whose names may be written in any case."""
    try:
        items = parse_json(text.encode())
    except TextError as error:
        return [wrong(path, TOLERATIONS, str(error))]
    if not isinstance(items, list | None):
        return [_unreadable(items, "Go value of type []core.Toleration", path)]
    for i, item in enumerate(items or ()):
        if not isinstance(item, dict | None):
            return [_unreadable(item, f".{i} of type core.Toleration", path)]
    tolerations = [
        {TOLERATION.get(key.lower(), key): value for key, value in (item or {}).items()}
        for item in items or ()
    ]
    return check_tolerations(tolerations, f"{path}.{TOLERATIONS}")


def _unreadable(value: object, wanted: str, path: str) -> FieldError:
    shape = SHAPES.get(type(value), "number")
    says = f"json: cannot unmarshal {shape} into {wanted}"
    return wrong(path, TOLERATIONS, says)


def number(text: str) -> bool:
    """A cost that the server reads: a sign and digits without superfluous ones, in 32 bits."""
    return bool(re.fullmatch(r"-?(0|[1-9]\d*)", text)) and -(2**31) <= int(text) < 2**31


def _seccomp(value: str, path: str) -> list[FieldError]:
    if value in {"runtime/default", "docker/default", "unconfined"}:
        return []
    if value.startswith(LOCAL):
        return descending(value.removeprefix(LOCAL), path)
    return [wrong(path, value, "must be a valid seccomp profile")]


def check_agreement(meta: Object, spec: Object, path: str) -> list[FieldError]:
    """A profile that stands in an annotation and in a field must be the same."""
    found = meta.get("annotations")
    if not found:
        return []
    pod = spec.get("securityContext") or {}
    where = f"{path}.securityContext"
    errors = _agree("seccomp", found.get(SECCOMP_POD), pod.get("seccompProfile"), where)
    for container, at in containers_of(spec, path):
        own = container.get("securityContext") or {}
        name = container.get("name", "")
        given = found.get(SECCOMP_CONTAINER + name)
        errors += _agree("seccomp", given, own.get("seccompProfile"), f"{at}.securityContext")
        given = found.get(APP_ARMOR + name)
        profile = own.get("appArmorProfile") or pod.get("appArmorProfile")
        errors += _agree("apparmor", given, profile, f"{at}.securityContext")
    return errors


def _agree(what: str, given: str | None, profile: Object | None, path: str) -> list[FieldError]:
    if given is None or profile is None:
        return []
    where = f"{path}.{'seccompProfile' if what == 'seccomp' else 'appArmorProfile'}"
    fault = denied(f"{where}.type", f"{what} type in annotation and field must match")
    match profile.get("type"):
        case "Unconfined":
            return [] if given == "unconfined" else [fault]
        case "RuntimeDefault":
            same = {"runtime/default"} | ({"docker/default"} if what == "seccomp" else set())
            return [] if given in same else [fault]
        case "Localhost":
            if not given.startswith(LOCAL):
                return [fault]
            if given.removeprefix(LOCAL) != profile.get("localhostProfile"):
                says = f"{what} profile in annotation and field must match"
                return [denied(f"{where}.localhostProfile", says)]
    return []


def check_changes(new: Object, old: Object) -> list[FieldError]:
    """Annotations that nobody may add, change or remove later."""
    after, before = new.get("annotations") or {}, old.get("annotations") or {}
    errors: list[FieldError] = []
    for key in sorted({*after, *before}):
        if after.get(key) == before.get(key):
            continue
        verb = "remove or update" if key in before else "add"
        where = f"metadata.annotations[{key}]"
        if key.startswith(APP_ARMOR):
            errors.append(denied(where, f"may not {verb} AppArmor annotations"))
        if key == MIRROR:
            errors.append(denied(where, f"may not {verb} mirror pod annotation"))
    return errors
