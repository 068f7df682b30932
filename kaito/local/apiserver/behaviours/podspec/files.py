"""Volumes whose files show keys of config maps and secrets, fields of the pod, or tokens."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviours.podspec.checks import file_mode, missing_parts, unreserved
from kaito.local.apiserver.behaviours.podspec.env import (
    FILE_FIELDS,
    field_reference,
    resource_reference,
)
from kaito.local.apiserver.fields import FieldError, denied, required, wrong

Object = dict[str, Any]
TOKEN_MIN, TOKEN_MAX = 600, 2**32  # seconds


def check_config(source: Object, name: str, path: str) -> list[FieldError]:
    """A config map or a secret as files; `name` is the field with its name."""
    errors = missing_parts(source, (name,), path)
    errors += file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    return errors + _items(source, path)


def _items(source: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, item in enumerate(source.get("items") or ()):
        where = f"{path}.items[{i}]"
        errors += missing_parts(item, ("key", "path"), where)
        errors += unreserved(item.get("path", ""), f"{where}.path")
        errors += file_mode(item.get("mode"), f"{where}.mode")
    return errors


def check_downward(source: Object, path: str) -> list[FieldError]:
    errors = file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    return errors + _downward_items(source, path)


def _downward_items(source: Object, path: str) -> list[FieldError]:
    """Faults name the volume and not the item, as a server's do."""
    errors: list[FieldError] = []
    for item in source.get("items") or ():
        errors += missing_parts(item, ("path",), path)
        errors += unreserved(item.get("path", ""), f"{path}.path")
        if "fieldRef" in item:
            errors += field_reference(item["fieldRef"], FILE_FIELDS, f"{path}.fieldRef")
            if "resourceFieldRef" in item:
                says = "fieldRef and resourceFieldRef can not be specified simultaneously"
                errors.append(wrong(path, "resource", says))
        elif "resourceFieldRef" in item:
            given, where = item["resourceFieldRef"], f"{path}.resourceFieldRef"
            errors += resource_reference(given, where, in_volume=True)
        else:
            errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
        errors += file_mode(item.get("mode"), f"{path}.mode")
    return errors


def check_projected(source: Object, path: str) -> list[FieldError]:
    errors = file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    seen: set[str] = set()
    for i, projection in enumerate(source.get("sources") or ()):
        where = f"{path}.sources[{i}]"
        errors += _projection(projection, where, path, seen)
        if len(projection) > 1:
            says = "may not specify more than 1 volume type per source"
            errors.append(denied(where, says))
    return errors


def _projection(source: Object, path: str, volume: str, seen: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    for kind in ("secret", "configMap", "downwardAPI"):
        if kind not in source:
            continue
        given, where = source[kind], f"{path}.{kind}"
        if kind == "downwardAPI":
            errors += _downward_items(given, where)
        else:
            errors += missing_parts(given, ("name",), where) + _items(given, where)
        for item in given.get("items") or ():
            target = item.get("path", "")
            if target and target in seen:
                shown = target if kind == "downwardAPI" else given.get("name", "")
                errors.append(wrong(volume, shown, "conflicting duplicate paths"))
            seen.add(target)
    if "serviceAccountToken" in source:
        errors += _token(source["serviceAccountToken"], f"{path}.serviceAccountToken", volume)
    return errors


def _token(token: Object, path: str, volume: str) -> list[FieldError]:
    seconds, target = token.get("expirationSeconds", 0), token.get("path", "")
    where, errors = f"{path}.expirationSeconds", []
    if seconds < TOKEN_MIN:
        says = "may not specify a duration less than 10 minutes"
        errors.append(wrong(where, seconds, says))
    if seconds > TOKEN_MAX:
        says = "may not specify a duration larger than 2^32 seconds"
        errors.append(wrong(where, seconds, says))
    if not target:
        return [*errors, required(f"{volume}.path")]
    return errors + unreserved(target, f"{volume}.path")
