"""A range of time, as people read it and as scripts do."""

from __future__ import annotations

from kaito.catalog.timing import Range
from kaito.runtime import Object

MINUTE, HOUR, DAY = 60, 3600, 86400  # seconds


def spell(seconds: Range | None) -> str:
    """In the largest unit of which both ends have at least one or two."""
    if seconds is None:
        return "an unknown time"
    low, high = seconds.low, seconds.high
    if low < MINUTE and high < 10 * MINUTE:
        return f"{low:.0f}-{high:.0f} s"
    if high < 2 * HOUR or low < HOUR / 10:
        return f"{low / MINUTE:.0f}-{high / MINUTE:.0f} min"
    if high < 3 * DAY:
        return f"{low / HOUR:.1f}-{high / HOUR:.1f} h"
    return f"{low / DAY:.1f}-{high / DAY:.1f} days"


def as_seconds(found: Range | None) -> Object | None:
    """Whole seconds; None where they are not known."""
    return None if found is None else {"low": round(found.low), "high": round(found.high)}
