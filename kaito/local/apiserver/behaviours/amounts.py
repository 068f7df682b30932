"""Amounts that are a count or a percentage of something."""

from __future__ import annotations

import re
from typing import Any

from kaito.local.apiserver.behaviours.podspec.checks import not_negative
from kaito.local.apiserver.fields import FieldError, wrong

PERCENT = re.compile(r"[0-9]+%")
PERCENT_SAYS = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)


def percent(value: Any) -> int | None:
    """The number of a percentage; None for anything else."""
    return int(value[:-1]) if isinstance(value, str) and PERCENT.fullmatch(value) else None


def number(value: Any) -> int:
    """The number of a count or a percentage, 0 for what is neither."""
    if isinstance(value, int):
        return value
    found = percent(value)
    return found if found is not None else int(value) if str(value).isdigit() else 0


def amount(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, int):
        return not_negative(value, path)
    return [] if percent(value) is not None else [wrong(path, value, PERCENT_SAYS)]


def at_most_all(value: Any, path: str) -> list[FieldError]:
    """A percentage is one of a whole."""
    if (percent(value) or 0) > 100:
        return [wrong(path, value, "must not be greater than 100%")]
    return []
