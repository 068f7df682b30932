"""Typed decoding of built-in kinds: wrong types fail, unknown fields are named, zeros are settled.

The result is the object as the server would print it: nulls gone, zero values of optional fields
gone, required ones present, quantities and times in canonical form.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver import quantity, times
from kaito.local.apiserver.schema import ZEROS, Field, Node

GO_SCALARS = {
    "s": "string",
    "b": "bool",
    "i32": "int32",
    "i64": "int64",
    "f": "float64",
    "B": "[]uint8",
}
LIMITS = {"i32": 2**31, "i64": 2**63}
PREFIX = re.compile(r"^(?:[A-Z][a-z]+)?V\d+(?=[A-Z])")


class WrongType(ValueError):
    """A value does not fit its field; the message is what the server's decoder says."""


@dataclass(slots=True)
class Decoded:
    """A decoded object and the paths of the fields that nobody knows."""

    value: dict[str, Any]
    unknown: list[str] = field(default_factory=list)


def decode(node: Node, value: dict[str, Any]) -> Decoded:
    """Raises WrongType at the first value that does not fit."""
    result = Decoded({})
    walker = _Walker(result.unknown)
    result.value = walker.struct(node, value, "", "")
    return result


def go_name(model: str) -> str:
    """The struct's own name: `Container` of `V1Container`."""
    return PREFIX.sub("", model)


def go_type(node: Node) -> str:
    if node.form == "list":
        return "[]" + go_type(node.element) if node.element else "[]"
    if node.form == "map":
        return "map[string]" + go_type(node.element) if node.element else "map[string]"
    if node.form == "struct":
        return "v1." + go_name(node.name)
    return GO_SCALARS.get(node.scalar, {"q": "resource.Quantity"}.get(node.scalar, "string"))


def json_kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, list):
        return "array"
    if isinstance(value, dict):
        return "object"
    return "number"


class _Walker:
    def __init__(self, unknown: list[str]) -> None:
        self.unknown = unknown

    def struct(self, node: Node, value: dict[str, Any], path: str, plain: str) -> dict[str, Any]:
        """`path` has list indexes and names unknown fields; `plain` has none and names types."""
        fields = node.fields
        out: dict[str, Any] = {}
        for name, given in value.items():
            known = fields.get(name)
            inner = f"{path}.{name}" if path else name
            if known is None:
                self.unknown.append(inner)
                continue
            if name == "managedFields" and given == []:
                out[name] = []  # a request to forget all owners
                continue
            if given is None:
                continue
            plain_inner = f"{plain}.{name}" if plain else name
            settled = self.value(known.node, given, inner, plain_inner, node)
            if keeps(known, settled):
                out[name] = settled
        for name, known in fields.items():
            if known.zero and name not in out:
                out[name] = zero_of(known.node)
        return out

    def value(self, node: Node, value: Any, path: str, plain: str, owner: Node) -> Any:
        match node.form:
            case "scalar":
                return self.scalar(node.scalar, value, plain, owner)
            case "struct":
                if not isinstance(value, dict):
                    raise mismatch(value, node, plain, owner)
                return self.struct(node, value, path, plain)
            case "list":
                if not isinstance(value, list):
                    raise mismatch(value, node, plain, owner)
                element = node.element
                assert element is not None
                return [
                    zero_of(element)
                    if v is None
                    else self.value(element, v, f"{path}[{i}]", plain, owner)
                    for i, v in enumerate(value)
                ]
            case "map":
                if not isinstance(value, dict):
                    raise mismatch(value, node, plain, owner)
                element = node.element
                assert element is not None
                return {
                    k: zero_of(element)
                    if v is None
                    else self.value(element, v, f"{path}.{k}", plain, owner)
                    for k, v in value.items()
                }
        return value

    def scalar(self, code: str, value: Any, plain: str, owner: Node) -> Any:
        if code == "s":
            if type(value) is str:
                return value
        elif code == "b":
            if type(value) is bool:
                return value
        elif code in LIMITS:
            limit = LIMITS[code]
            if type(value) is int and -limit <= value < limit:
                return value
            if isinstance(value, int | float) and not isinstance(value, bool):
                raise WrongType(
                    f"json: cannot unmarshal number {number(value)} into Go struct "
                    f"field {go_name(owner.name)}.{plain} of type {GO_SCALARS[code]}"
                )
        elif code == "f":
            if isinstance(value, int | float) and not isinstance(value, bool):
                return value
        else:
            return special(code, value)
        raise WrongType(
            f"json: cannot unmarshal {json_kind(value)} into Go struct field "
            f"{go_name(owner.name)}.{plain} of type {GO_SCALARS[code]}"
        )


def special(code: str, value: Any) -> Any:
    """Types with a decoder of their own; their errors name no field."""
    if code == "q":
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                return quantity.canonical(str(value))
            except quantity.QuantityError as error:
                raise WrongType(str(error)) from error
        raise WrongType(f"quantities must match the regular expression '{quantity.SHAPE}'")
    if code in {"t", "mt"}:
        if not isinstance(value, str):
            raise WrongType(
                f"json: cannot unmarshal {json_kind(value)} into Go value of type string"
            )
        try:
            moment = times.parse(value)
        except times.TimeError as error:
            raise WrongType(str(error)) from error
        return times.micros(moment) if code == "mt" else times.seconds(moment)
    if code == "ios":
        if isinstance(value, str) or (
            isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
        ):
            return value
        shown = (
            f"number {number(value)}"
            if isinstance(value, int | float) and not isinstance(value, bool)
            else json_kind(value)
        )
        raise WrongType(f"json: cannot unmarshal {shown} into Go value of type int32")
    if code == "B":
        if not isinstance(value, str):
            raise WrongType(
                f"json: cannot unmarshal {json_kind(value)} into Go value of type []uint8"
            )
        try:
            return base64.b64encode(
                base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
            ).decode()
        except binascii.Error as error:
            raise WrongType(f"illegal base64 data at input byte {bad_byte(value)}") from error
    return value


def bad_byte(text: str) -> int:
    for i, char in enumerate(text):
        if not (char.isascii() and (char.isalnum() or char in "+/=\r\n")):
            return i
    padding = text.find("=")
    return padding if padding >= 0 and len(text) % 4 else len(text) - len(text) % 4


def number(value: float) -> str:
    return (
        repr(value).removesuffix(".0")
        if isinstance(value, float) and value.is_integer() and abs(value) >= 1e21
        else repr(value)
    )


def mismatch(value: Any, node: Node, plain: str, owner: Node) -> WrongType:
    return WrongType(
        f"json: cannot unmarshal {json_kind(value)} into Go struct field "
        f"{go_name(owner.name)}.{plain} of type {go_type(node)}"
    )


def keeps(known: Field, value: Any) -> bool:
    """Is a value that was sent printed again? Zero values of optional fields are not."""
    if known.pointer or known.zero:
        return True
    node = known.node
    if node.form == "struct":
        return not known.omit_zero or bool(value)
    if node.form in {"list", "map"}:
        return bool(value)
    if node.form == "any":
        return True
    return node.scalar in {"q", "t", "mt", "ios"} or value != ZEROS[node.scalar]


def zero_of(node: Node) -> Any:
    if node.form == "struct":
        return {n: zero_of(f.node) for n, f in node.fields.items() if f.zero}
    if node.form == "scalar":
        return ZEROS[node.scalar]
    return None
