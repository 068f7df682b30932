"""The fields that a scale of a custom resource maps: what is wrong with their values."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.behaviour import ScalePaths
from kaito.local.apiserver.fields import FieldError, wrong
from kaito.local.apiserver.ownership.checking import plain, type_name

MOST = 2**31 - 1


def spec_errors(obj: dict[str, Any], paths: ScalePaths | None) -> list[FieldError]:
    return _number(obj, paths.spec) if paths else []


def status_errors(obj: dict[str, Any], paths: ScalePaths | None) -> list[FieldError]:
    if paths is None:
        return []
    errors = _number(obj, paths.status)
    if paths.selector:
        _, fault = _read(obj, paths.selector, str)
        errors += [wrong(paths.selector, "", fault)] if fault else []
    return errors


def _number(obj: dict[str, Any], path: str) -> list[FieldError]:
    value, fault = _read(obj, path, int)
    if fault:
        return [wrong(path, 0, fault)]
    if value is None or 0 <= value <= MOST:
        return []
    why = "a non-negative integer" if value < 0 else f"less than or equal to {MOST}"
    return [wrong(path, value, f"should be {why}")]


def _read(obj: Any, path: str, kind: type) -> tuple[Any, str]:
    """The value at a dotted path, None where there is none, and why it cannot be read."""
    parts = path.strip(".").split(".")
    for i, part in enumerate(parts):
        if not isinstance(obj, dict):
            return None, _unfit(parts[:i], obj, "map[string]interface{}")
        if part not in obj:
            return None, ""
        obj = obj[part]
    if type(obj) is kind:
        return obj, ""
    return None, _unfit(parts, obj, "int64" if kind is int else "string")


def _unfit(parts: list[str], value: Any, wanted: str) -> str:
    where = "".join(f".{p}" for p in parts)
    return (
        f"{where} accessor error: {plain(value)} is of the type {type_name(value)}, "
        f"expected {wanted}"
    )
