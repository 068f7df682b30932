"""Points in time as the API writes them: RFC 3339, UTC, whole seconds or microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime

PATTERN = re.compile(r"^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$")


class TimeError(ValueError):
    """The text is no RFC 3339 time."""


def parse(text: str) -> datetime:
    if not PATTERN.match(text):
        raise TimeError(
            f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": '
            f'cannot parse "{_rest(text)}" as "{_expected(text)}"'
        )
    try:
        whole, _, fraction = text.replace(",", ".").replace("Z", "+00:00").partition(".")
        if fraction:
            digits, sign, zone = re.split(r"([+-])", fraction, maxsplit=1)
            whole = f"{whole}.{digits[:6].ljust(6, '0')}{sign}{zone}"
        return datetime.fromisoformat(whole).astimezone(UTC)
    except ValueError as error:
        raise TimeError(f'parsing time "{text}": {_range(text)} out of range') from error


def _range(text: str) -> str:
    found = PATTERN.match(text)
    if found and not 1 <= int(found[2]) <= 12:
        return "month"
    if found and int(found[4]) > 23:
        return "hour"
    if found and int(found[5]) > 59:
        return "minute"
    if found and int(found[6]) > 59:
        return "second"
    return "day"


_STEPS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d(?:[.,]\d+)?"),
    ("Z07:00", r"Z|[+-]\d\d:\d\d"),
)


def _walk(text: str) -> tuple[str, str]:
    rest = text
    for name, pattern in _STEPS:
        found = re.match(pattern, rest)
        if not found:
            return rest, name
        rest = rest[found.end() :]
    return rest, ""


def _rest(text: str) -> str:
    return _walk(text)[0]


def _expected(text: str) -> str:
    return _walk(text)[1]


def seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(now: float) -> str:
    """Whole seconds since the epoch, printed."""
    return seconds(datetime.fromtimestamp(now, UTC))


def micro_stamp(now: float) -> str:
    return micros(datetime.fromtimestamp(now, UTC))
