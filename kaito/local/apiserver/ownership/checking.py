"""Whether a value that shall be applied fits its schema, in the words of the server."""

from __future__ import annotations

import json
from typing import Any

from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.ownership.atoms import MemberError, member, settle
from kaito.local.apiserver.ownership.paths import element_text
from kaito.local.apiserver.schema import Node

NUMBERS = {"i32", "i64", "f"}
STRINGS = {"s", "t", "mt", "B"}


class Mismatch(ValueError):
    """A value does not fit its schema; `errors` has one line for each fault."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def validate(node: Node, value: Any) -> None:
    """Every fault of a value that shall be applied. Raises Mismatch."""
    errors: list[str] = []
    _validate(node, value, "", errors)
    if errors:
        raise Mismatch(errors)


def _fault(at: str, text: str) -> str:
    return f"{at}: {text}" if at else text


def _validate(node: Node, value: Any, at: str, errors: list[str]) -> None:
    if value is None:
        return
    node = settle(node, value)
    match node.form:
        case "scalar":
            _validate_scalar(node.scalar, value, at, errors)
        case "list":
            _validate_list(node, value, at, errors)
        case _:
            _validate_map(node, value, at, errors)


def _validate_map(node: Node, value: Any, at: str, errors: list[str]) -> None:
    if not isinstance(value, dict):
        errors.append(_fault(at, f"expected map, got &{{{plain(value)}}}"))
        return
    closed = node.form == "struct" and node.element is None
    for name, inner in value.items():
        if closed and name not in node.fields:
            errors.append(f"{at}.{name}: field not declared in schema")
            return
        _validate(node.child(name), inner, f"{at}.{name}", errors)


def _validate_list(node: Node, value: Any, at: str, errors: list[str]) -> None:
    if not isinstance(value, list):
        errors.append(_fault(at, f"expected list, got &{{{plain(value)}}}"))
        return
    assert node.element is not None
    seen: set[str] = set()
    for i, item in enumerate(value):
        where = f"[{i}]"
        if not node.atomic:
            try:
                element = member(node, item)
            except MemberError as error:
                errors.append(_fault(at, f"element {i}: {error}"))
                return
            where = element_text(element)
            if element in seen:
                errors.append(_fault(at, f"duplicate entries for key {where}"))
            seen.add(element)
        _validate(node.element, item, at + where, errors)


def _validate_scalar(code: str, value: Any, at: str, errors: list[str]) -> None:
    if code in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            errors.append(_fault(at, f"expected numeric (int or float), got {type_name(value)}"))
    elif code in STRINGS:
        if not isinstance(value, str):
            shown = f"&value.valueUnstructured{{Value:{literal(value)}}}"
            errors.append(_fault(at, f"expected string, got {shown}"))
    elif code == "b":
        if not isinstance(value, bool):
            errors.append(_fault(at, f"expected boolean, got &{{{plain(value)}}}"))
    elif isinstance(value, dict | list):
        errors.append(_fault(at, f"expected any scalar, got &{{{plain(value)}}}"))


def type_name(value: Any) -> str:
    """The Go type that a decoded JSON value has."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int):
        return "int64"
    if isinstance(value, float):
        return "float64"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return "[]interface {}" if isinstance(value, list) else "<nil>"


def plain(value: Any) -> str:
    """A value as Go's %v prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{plain(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(plain(v) for v in value) + "]"
    return value if isinstance(value, str) else json.dumps(value)


def literal(value: Any) -> str:
    """A value as Go's %#v prints it."""
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, dict):
        inner = ", ".join(f"{go_quote(k)}:{literal(v)}" for k, v in sorted(value.items()))
        return f"map[string]interface {{}}{{{inner}}}"
    if isinstance(value, list):
        return "[]interface {}{" + ", ".join(literal(v) for v in value) + "}"
    return go_quote(value) if isinstance(value, str) else json.dumps(value)
