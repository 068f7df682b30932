"""Schedules of CronJobs and the time zones they are meant in."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass, field

EVERY = "@every "
DESCRIPTORS = {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
DURATION = re.compile(r"[-+]?(0|(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+")
ZONE_PART = re.compile(r"[A-Za-z._0-9+-]{1,14}")


class ScheduleError(ValueError):
    """The text is no schedule; the message says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    low: int
    high: int
    names: dict[str, int] = field(default_factory=dict)


def _named(words: str, first: int) -> dict[str, int]:
    return {word: number for number, word in enumerate(words.split(), first)}


FIELDS = (
    Bounds(0, 59),
    Bounds(0, 23),
    Bounds(1, 31),
    Bounds(1, 12, _named("jan feb mar apr may jun jul aug sep oct nov dec", 1)),
    Bounds(0, 6, _named("sun mon tue wed thu fri sat", 0)),
)


def check(text: str) -> None:
    """Raises ScheduleError unless the text is a schedule of five fields or a descriptor."""
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, blank, rest = text.partition(" ")
        if not blank:
            raise ScheduleError(
                "invalid schedule format: runtime error: slice bounds out of range [:-1]"
            )
        zone = head.partition("=")[2]
        if not known_zone(zone):
            raise ScheduleError(f"provided bad location {zone}: unknown time zone {zone}")
        text = rest.strip()
    if text.startswith("@"):
        _descriptor(text)
        return
    fields = text.split()
    if len(fields) != len(FIELDS):
        raise ScheduleError(
            f"expected exactly {len(FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]"
        )
    for part, bounds in zip(fields, FIELDS, strict=True):
        for expression in filter(None, part.split(",")):
            _range(expression, bounds)


def _descriptor(text: str) -> None:
    if text in DESCRIPTORS:
        return
    if not text.startswith(EVERY):
        raise ScheduleError(f"unrecognized descriptor: {text}")
    duration = text.removeprefix(EVERY)
    if not DURATION.fullmatch(duration):
        raise ScheduleError(f'failed to parse duration {text}: time: invalid duration "{duration}"')


def _range(text: str, bounds: Bounds) -> None:
    ends, *steps = text.split("/")
    limits = ends.split("-")
    if limits[0] in {"*", "?"}:
        start, end = bounds.low, bounds.high
    else:
        start = end = _number(limits[0], bounds.names)
        if len(limits) == 2:
            end = _number(limits[1], bounds.names)
        elif len(limits) > 2:
            raise ScheduleError(f"too many hyphens: {text}")
    step = 1
    if steps:
        if len(steps) > 1:
            raise ScheduleError(f"too many slashes: {text}")
        step = _number(steps[0], {})
        end = bounds.high if len(limits) == 1 else end
    if start < bounds.low:
        raise ScheduleError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise ScheduleError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise ScheduleError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {text}")


def _number(text: str, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        raise ScheduleError(
            f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
        )
    if int(text) < 0:
        raise ScheduleError(f"negative number ({int(text)}) not allowed: {text}")
    return int(text)


def known_zone(name: str) -> bool:
    """Is it a zone of the time zone database, spelled as there?"""
    if name in {"", "UTC", "Local"}:
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return False
    return True


def zone_faults(name: str) -> list[str]:
    if not name:
        return ["timeZone must be nil or non-empty string"]
    for part in name.split("/"):
        if part in {".", ".."} or part.startswith("-") or not ZONE_PART.fullmatch(part):
            return [f"unknown time zone {name}"]
    faults = []
    if name.lower() == "local":
        faults.append(
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        )
    return faults if known_zone(name) else [*faults, f"unknown time zone {name}"]
