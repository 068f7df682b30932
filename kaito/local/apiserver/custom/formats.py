"""The string formats that schemas may name; unknown ones are ignored."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from kaito.local.apiserver import times

# Formats by type that are known, here or to the server alone; signs between words do not count.
NUMBERS = {"integer": {"int32", "int64"}, "number": {"float", "double"}}
UNCHECKED = frozenset({"bsonobjectid", "password"})
UUID = re.compile(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$")
EMAIL = re.compile(r"^[^@\s]+@[^@\s]+$")
HOSTNAME = re.compile(
    r"^([a-zA-Z0-9]([a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([a-zA-Z0-9\-]{0,61}"
    r"[a-zA-Z0-9])?$"
)
DURATION = re.compile(
    r"^-?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)"
    r"((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))*$"
)
MAC = re.compile(r"^([0-9A-Fa-f]{2}[:-]){5}([0-9A-Fa-f]{2})$")


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


def _address(kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> Callable[[str], bool]:
    def test(text: str) -> bool:
        try:
            kind(text)
        except ValueError:
            return False
        return True

    return test


def _cidr(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return "/" in text


def _uri(text: str) -> bool:
    try:
        found = urlsplit(text)
    except ValueError:
        return False
    return bool(found.scheme) or text.startswith("/")


def _bytes(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True


FORMATS: dict[str, Callable[[str], bool]] = {
    "date": _date,
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": lambda t: bool(DURATION.match(t)),
    "email": lambda t: bool(EMAIL.match(t)),
    "hostname": lambda t: len(t) <= 255 and bool(HOSTNAME.match(t)),
    "ipv4": _address(ipaddress.IPv4Address),
    "ipv6": _address(ipaddress.IPv6Address),
    "cidr": _cidr,
    "uri": _uri,
    "byte": _bytes,
    "mac": lambda t: bool(MAC.match(t)),
    "uuid": lambda t: bool(UUID.match(t)),
    "uuid3": lambda t: bool(UUID.match(t)),
    "uuid4": lambda t: bool(UUID.match(t)),
    "uuid5": lambda t: bool(UUID.match(t)),
}


def unrecognized(schema: Any) -> list[str]:
    """The formats in a schema that are none."""
    if not isinstance(schema, dict):
        return []
    found, name, kind = [], schema.get("format"), schema.get("type", "")
    if name and not _known(name, kind):
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


def _known(name: str, kind: str) -> bool:
    if kind in {"", "string"}:
        bare = name.replace("-", "")
        return bare in UNCHECKED or any(bare == known.replace("-", "") for known in FORMATS)
    return name in NUMBERS.get(kind, set())
