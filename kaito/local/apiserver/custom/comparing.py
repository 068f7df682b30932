"""How values of custom resources are told apart, and which former values they had."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver.custom.structural import Structural

MISSING = object()
LOW, HIGH = -(1 << 63), (1 << 63) - 1
EXACT = (1 << 53) - 1  # up to here every whole number is a double


def json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if LOW <= value <= HIGH else "number"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def fits(value: Any, wanted: str) -> bool:
    found = json_type(value)
    return (
        found == wanted
        or (found == "integer" and wanted == "number")
        or (found == "number" and wanted == "integer" and is_whole(float(value)))
    )


def is_whole(value: float) -> bool:
    """Is a number with a fraction none after all, and small enough to tell?"""
    return value.is_integer() and abs(value) <= EXACT


def former(schema: Structural, old: Any) -> Callable[[Any], Any]:
    """Finds a list member's former self by its keys; other lists' members have none."""
    if schema.list_type != "map" or not isinstance(old, list):
        return lambda item: MISSING
    keys = schema.list_keys
    index = {tuple(repr(o.get(k)) for k in keys): o for o in old if isinstance(o, dict)}

    def find(item: Any) -> Any:
        if not isinstance(item, dict):
            return MISSING
        return index.get(tuple(repr(item.get(k)) for k in keys), MISSING)

    return find


def same(a: Any, b: Any) -> bool:
    """Equal as JSON: true is not 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return (type(a) is type(b) and a == b) or (
        isinstance(a, int | float) and isinstance(b, int | float) and a == b
    )
