"""Points in time as the API writes them: RFC 3339, UTC, whole seconds or microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

PLAIN = "2006-01-02T15:04:05Z07:00"
MICRO = "2006-01-02T15:04:05.000000Z07:00"
_DATE = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d?"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
)
_ZONE = ("Z07:00", r"Z|[+-]\d\d:\d\d")
_STEPS = {
    PLAIN: (*_DATE, ("05", r"\d\d(?:[.,]\d+)?"), _ZONE),
    MICRO: (*_DATE, ("05", r"\d\d"), (".000000", r"[.,]\d{6}"), _ZONE),
}
_LIMITS = {"01": ("month", 1, 12), "15": ("hour", 0, 23), "04": ("minute", 0, 59)}
NEVER = datetime(1, 1, 1, tzinfo=UTC)  # what an unset time is
_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z\Z")


class TimeError(ValueError):
    """The text is no RFC 3339 time; the message is the server's."""


def parse(text: str, layout: str = PLAIN) -> datetime:
    """Raises TimeError. With the layout MICRO exactly six digits of a second are asked for."""
    if _USUAL.match(text) and (len(text) == 27 or layout is PLAIN):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass  # some part is out of its range
    parts: dict[str, str] = {}
    rest = text
    for name, pattern in _STEPS[layout]:
        found = re.match(pattern, rest)
        if not found:
            raise TimeError(
                f"parsing time {_quoted(text)} as {_quoted(layout)}: "
                f"cannot parse {_quoted(rest)} as {_quoted(name)}"
            )
        parts[name], rest = found[0], rest[found.end() :]
        if limits := _LIMITS.get(name):
            what, low, high = limits
            if not low <= int(found[0]) <= high:
                raise TimeError(f"parsing time {_quoted(text)}: {what} out of range")
        if name == "05" and int(found[0][:2]) > 59:
            raise TimeError(f"parsing time {_quoted(text)}: second out of range")
    if rest:
        raise TimeError(f"parsing time {_quoted(text)}: extra text: {_quoted(rest)}")
    return _moment(text, parts)


def _moment(text: str, parts: dict[str, str]) -> datetime:
    second, fraction = parts["05"][:2], parts.get(".000000", parts["05"][2:])[1:]
    zone, offset = parts["Z07:00"], timedelta(0)
    if zone != "Z":
        offset = timedelta(hours=int(zone[:3]), minutes=int(zone[0] + zone[4:]))
        for what, given, limit in (("hour", zone[1:3], 24), ("minute", zone[4:], 60)):
            if int(given) > limit:
                raise TimeError(
                    f"parsing time {_quoted(text)}: time zone offset {what} out of range"
                )
    try:
        local = datetime(
            int(parts["2006"]),
            int(parts["01"]),
            int(parts["02"]),
            int(parts["15"]),
            int(parts["04"]),
            int(second),
            int(fraction[:6].ljust(6, "0")),
            UTC,
        )
    except ValueError as error:
        raise TimeError(f"parsing time {_quoted(text)}: day out of range") from error
    return local - offset


def _quoted(text: str) -> str:
    """Text in quotes, every byte that is not printable ASCII as a number."""
    shown = [
        f"\\{chr(b)}" if b in b'"\\' else chr(b) if 0x20 <= b < 0x7F else f"\\x{b:02x}"
        for b in text.encode()
    ]
    return '"' + "".join(shown) + '"'


def seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def micros(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def stamp(now: float) -> str:
    """Whole seconds since the epoch, printed."""
    return seconds(datetime.fromtimestamp(now, UTC))


_LENGTH = r"(?:\d+\.?\d*|\.\d+)"
_UNITS = r"(?:ns|us|µs|μs|ms|s|m|h)"
_DURATION = re.compile(rf"[-+]?(?:0|(?:{_LENGTH}{_UNITS})+)")
_BARE = re.compile(rf"[-+]?(?:{_LENGTH}{_UNITS})*{_LENGTH}([^\d.]*)")


def check_duration(text: str) -> None:
    """Raises TimeError where a text is no length of time such as 1m30s."""
    if _DURATION.fullmatch(text):
        return
    found = _BARE.match(text)
    if not found:
        raise TimeError(f"time: invalid duration {_quoted(text)}")
    if not found[1]:
        raise TimeError(f"time: missing unit in duration {_quoted(text)}")
    raise TimeError(f"time: unknown unit {_quoted(found[1])} in duration {_quoted(text)}")
