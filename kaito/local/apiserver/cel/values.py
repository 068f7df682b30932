"""Values at work: what plain Python lacks, equality, order and kinds."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import SplitResult

from kaito.local.apiserver.cel.types import Type

BILLION = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOW, HIGH = -(1 << 63), (1 << 63) - 1
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class CelError(ValueError):
    """An evaluation that fails; the message is the server's."""


class TooCostly(CelError):
    """The evaluation was stopped at its limit."""


NO_OVERLOAD = "no such overload"


class UInt(int):
    """An unsigned number; plain integers are signed ones."""


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """Nanoseconds since 1970."""

    nanos: int

    def moment(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.nanos // 1000)

    def __str__(self) -> str:
        text = self.moment().strftime("%Y-%m-%dT%H:%M:%S")
        return f"{text.rjust(19, '0')}{_fraction(self.nanos % BILLION)}Z"


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanos: int

    def __str__(self) -> str:
        sign, nanos = ("-", -self.nanos) if self.nanos < 0 else ("", self.nanos)
        return f"{sign}{nanos // BILLION}{_fraction(nanos % BILLION)}s"


def _fraction(nanos: int) -> str:
    return f".{nanos:09d}".rstrip("0") if nanos else ""


@dataclass(frozen=True, slots=True)
class Optional:
    """What may be there; `value` counts only where `there`."""

    there: bool
    value: Any = None


NONE = Optional(False)


@dataclass(frozen=True, slots=True)
class Quantity:
    """`broken`: a binary one with a fraction, which the server cannot take for an integer."""

    amount: Decimal
    broken: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class URL:
    parts: SplitResult = field(compare=False)
    text: str = ""


@dataclass(frozen=True, slots=True)
class IP:
    address: Address


@dataclass(frozen=True, slots=True)
class CIDR:
    interface: Interface


@dataclass(frozen=True, slots=True)
class Semver:
    core: tuple[int, int, int]
    early: tuple[tuple[int, int, str], ...]  # empty for a release
    text: str = field(default="", compare=False)

    def rank(self) -> tuple[Any, ...]:
        return (self.core, not self.early, self.early)


@dataclass(frozen=True, slots=True)
class Format:
    name: str


class SetList(list[Any]):
    """A list whose order does not count."""


class KeyedList(list[Any]):
    """A list whose members are told apart by some of their fields."""

    def __init__(self, items: Sequence[Any], keys: tuple[str, ...]) -> None:
        super().__init__(items)
        self.keys = keys

    def index_of(self) -> dict[tuple[str, ...], Any]:
        return {self.key(item): item for item in self}

    def key(self, item: Any) -> tuple[str, ...]:
        return tuple(repr(item.get(k)) for k in self.keys) if isinstance(item, dict) else ()


NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    SetList: "list",
    KeyedList: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    Optional: "optional_type",
    Type: "type",
    Quantity: "kubernetes.Quantity",
    URL: "kubernetes.URL",
    IP: "net.IP",
    CIDR: "net.CIDR",
    Semver: "kubernetes.Semver",
    Format: "kubernetes.NamedFormat",
}


def name_of(value: Any) -> str:
    """The name of a value's type."""
    found = NAMES.get(type(value))
    return found if found is not None else str(getattr(value, "cel_type", "object"))


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(one: Any, other: Any) -> bool:
    """Equal as the language sees it: numbers across their types, nothing else."""
    if is_number(one) and is_number(other):
        return bool(one == other)
    if isinstance(one, list) and isinstance(other, list):
        return _equal_lists(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            k in other and equal(v, other[k]) for k, v in one.items()
        )
    if isinstance(one, Optional):
        return one.there == other.there and equal(one.value, other.value)
    if isinstance(one, Type):
        return type_name(one) == type_name(other)
    return bool(one == other)


def type_name(found: Type) -> str:
    return found.name or found.kind


def _equal_lists(one: list[Any], other: list[Any]) -> bool:
    if len(one) != len(other):
        return False
    if isinstance(one, SetList):
        return all(any(equal(a, b) for b in other) for a in one)
    if isinstance(one, KeyedList):
        index = one.index_of()
        return all(one.key(b) in index and equal(index[one.key(b)], b) for b in other)
    return all(equal(a, b) for a, b in zip(one, other, strict=True))


def added(one: list[Any], other: list[Any]) -> list[Any]:
    """Two lists as one: sets grow by what is new, keyed lists replace in place."""
    if isinstance(one, SetList):
        return SetList([*one, *(b for b in other if not any(equal(a, b) for a in one))])
    if isinstance(one, KeyedList):
        fresh = {one.key(b): b for b in other}
        merged = [fresh.pop(one.key(a), a) for a in one]
        return KeyedList([*merged, *fresh.values()], one.keys)
    return [*one, *other]


def size_of(value: Any) -> int:
    """How much a value counts for in costs."""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    if isinstance(value, Optional) and value.there:
        return size_of(value.value)
    return 1


def moment(found: datetime) -> Timestamp:
    past = found - EPOCH
    return Timestamp((past.days * 86400 + past.seconds) * BILLION + past.microseconds * 1000)
