"""The language's own functions: arithmetic, conversions, texts, times, lists and optionals."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cmp_to_key
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kaito.local.apiserver import times
from kaito.local.apiserver.cel.formatting import double_text, formatted, quoted
from kaito.local.apiserver.cel.types import Type
from kaito.local.apiserver.cel.values import (
    BILLION,
    CIDR,
    HIGH,
    IP,
    LOW,
    NONE,
    CelError,
    Duration,
    Optional,
    Timestamp,
    UInt,
    added,
    equal,
    moment,
    name_of,
)
from kaito.local.apiserver.custom.patterns import compiled

Function = Callable[..., Any]
UINT_HIGH = (1 << 64) - 1
EARLIEST, LATEST = -62135596800, 253402300799  # seconds: the years 1 to 9999
SPAN = re.compile(r"([-+]?)((?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
STEP = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
UNITS = {"ns": 1, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "m": 6e10, "h": 3.6e12}


def signed(value: int) -> int:
    if not LOW <= value <= HIGH:
        raise CelError("integer overflow")
    return int(value)


def unsigned(value: int) -> UInt:
    if not 0 <= value <= UINT_HIGH:
        raise CelError("unsigned integer overflow")
    return UInt(value)


def _whole(one: Any, value: int) -> int:
    return unsigned(value) if isinstance(one, UInt) else signed(value)


def add(one: Any, other: Any) -> Any:
    if isinstance(one, int):
        return _whole(one, one + other)
    if isinstance(one, list):
        return added(one, other)
    if isinstance(one, Timestamp | Duration):
        nanos = one.nanos + other.nanos
        return _time(nanos) if Timestamp in {type(one), type(other)} else _span(nanos)
    return one + other


def _time(nanos: int) -> Timestamp:
    if not EARLIEST <= nanos // BILLION <= LATEST:
        raise CelError("timestamp overflow")
    return Timestamp(nanos)


def _span(nanos: int) -> Duration:
    if not LOW <= nanos <= HIGH:
        raise CelError("duration overflow")
    return Duration(nanos)


def subtract(one: Any, other: Any) -> Any:
    if isinstance(one, int):
        return _whole(one, one - other)
    if isinstance(one, Timestamp) and isinstance(other, Duration):
        return _time(one.nanos - other.nanos)
    if isinstance(one, Timestamp | Duration):
        return _span(one.nanos - other.nanos)
    return one - other


def multiply(one: Any, other: Any) -> Any:
    return _whole(one, one * other) if isinstance(one, int) else one * other


def divide(one: Any, other: Any) -> Any:
    if isinstance(one, int):
        if not other:
            raise CelError("division by zero")
        return _whole(one, abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1))
    if not other:
        return (
            math.nan
            if not one or math.isnan(one)
            else math.copysign(math.inf, one * (math.copysign(1, other)))
        )
    return one / other


def modulo(one: int, other: int) -> int:
    if not other:
        raise CelError("modulus by zero")
    return _whole(one, int(math.copysign(1, one)) * (abs(one) % abs(other)))


def negate(one: Any) -> Any:
    return signed(-one) if isinstance(one, int) else -one


def order(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def _ordered(test: Callable[[int], bool]) -> Function:
    def compare(one: Any, other: Any) -> bool:
        if (isinstance(one, float) and math.isnan(one)) or (
            isinstance(other, float) and math.isnan(other)
        ):
            raise CelError("NaN values cannot be ordered")
        return test(order(one, other))

    return compare


def index_list(items: list[Any], at: int) -> Any:
    if not 0 <= at < len(items):
        raise CelError(f"index out of bounds: {at}")
    return items[at]


def index_map(items: dict[Any, Any], key: Any) -> Any:
    found = find(items, key)
    if not found.there:
        raise CelError(f"no such key: {plain(key)}")
    return found.value


def plain(value: Any) -> str:
    """A value inside a message."""
    if isinstance(value, bool):
        return str(value).lower()
    return double_text(value) if isinstance(value, float) else str(value)


def find(items: dict[Any, Any], key: Any) -> Optional:
    """A map's member; true is not 1 here."""
    for known in (key,):
        if known in items and isinstance(known, bool) == isinstance(
            next(k for k in items if k == known) if not isinstance(known, str) else known, bool
        ):
            return Optional(True, items[known])
    return NONE


def contains(one: Any, other: Any) -> bool:
    if isinstance(other, dict):
        return find(other, one).there
    return any(equal(one, o) for o in other)


def conversion_fault(value: Any, wanted: str) -> CelError:
    return CelError(f"type conversion error from '{name_of(value)}' to '{wanted}'")


def to_int(value: Any) -> int:
    match value:
        case Timestamp():
            return value.nanos // BILLION
        case Duration():
            return value.nanos
        case str():
            if not re.fullmatch(r"[-+]?\d+", value) or not LOW <= int(value) <= HIGH:
                raise conversion_fault(value, "int")
            return int(value)
        case float():
            if math.isnan(value) or not LOW < value < HIGH:
                raise CelError("integer overflow")
            return int(value)
    return signed(value)


def to_uint(value: Any) -> UInt:
    if isinstance(value, str):
        if not re.fullmatch(r"\d+", value) or int(value) > UINT_HIGH:
            raise conversion_fault(value, "uint")
        return UInt(value)
    if isinstance(value, float) and math.isnan(value):
        raise CelError("unsigned integer overflow")
    return unsigned(int(value) if value >= 0 else -1)


def to_double(value: Any) -> float:
    if isinstance(value, str):
        try:
            found = float(value)
        except ValueError as error:
            raise conversion_fault(value, "double") from error
        if value != value.strip() or (math.isinf(found) and "inf" not in value.lower()):
            raise conversion_fault(value, "double")
        return found
    return float(value)


def to_string(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case float():
            return double_text(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError as error:
                raise CelError("invalid UTF-8 in bytes, cannot convert to string") from error
        case IP():
            return str(value.address)
        case CIDR():
            return str(value.interface)
    return str(value)


def to_bool(value: Any) -> bool:
    if isinstance(value, str):
        if value in {"1", "t", "true", "TRUE", "True"}:
            return True
        if value in {"0", "f", "false", "FALSE", "False"}:
            return False
        raise conversion_fault(value, "bool")
    return bool(value)


def to_timestamp(value: Any) -> Timestamp:
    if isinstance(value, Timestamp):
        return value
    if isinstance(value, int):
        return Timestamp(value * BILLION)
    try:
        found = moment(times.parse(value))
    except times.TimeError as error:
        raise conversion_fault(value, "google.protobuf.Timestamp") from error
    fraction = re.search(r"[.,](\d+)", value)
    return Timestamp(
        found.nanos // BILLION * BILLION + (int(fraction[1][:9].ljust(9, "0")) if fraction else 0)
    )


def parse_span(text: str) -> int | None:
    """A duration's nanoseconds; None where the text is none."""
    if text in {"0", "+0", "-0"}:
        return 0
    found = SPAN.fullmatch(text)
    if not found:
        return None
    nanos = 0
    for number, unit in STEP.findall(text):
        whole, _, part = number.partition(".")
        scale = int(UNITS[unit])
        nanos += int(whole or 0) * scale + int(part or 0) * scale // 10 ** len(part)
    return -nanos if found[1] == "-" else nanos


def to_duration(value: Any) -> Duration:
    if isinstance(value, Duration):
        return value
    nanos = parse_span(value) if isinstance(value, str) else None
    if nanos is None or not LOW <= nanos <= HIGH:
        raise conversion_fault(value, "google.protobuf.Duration")
    return Duration(nanos)


def _zoned(found: Timestamp, zone: str = "UTC") -> datetime:
    moment = found.moment()
    offset = re.fullmatch(r"([-+]?)(\d\d):(\d\d)", zone)
    if offset:
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return moment.astimezone(timezone(-shift if offset[1] == "-" else shift))
    try:
        return moment.astimezone(ZoneInfo(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CelError(f"unknown time zone {zone}") from error


def _part(read: Callable[[datetime], int], unit: int = 0) -> Function:
    """A part of a time, or a whole duration in some unit."""

    def get(value: Any, *zone: str) -> int:
        if isinstance(value, Duration):
            return int(math.copysign(1, value.nanos)) * (abs(value.nanos) // unit)
        return read(_zoned(value, *zone))

    return get


def type_of(value: Any) -> Type:
    name = name_of(value)
    return Type("null" if name == "null_type" else name)


def _text_index(text: str, wanted: str, start: int = 0) -> int:
    if not wanted:
        return start
    if start < 0:
        raise CelError(f"index out of range: {start}")
    return text.find(wanted, start)


def index_of(one: Any, wanted: Any, start: int = 0) -> int:
    if isinstance(one, str):
        return _text_index(one, wanted, start)
    return next((i for i, item in enumerate(one) if equal(item, wanted)), -1)


def last_index_of(one: Any, wanted: Any, start: int | None = None) -> int:
    if isinstance(one, list):
        return next((i for i in reversed(range(len(one))) if equal(one[i], wanted)), -1)
    if not wanted:
        return len(one) if start is None else start
    if start is None:
        return int(one.rfind(wanted))
    if start < 0:
        raise CelError(f"index out of range: {start}")
    return -1 if start >= len(one) else int(one.rfind(wanted, 0, start + len(wanted)))


def char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise CelError(f"index out of range: {at}")
    return text[at : at + 1]


def substring(text: str, start: int, end: int | None = None) -> str:
    if end is not None and start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    for at in (start, end):
        if at is not None and not 0 <= at <= len(text):
            raise CelError(f"index out of range: {at}")
    return text[start:end]


def split(text: str, mark: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    if mark:
        return text.split(mark, most - 1 if most > 0 else -1)
    if most < 0 or most >= len(text):
        return list(text)
    return [*text[: most - 1], text[most - 1 :]]


def replace(text: str, old: str, new: str, most: int = -1) -> str:
    return text.replace(old, new, most)


def _cased(change: Callable[[str], str]) -> Function:
    return lambda text: "".join(change(c) if c.isascii() else c for c in text)


def pattern(text: str) -> re.Pattern[str]:
    from kaito.local.apiserver.custom.patterns import fault

    why = fault(text)
    if why:
        raise CelError(why)
    return compiled(text)


def matches(text: str, wanted: str) -> bool:
    return pattern(wanted).search(text) is not None


def find_text(text: str, wanted: str) -> str:
    found = pattern(wanted).search(text)
    return found[0] if found else ""


def find_all(text: str, wanted: str, most: int = -1) -> list[str]:
    found = [m[0] for m in pattern(wanted).finditer(text)]
    return found if most < 0 else found[:most]


def join(items: list[Any], mark: str = "") -> str:
    for item in items:
        if not isinstance(item, str):
            raise CelError(f"join: invalid input: {plain(item)}")
    return mark.join(items)


def _picked(pick: Callable[[list[Any]], Any], name: str) -> Function:
    def get(items: list[Any]) -> Any:
        if not items:
            raise CelError(f"{name} called on empty list")
        return pick(items)

    return get


def total(items: list[Any]) -> Any:
    if not items:
        return 0
    found = items[0]
    for item in items[1:]:
        found = add(found, item)
    return found


def flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    out: list[Any] = []
    for item in items:
        out += flatten(item, depth - 1) if isinstance(item, list) and depth else [item]
    return out


def slice_of(items: list[Any], start: int, end: int) -> list[Any]:
    head = f"cannot slice({start}, {end})"
    if start < 0 or end < 0:
        raise CelError(f"{head}, negative indexes not supported")
    if start > end:
        raise CelError(f"{head}, start index must be less than or equal to end index")
    if len(items) < end:
        raise CelError(f"{head}, list is length {len(items)}")
    return list(items[start:end])


def distinct(items: list[Any]) -> list[Any]:
    out: list[Any] = []
    for item in items:
        if not any(equal(item, known) for known in out):
            out.append(item)
    return out


def sort_by(items: list[Any], keys: list[Any]) -> list[Any]:
    if len({type(k) for k in keys}) > 1:
        raise CelError("list elements must have the same type")
    return [items[i] for i in sorted(range(len(items)), key=lambda i: _key(keys[i]))]


_key = cmp_to_key(order)


def insert(items: dict[Any, Any], *entry: Any) -> dict[Any, Any]:
    more = entry[0] if len(entry) == 1 else {entry[0]: entry[1]}
    for key in more:
        if find(items, key).there:
            raise CelError(f"insert failed: key {plain(key)} already exists")
    return {**items, **more}


def includes(items: list[Any], wanted: list[Any]) -> bool:
    return all(contains(w, items) for w in wanted)


def opt_index(items: Any, at: Any) -> Optional:
    if isinstance(items, Optional):
        return opt_index(items.value, at) if items.there else NONE
    if isinstance(items, dict):
        return find(items, at)
    return Optional(True, items[at]) if 0 <= at < len(items) else NONE


def index(items: Any, at: Any) -> Any:
    if isinstance(items, Optional):
        return opt_index(items, at)
    if isinstance(items, dict):
        return index_map(items, at)
    if not isinstance(items, list):
        raise CelError(f"no such key: {plain(at)}")
    if isinstance(at, float) and not at.is_integer():
        raise CelError(f"unsupported index value {plain(at)} in list")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise CelError(f"unsupported index type '{name_of(at)}' in list")
    return index_list(items, int(at))


def opt_value(found: Optional) -> Any:
    if not found.there:
        raise CelError("optional.none() dereference")
    return found.value


def non_zero(value: Any) -> Optional:
    empty = value is None or (
        value == 0
        if isinstance(value, int | float)
        else not value
        if isinstance(value, str | bytes | list | dict)
        else isinstance(value, Duration) and not value.nanos
    )
    return NONE if empty else Optional(True, value)


def _unwrap(items: list[Any]) -> list[Any]:
    return [item.value for item in items if item.there]


STANDARD: dict[str, Function] = {
    "_+_": add,
    "_-_": subtract,
    "_*_": multiply,
    "_/_": divide,
    "_%_": modulo,
    "-_": negate,
    "!_": lambda one: not one,
    "_<_": _ordered(lambda found: found < 0),
    "_<=_": _ordered(lambda found: found <= 0),
    "_>_": _ordered(lambda found: found > 0),
    "_>=_": _ordered(lambda found: found >= 0),
    "_==_": equal,
    "_!=_": lambda one, other: not equal(one, other),
    "_[_]": index,
    "_[?_]": opt_index,
    "@in": contains,
    "size": len,
    "type": type_of,
    "dyn": lambda value: value,
    "int": to_int,
    "uint": to_uint,
    "double": to_double,
    "bool": to_bool,
    "string": to_string,
    "bytes": lambda value: value.encode() if isinstance(value, str) else value,
    "timestamp": to_timestamp,
    "duration": to_duration,
    "contains": lambda text, part: part in text,
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "matches": matches,
    "getFullYear": _part(lambda t: t.year),
    "getMonth": _part(lambda t: t.month - 1),
    "getDayOfYear": _part(lambda t: t.timetuple().tm_yday - 1),
    "getDayOfMonth": _part(lambda t: t.day - 1),
    "getDate": _part(lambda t: t.day),
    "getDayOfWeek": _part(lambda t: t.isoweekday() % 7),
    "getHours": _part(lambda t: t.hour, 3600 * BILLION),
    "getMinutes": _part(lambda t: t.minute, 60 * BILLION),
    "getSeconds": _part(lambda t: t.second, BILLION),
    "getMilliseconds": _part(lambda t: t.microsecond // 1000, 1_000_000),
    "optional.of": lambda value: Optional(True, value),
    "optional.ofNonZeroValue": non_zero,
    "optional.none": lambda: NONE,
    "optional.unwrap": _unwrap,
    "unwrapOpt": _unwrap,
    "value": opt_value,
    "hasValue": lambda found: found.there,
    "or": lambda one, other: one if one.there else other,
    "orValue": lambda one, other: one.value if one.there else other,
    "first": lambda items: Optional(True, items[0]) if items else NONE,
    "last": lambda items: Optional(True, items[-1]) if items else NONE,
    "charAt": char_at,
    "indexOf": index_of,
    "lastIndexOf": last_index_of,
    "lowerAscii": _cased(str.lower),
    "upperAscii": _cased(str.upper),
    "replace": replace,
    "split": split,
    "substring": substring,
    "trim": str.strip,
    "format": formatted,
    "strings.quote": quoted,
    "join": join,
    "find": find_text,
    "findAll": find_all,
    "slice": slice_of,
    "flatten": flatten,
    "reverse": lambda items: list(reversed(items)),
    "distinct": distinct,
    "sort": lambda items: sort_by(items, items),
    "@sortByAssociatedKeys": sort_by,
    "lists.range": lambda most: list(range(most)),
    "sets.contains": includes,
    "sets.equivalent": lambda one, other: includes(one, other) and includes(other, one),
    "sets.intersects": lambda one, other: any(contains(o, other) for o in one),
    "cel.@mapInsert": insert,
    "isSorted": lambda items: all(order(a, b) <= 0 for a, b in pairwise(items)),
    "sum": total,
    "min": _picked(lambda items: min(items, key=_key), "min"),
    "max": _picked(lambda items: max(items, key=_key), "max"),
}
