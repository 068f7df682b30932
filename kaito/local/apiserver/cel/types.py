"""Static types, and whether one may stand where another is wanted."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN = frozenset({"bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration"})


@dataclass(frozen=True, slots=True)
class Type:
    """kind: the plain ones, null, dyn, error, list, map, object, opaque, type or param.

    `name` is that of objects, opaque types and parameters.
    """

    kind: str
    name: str = ""
    parts: tuple[Type, ...] = ()

    def __str__(self) -> str:
        if self.kind == "error":
            return "!error!"
        name = self.name or self.kind
        if not self.parts:
            return name
        return f"{name}({', '.join(map(str, self.parts))})"


BOOL, INT, UINT, DOUBLE = Type("bool"), Type("int"), Type("uint"), Type("double")
STRING, BYTES, NULL, DYN, ERROR = (
    Type("string"),
    Type("bytes"),
    Type("null"),
    Type("dyn"),
    Type("error"),
)
TIMESTAMP, DURATION = Type("timestamp"), Type("duration")


def list_of(item: Type) -> Type:
    return Type("list", parts=(item,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", parts=(key, value))


def optional_of(inner: Type) -> Type:
    return Type("opaque", "optional_type", (inner,))


def unwrapped(found: Type) -> tuple[Type, bool]:
    """What an optional holds, and whether it was one."""
    if found.kind == "opaque" and found.name == "optional_type":
        return found.parts[0], True
    return found, False


Known = dict[Type, Type]


def substitute(known: Known, found: Type, *, free: bool = False) -> Type:
    """A type with its parameters filled in; with `free`, those left over are dyn."""
    while found in known:
        found = known[found]
    if found.kind == "param":
        return DYN if free else found
    if found.parts:
        parts = tuple(substitute(known, p, free=free) for p in found.parts)
        return Type(found.kind, found.name, parts)
    return found


def assignable(known: Known, wanted: Type, found: Type) -> bool:
    """May both be the same type? Learns parameters into `known`, also where the answer is no."""
    if found.kind == "param":
        fits, settled = _settle(known, wanted, found)
        if fits or settled:
            return fits
    if wanted.kind == "param":
        return _settle(known, found, wanted)[0]
    if {"dyn", "error"} & {wanted.kind, found.kind}:
        return True
    for one, other in ((wanted, found), (found, wanted)):
        if one.kind == "null":
            return other.kind in {"null", "opaque", "object", "timestamp", "duration"}
    if wanted.kind in {"list", "map", "opaque"}:
        return (wanted.kind, wanted.name, len(wanted.parts)) == (
            found.kind,
            found.name,
            len(found.parts),
        ) and all(assignable(known, a, b) for a, b in zip(wanted.parts, found.parts, strict=True))
    if wanted.kind == "type":
        return found.kind == "type"
    return wanted == found


def _settle(known: Known, value: Type, param: Type) -> tuple[bool, bool]:
    """Let a parameter be a value; also says whether it had been settled before."""
    if value == param:
        return True, True
    before = known.get(param)
    if before is not None:
        if value == before:
            return True, True
        if not assignable(known, value, before):
            return False, True
        wider = most_general(value, before)
        if not _mentions(known, wider, param):
            known[param] = wider
        return True, True
    if _mentions(known, value, param):
        return False, False
    known[param] = value
    return True, False


def _mentions(known: Known, found: Type, param: Type) -> bool:
    if found == param:
        return True
    if found.kind == "param":
        return found in known and _mentions(known, known[found], param)
    return any(_mentions(known, p, param) for p in found.parts)


def most_general(one: Type, other: Type) -> Type:
    return one if _wider(one, other) else other


def _wider(one: Type, other: Type) -> bool:
    if one.kind in {"dyn", "param"}:
        return True
    if other.kind in {"dyn", "param"} or one.kind != other.kind:
        return False
    if one.kind == "type":
        return True
    if not one.parts:
        return one == other
    return (one.name, len(one.parts)) == (other.name, len(other.parts)) and all(
        _wider(a, b) for a, b in zip(one.parts, other.parts, strict=True)
    )
