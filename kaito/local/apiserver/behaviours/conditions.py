"""Conditions as all kinds share them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kaito.local.apiserver import names
from kaito.local.apiserver.behaviours.podspec.checks import by, needs_choice, not_negative
from kaito.local.apiserver.fields import FieldError, duplicate, required, too_long, wrong

Object = dict[str, Any]
REASON = r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
REASON_SAYS = (
    "a condition reason must start with alphabetic character, optionally followed by a string of "
    "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
    f"'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex "
    f"used for validation is '{REASON}')"
)
LONGEST_REASON, LONGEST_MESSAGE = 1024, 32768  # bytes


def check_conditions(conditions: list[Object], path: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        where, kind = f"{path}[{i}]", condition.get("type", "")
        if not kind:
            yield required(f"{where}.type")
        else:
            yield from by(names.qualified, kind, f"{where}.type")
            if kind in seen:
                yield duplicate(f"{where}.type", kind)
        seen.add(kind)
        status = condition.get("status", "")
        yield from needs_choice(status, ("False", "True", "Unknown"), f"{where}.status")
        yield from not_negative(condition.get("observedGeneration"), f"{where}.observedGeneration")
        if not condition.get("lastTransitionTime"):
            yield required(f"{where}.lastTransitionTime")
        reason = condition.get("reason", "")
        if not reason:
            yield required(f"{where}.reason")
        elif not re.fullmatch(REASON, reason):
            yield wrong(f"{where}.reason", reason, REASON_SAYS)
        if len(reason.encode()) > LONGEST_REASON:
            yield too_long(f"{where}.reason", LONGEST_REASON)
        if len(condition.get("message", "").encode()) > LONGEST_MESSAGE:
            yield too_long(f"{where}.message", LONGEST_MESSAGE)
