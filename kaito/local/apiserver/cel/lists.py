"""Lists, maps and optionals."""

from __future__ import annotations

from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

from kaito.local.apiserver.cel.formatting import double_text
from kaito.local.apiserver.cel.numbers import add, order
from kaito.local.apiserver.cel.values import NONE, CelError, Duration, Optional, equal, name_of

Function = Callable[..., Any]


def index_list(items: list[Any], at: int) -> Any:
    if not 0 <= at < len(items):
        raise CelError(f"index out of bounds: {at}")
    return items[at]


def index_map(items: dict[Any, Any], key: Any) -> Any:
    found = find(items, key)
    if not found.there:
        raise CelError(f"no such key: {plain(key)}")
    return found.value


def plain(value: Any) -> str:
    """A value inside a message."""
    if isinstance(value, bool):
        return str(value).lower()
    return double_text(value) if isinstance(value, float) else str(value)


def find(items: dict[Any, Any], key: Any) -> Optional:
    """A map's member; true is not 1 here."""
    for known in (key,):
        if known in items and isinstance(known, bool) == isinstance(
            next(k for k in items if k == known) if not isinstance(known, str) else known, bool
        ):
            return Optional(True, items[known])
    return NONE


def contains(one: Any, other: Any) -> bool:
    if isinstance(other, dict):
        return find(other, one).there
    return any(equal(one, o) for o in other)


def picked(pick: Callable[[list[Any]], Any], name: str) -> Function:
    def get(items: list[Any]) -> Any:
        if not items:
            raise CelError(f"{name} called on empty list")
        return pick(items)

    return get


def total(items: list[Any]) -> Any:
    if not items:
        return 0
    found = items[0]
    for item in items[1:]:
        found = add(found, item)
    return found


def flatten(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 0:
        raise CelError("level must be non-negative")
    out: list[Any] = []
    for item in items:
        out += flatten(item, depth - 1) if isinstance(item, list) and depth else [item]
    return out


def slice_of(items: list[Any], start: int, end: int) -> list[Any]:
    head = f"cannot slice({start}, {end})"
    if start < 0 or end < 0:
        raise CelError(f"{head}, negative indexes not supported")
    if start > end:
        raise CelError(f"{head}, start index must be less than or equal to end index")
    if len(items) < end:
        raise CelError(f"{head}, list is length {len(items)}")
    return list(items[start:end])


def distinct(items: list[Any]) -> list[Any]:
    out: list[Any] = []
    for item in items:
        if not any(equal(item, known) for known in out):
            out.append(item)
    return out


def sort_by(items: list[Any], keys: list[Any]) -> list[Any]:
    if len({type(k) for k in keys}) > 1:
        raise CelError("list elements must have the same type")
    return [items[i] for i in sorted(range(len(items)), key=lambda i: by_order(keys[i]))]


by_order = cmp_to_key(order)


def insert(items: dict[Any, Any], *entry: Any) -> dict[Any, Any]:
    more = entry[0] if len(entry) == 1 else {entry[0]: entry[1]}
    for key in more:
        if find(items, key).there:
            raise CelError(f"insert failed: key {plain(key)} already exists")
    return {**items, **more}


def includes(items: list[Any], wanted: list[Any]) -> bool:
    return all(contains(w, items) for w in wanted)


def opt_index(items: Any, at: Any) -> Optional:
    if isinstance(items, Optional):
        return opt_index(items.value, at) if items.there else NONE
    if isinstance(items, dict):
        return find(items, at)
    return Optional(True, items[at]) if 0 <= at < len(items) else NONE


def index(items: Any, at: Any) -> Any:
    if isinstance(items, Optional):
        return opt_index(items, at)
    if isinstance(items, dict):
        return index_map(items, at)
    if not isinstance(items, list):
        raise CelError(f"no such key: {plain(at)}")
    if isinstance(at, float) and not at.is_integer():
        raise CelError(f"unsupported index value {plain(at)} in list")
    if isinstance(at, bool) or not isinstance(at, int | float):
        raise CelError(f"unsupported index type '{name_of(at)}' in list")
    return index_list(items, int(at))


def opt_value(found: Optional) -> Any:
    if not found.there:
        raise CelError("optional.none() dereference")
    return found.value


def non_zero(value: Any) -> Optional:
    empty = value is None or (
        value == 0
        if isinstance(value, int | float)
        else not value
        if isinstance(value, str | bytes | list | dict)
        else isinstance(value, Duration) and not value.nanos
    )
    return NONE if empty else Optional(True, value)


def unwrapped(items: list[Any]) -> list[Any]:
    return [item.value for item in items if item.there]
