"""The string formats that schemas may name; unknown ones are ignored."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any

from kaito.local.apiserver import names, times

# Formats by type that are known, here or to the server alone; signs between words do not count.
NUMBERS = {"integer": {"int32", "int64"}, "number": {"float", "double"}}
HEX = "[0-9a-f]"
EMAIL = re.compile(r"(?:[^<>@]*<)?([^\s<>@,;:]+@[^\s<>@,;:]+)>?")
HOSTNAME = re.compile(
    r"[a-zA-Z0-9](?:-?[a-zA-Z0-9]{0,62})?-?"
    r"|(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63}"
)
SPAN = re.compile(r"[-+]?(?:0|(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h))+)")
WORDY_SPAN = re.compile(r"\d+\s*([A-Za-zµ]+)")
UNITS = {"ns", "us", "µs", "ms", "s", "m", "h", "hr", "d", "w", "wk"}
UNIT_HEADS = ("nano", "micro", "milli", "sec", "min", "hour", "day", "week")
MAC = re.compile(
    r"(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}(?:(?:[0-9A-Fa-f]{2}\1){2})?"
    r"(?:(?:[0-9A-Fa-f]{2}\1){12})?[0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{4}(?:\.[0-9A-Fa-f]{4}){2}(?:\.[0-9A-Fa-f]{4})?"
)
PART = r"(?:[01]?[0-9]?[0-9]|2[0-4][0-9]|25[0-5])"
CARD = re.compile(
    r"4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}"
    r"|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35\d{3})\d{11}"
)


def _uuid(version: str = "", variant: str = HEX) -> Callable[[str], bool]:
    third = f"{version}{HEX}{{3}}" if version else f"{HEX}{{4}}"
    return _pattern(rf"(?i){HEX}{{8}}-?{HEX}{{4}}-?{third}-?{variant}{HEX}{{3}}-?{HEX}{{12}}")


def _pattern(text: str) -> Callable[[str], bool]:
    compiled = re.compile(text)
    return lambda value: compiled.fullmatch(value) is not None


def _date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return bool(re.match(r"^\d{4}-\d\d-\d\d$", text))


def _date_time(text: str) -> bool:
    try:
        times.parse(text.upper() if text[-1:] == "z" else text)
    except times.TimeError:
        return False
    return True


def _duration(text: str) -> bool:
    if SPAN.fullmatch(text):
        return True
    return any(
        unit in UNITS or unit.startswith(UNIT_HEADS)
        for unit in (found[1].lower() for found in WORDY_SPAN.finditer(text))
    )


def _plain(text: str) -> str:
    """An IPv4 address without the zeros that lead its parts."""
    return re.sub(r"(^|\.)0+(?=\d)", r"\1", text) if ":" not in text else text


def _address(text: str, version: int) -> bool:
    try:
        found = ipaddress.ip_address(_plain(text))
    except ValueError:
        return False
    return "%" not in text and found.version == version


def _cidr(text: str) -> bool:
    address, slash, bits = text.partition("/")
    try:
        ipaddress.ip_network(f"{_plain(address)}/{bits}", strict=False)
    except ValueError:
        return False
    return bool(slash) and bits.isdigit()


def _uri(text: str) -> bool:
    from kaito.local.apiserver.cel.kubernetes import url_fault

    return not url_fault(text)


def _bytes(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return bool(text)


def _checked(digits: list[int], weights: list[int], rest: int) -> bool:
    return sum(d * w for d, w in zip(digits, weights, strict=True)) % rest == 0


def _isbn10(text: str) -> bool:
    bare = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"\d{9}[\dX]", bare):
        return False
    digits = [10 if c == "X" else int(c) for c in bare]
    return _checked(digits, list(range(10, 0, -1)), 11)


def _isbn13(text: str) -> bool:
    bare = re.sub(r"[\s-]", "", text)
    return bool(re.fullmatch(r"\d{13}", bare)) and _checked(
        [int(c) for c in bare], [1, 3] * 6 + [1], 10
    )


def _card(text: str) -> bool:
    bare = re.sub(r"[^0-9]", "", text)
    if not CARD.fullmatch(bare):
        return False
    doubled = [int(c) * (1 + i % 2) for i, c in enumerate(reversed(bare))]
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _date,
    "date-time": _date_time,
    "duration": _duration,
    "email": lambda t: EMAIL.fullmatch(t.strip()) is not None,
    "hostname": lambda t: len(t) <= 255 and HOSTNAME.fullmatch(t) is not None,
    "ipv4": lambda t: _address(t, 4),
    "ipv6": lambda t: _address(t, 6),
    "cidr": _cidr,
    "uri": _uri,
    "byte": _bytes,
    "mac": lambda t: MAC.fullmatch(t) is not None,
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
    "isbn": lambda t: _isbn10(t) or _isbn13(t),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _card,
    "ssn": _pattern(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _pattern("#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "rgbcolor": _pattern(rf"rgb\(\s*{PART}\s*,\s*{PART}\s*,\s*{PART}\s*\)"),
    "bsonobjectid": _pattern("[0-9a-fA-F]{24}"),
    "password": lambda t: True,
    "k8s-short-name": lambda t: not names.label(t),
    "k8s-long-name": lambda t: not names.subdomain(t),
}
_BARE = {name.replace("-", ""): test for name, test in FORMATS.items()}


@cache
def test_of(name: str) -> Callable[[str], bool] | None:
    """What tells whether a text has a format; None for formats that are ignored."""
    return _BARE.get(name.replace("-", ""))


def unrecognized(schema: Any) -> list[str]:
    """The formats in a schema that are none."""
    if not isinstance(schema, dict):
        return []
    found, name, kind = [], schema.get("format"), schema.get("type", "")
    if name and not known(name, kind):
        found.append(name)
    for part in ("properties", "definitions", "patternProperties"):
        for inner in (schema.get(part) or {}).values():
            found += unrecognized(inner)
    for part in ("items", "additionalProperties", "not"):
        found += unrecognized(schema.get(part))
    for part in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(part) or ():
            found += unrecognized(inner)
    return found


def known(name: str, kind: str) -> bool:
    """Does a format count for values of a type?"""
    if kind in {"", "string"}:
        return test_of(name) is not None
    return name in NUMBERS.get(kind, set())
