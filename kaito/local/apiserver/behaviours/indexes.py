"""Sets of indexes of a Job's pods, written as `1,3-5`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kaito.local.apiserver.fields import go_quote

Interval = tuple[int, int]


class IndexesError(ValueError):
    """The text is no set of indexes below the number of completions."""


def intervals(text: str, completions: int) -> list[Interval]:
    """The intervals in their order. Raises IndexesError."""
    found: list[Interval] = []
    for part in text.split(",") if text else ():
        first, last = _interval(part, completions)
        if found and found[-1][1] >= first:
            raise IndexesError(f"non-increasing order, previous: {found[-1][1]}, current: {first}")
        found.append((first, last))
    return found


def size(found: list[Interval]) -> int:
    return sum(last - first + 1 for first, last in found)


def overlap(one: str, other: str, completions: int) -> int | None:
    """The first index that both name; parts that cannot be read name none."""
    mine = {i for first, last in _readable(one, completions) for i in range(first, last + 1)}
    shared = (
        i
        for first, last in _readable(other, completions)
        for i in range(first, last + 1)
        if i in mine
    )
    return min(shared, default=None)


def _readable(text: str, completions: int) -> Iterator[Interval]:
    for part in text.split(","):
        try:
            yield _interval(part, completions)
        except IndexesError:
            continue


def _interval(text: str, completions: int) -> Interval:
    limits = text.split("-")
    if len(limits) > 2:
        raise IndexesError(
            f"the fragment {go_quote(text)} violates the requirement that an index interval can "
            "have at most two parts separated by '-'"
        )
    numbers = []
    for limit in limits:
        if not re.fullmatch(r"[+]?[0-9]+", limit):
            raise IndexesError(f"cannot convert string to integer for index: {go_quote(limit)}")
        if int(limit) >= completions:
            raise IndexesError(f"too large index: {go_quote(limit)}")
        numbers.append(int(limit))
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise IndexesError(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return numbers[0], numbers[-1]
