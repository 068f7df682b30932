"""Status conditions as values (meta/v1 Condition)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from kaito.runtime.clock import rfc3339
from kaito.runtime.resource import Object

Truth: TypeAlias = Literal["True", "False", "Unknown"]

MAX_MESSAGE = 32768  # characters, the limit of meta/v1 Condition


def set_condition(
    conditions: Sequence[Object],
    type: str,  # noqa: A002 - the field's name
    status: Truth,
    reason: str,
    message: str = "",
    *,
    generation: int,
    now: float,
) -> list[Object]:
    """The conditions with this one set; others keep their place and content.

    lastTransitionTime moves only when the status changes, so that setting the same condition
    again yields an equal list.
    """
    found = find_condition(conditions, type)
    unchanged = found is not None and found.get("status") == status
    condition: Object = {
        "type": type,
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": found["lastTransitionTime"]
        if found is not None and unchanged and found.get("lastTransitionTime")
        else rfc3339(now),
        "reason": reason,
        "message": message[:MAX_MESSAGE],
    }
    if found is None:
        return [*conditions, condition]
    return [condition if other is found else other for other in conditions]


def remove_condition(conditions: Sequence[Object], type: str) -> list[Object]:  # noqa: A002
    """The conditions without this one."""
    return [condition for condition in conditions if condition.get("type") != type]


def find_condition(conditions: Sequence[Object], type: str) -> Object | None:  # noqa: A002
    """The condition of this type, None when there is none."""
    for condition in conditions:
        if condition.get("type") == type:
            return condition
    return None


def is_true(conditions: Sequence[Object], type: str) -> bool:  # noqa: A002
    """Whether the condition of this type is there and True."""
    found = find_condition(conditions, type)
    return found is not None and found.get("status") == "True"
