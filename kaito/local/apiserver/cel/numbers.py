"""Numbers, times and conversions: what operators and type names do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kaito.local.apiserver import times
from kaito.local.apiserver.cel.formatting import double_text
from kaito.local.apiserver.cel.types import Type
from kaito.local.apiserver.cel.values import (
    BILLION,
    CIDR,
    HIGH,
    IP,
    LOW,
    CelError,
    Duration,
    Timestamp,
    UInt,
    added,
    moment,
    name_of,
)

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


def ordered(test: Callable[[int], bool]) -> Function:
    def compare(one: Any, other: Any) -> bool:
        if (isinstance(one, float) and math.isnan(one)) or (
            isinstance(other, float) and math.isnan(other)
        ):
            raise CelError("NaN values cannot be ordered")
        return test(order(one, other))

    return compare


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


def part_of(read: Callable[[datetime], int], unit: int = 0) -> Function:
    """A part of a time, or a whole duration in some unit."""

    def get(value: Any, *zone: str) -> int:
        if isinstance(value, Duration):
            return int(math.copysign(1, value.nanos)) * (abs(value.nanos) // unit)
        return read(_zoned(value, *zone))

    return get


def type_of(value: Any) -> Type:
    name = name_of(value)
    return Type("null" if name == "null_type" else name)
