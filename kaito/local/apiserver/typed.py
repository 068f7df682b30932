"""Typed decoding of built-in kinds: wrong types fail, unknown fields are named, zeros are settled.

The result is the object as the server would print it: nulls gone, zero values of optional fields
gone, required ones present, quantities and times in canonical form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver import quantity
from kaito.local.apiserver.scalars import GO, Unfit, json_kind, scalar
from kaito.local.apiserver.schema import ANY, ZEROS, Field, Node

MODEL = re.compile(r"^(?:[A-Z][a-z]+)?(V\d+(?:(?:alpha|beta)\d+)?)(?=[A-Z])")
COLLECTIONS = frozenset({"list", "map"})
RESOURCES = "v1.ResourceList"
SCHEMA_OR_BOOL = "v1.JSONSchemaPropsOrBool"
# Where a value lies: what is around it, and a field's label, an index or the key of a map.
Place = tuple[Any, "str | int | tuple[str]"] | None


class WrongType(ValueError):
    """A value does not fit its field; the message is what the server's decoder says."""


@dataclass(slots=True)
class Decoded:
    """A decoded object and the paths of the fields that nobody knows."""

    value: dict[str, Any]
    unknown: list[str] = field(default_factory=list)


def decode(node: Node, value: dict[str, Any]) -> Decoded:
    """Raises WrongType for the value that the server complains of.

    That is the first one that does not fit, unless one with a decoder of its own comes later.
    """
    walker = _Walker()
    try:
        found = walker.struct(node, value, None)
    except Unfit as error:
        raise WrongType(error.why) from error
    if walker.first:
        raise WrongType(walker.first)
    return Decoded(found, walker.unknown)


def go_name(model: str) -> str:
    """The struct's own name: `Container` of `V1Container`."""
    return MODEL.sub("", model)


def go_type(node: Node) -> str:
    if node.go:
        return node.go
    if node.form == "list":
        return "[]" + go_type(node.element) if node.element else "[]"
    if node.form == "map":
        return "map[string]" + go_type(node.element) if node.element else "map[string]"
    if node.form == "struct":
        found = MODEL.match(node.name)
        return f"{found[1].lower() if found else 'v1'}.{go_name(node.name)}"
    return GO.get(node.scalar, "string")


def path_of(place: Place) -> str:
    """A place as unknown fields are named: `spec.containers[0].name`."""
    parts: list[str] = []
    while place is not None:
        place, part = place
        if isinstance(part, int):
            parts.append(f"[{part}]")
        else:
            parts.append("." + (part.rpartition(".")[2] if isinstance(part, str) else part[0]))
    return "".join(reversed(parts)).removeprefix(".")


def _fields_of(place: Place) -> str:
    """A place as types are named: fields only."""
    parts: list[str] = []
    while place is not None:
        place, part = place
        if isinstance(part, str):
            parts.append(part)
    return ".".join(reversed(parts))


class _Walker:
    def __init__(self) -> None:
        self.unknown: list[str] = []
        self.first = ""

    def struct(self, node: Node, value: dict[str, Any], place: Place) -> dict[str, Any]:
        fields = node.fields
        out: dict[str, Any] = {}
        for name, given in value.items():
            known = fields.get(name)
            if known is None:
                self.unknown.append(path_of((place, (name,))))
                continue
            if name == "managedFields" and given == []:
                out[name] = []  # a request to forget all owners
                continue
            if given is None:
                continue
            settled = self.value(known.node, given, (place, known.label), node)
            if keeps(known, settled):
                out[name] = settled
        for name, known in fields.items():
            if known.zero and name not in out:
                out[name] = None if known.pointer else zero_of(known.node)
        return out

    def value(self, node: Node, value: Any, place: Place, owner: Node) -> Any:
        form = node.form
        if form == "scalar":
            code = node.scalar
            if code == "s" and type(value) is str:
                return value
            try:
                return scalar(code, node.go, value)
            except Unfit as error:
                return self.unfit(error, place, owner)
        if form == "struct":
            if isinstance(value, dict):
                return self.struct(node, value, place)
        elif form == "list":
            if isinstance(value, list):
                element = node.element
                assert element is not None
                return [
                    zero_of(element) if v is None else self.value(element, v, (place, i), owner)
                    for i, v in enumerate(value)
                ]
        elif form == "map":
            if isinstance(value, dict):
                element = node.element
                assert element is not None
                members = {
                    k: member_zero(element)
                    if v is None
                    else self.value(element, v, (place, (k,)), owner)
                    for k, v in value.items()
                }
                if node.go == RESOURCES:
                    return {k: quantity.rounded(v) for k, v in members.items() if v is not None}
                return members
        elif node.go == SCHEMA_OR_BOOL and not isinstance(value, bool | dict):
            return self.unfit(Unfit(why="boolean or JSON schema expected", last=True), place, owner)
        else:
            return value
        return self.unfit(Unfit(json_kind(value), go_type(node)), place, owner)

    def unfit(self, error: Unfit, place: Place, owner: Node) -> None:
        """Remember the first fault; the last word of a decoder of its own ends the walk."""
        if not error.why:
            error.why = (
                f"json: cannot unmarshal {error.given} into Go struct field "
                f"{go_name(owner.name)}.{_fields_of(place)} of type {error.wanted}"
            )
        if error.last:
            raise error
        self.first = self.first or error.why


def reads(node: Node, path: str) -> bool:
    """Does decoding look at the fields of what holds this path? Raw and unknown values it skips."""
    for name in re.sub(r"\[\d+\]", "", path).split(".")[:-1]:
        if node.form == "struct" and name not in node.fields:
            return False
        node = node.child(name)
        while node.form == "list" and node.element is not None:
            node = node.element
    return node.form != "any"


def keeps(known: Field, value: Any) -> bool:
    """Is a value that was sent printed again? Zero values of optional fields are not."""
    node = known.node
    if node.form in COLLECTIONS:
        return bool(value) or known.zero
    if known.pointer or known.zero:
        return True
    if node.form == "struct":
        return not known.omit_zero or bool(value)
    if node.form == "any":
        return True
    return node.scalar in {"q", "t", "mt", "ios"} or value != ZEROS[node.scalar]


def hollow(node: Node, value: Any) -> None:
    """Empty lists that are printed even when unset become null, as stored ones come back."""
    for name, known in node.spots.items():
        found = value.get(name)
        if found:
            _hollow_inside(known.node, found)
        elif found == [] and known.zero:
            value[name] = None


def _hollow_inside(node: Node, value: Any) -> None:
    if isinstance(value, list):
        for member in value:
            _hollow_inside(node.element or ANY, member)
    elif isinstance(value, dict) and node.form == "map":
        for member in value.values():
            _hollow_inside(node.element or ANY, member)
    elif isinstance(value, dict):
        hollow(node, value)


def member_zero(node: Node) -> Any:
    """What a null member of a map becomes."""
    return "" if node.scalar == "B" else zero_of(node)


def zero_of(node: Node) -> Any:
    if node.form == "struct":
        return {n: None if f.pointer else zero_of(f.node) for n, f in node.fields.items() if f.zero}
    if node.form == "scalar":
        return ZEROS[node.scalar]
    return None
