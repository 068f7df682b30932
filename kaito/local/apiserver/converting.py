"""Strategically merged objects as typed ones: the rules of that path, which are not JSON's.

The server copies such a value into the Go struct field by field. Whole numbers pass whatever their
size and are cut to it, fractions do not, and complaints name types without the field.
"""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import typed
from kaito.local.apiserver.opaque import Opaque
from kaito.local.apiserver.scalars import GO, Unfit, scalar
from kaito.local.apiserver.schema import Node

BITS = {"i32": 32, "i64": 64}
KINDS = {bool: "bool", str: "string", int: "int64", float: "float64", dict: "map", list: "slice"}


def convert(node: Node, value: dict[str, Any]) -> typed.Decoded:
    """The typed object and its unknown fields by name. Raises WrongType; `value` is changed."""
    try:
        decoded = typed.decode(node, value)
    except typed.WrongType:
        decoded = typed.decode(node, _fitted(node, value))
    settled = {k: dict(v) if isinstance(v, Opaque) else v for k, v in decoded.value.items()}
    return typed.Decoded(settled, sorted(decoded.unknown))


def _fitted(node: Node, value: Any) -> Any:
    """A value that is not null, its numbers cut to size. Raises WrongType."""
    given = KINDS[type(value)]
    if node.form == "struct":
        if given != "map":
            raise typed.WrongType(f"cannot restore struct from: {given}")
        for name, known in node.fields.items():
            if value.get(name) is not None:
                value[name] = _fitted(known.node, value[name])
        return value
    if node.form == "map" and node.element is not None:
        if given != "map":
            raise typed.WrongType(f"cannot restore map from {given}")
        return {k: None if v is None else _fitted(node.element, v) for k, v in value.items()}
    if node.form == "list" and node.element is not None:
        if given != "slice":
            raise typed.WrongType(f"cannot restore slice from {given}")
        return [None if v is None else _fitted(node.element, v) for v in value]
    return _scalar(node, value, given) if node.form == "scalar" else value


def _scalar(node: Node, value: Any, given: str) -> Any:
    code = node.scalar
    go = node.go or GO[code]
    if code in BITS and given == "int64":
        half = 1 << (BITS[code] - 1)
        return (value + half) % (2 * half) - half
    if code in BITS and given == "float64":
        if value.is_integer():
            return int(value)
        raise typed.WrongType(f"cannot convert float64 to {go}")
    if code == "s" and given == "int64":
        raise typed.WrongType(f"cannot convert int64 to {go}")
    try:
        return scalar(code, node.go, value)
    except Unfit as error:
        raise typed.WrongType(_complaint(code, given, error)) from error


def _complaint(code: str, given: str, error: Unfit) -> str:
    if code == "B":
        if error.why:
            return f"error decoding from json: {error.why}"
        return f"cannot restore slice from {given}"
    if error.why:
        return error.why
    if code in {"t", "mt", "ios"}:
        return f"json: cannot unmarshal {error.given} into Go value of type {error.wanted}"
    return f"unrecognized type: {GO[code]}"
