"""Texts: searching, cutting, patterns."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any

from kaito.local.apiserver.cel.lists import plain
from kaito.local.apiserver.cel.values import CelError, equal
from kaito.local.apiserver.custom import matching
from kaito.local.apiserver.custom.patterns import compiled, fault

Function = Callable[..., Any]


def _text_index(text: str, wanted: str, start: int = 0) -> int:
    if not wanted:
        return start
    if start < 0:
        raise CelError(f"index out of range: {start}")
    return text.find(wanted, start)


def index_of(one: Any, wanted: Any, start: int = 0) -> int:
    if isinstance(one, str):
        return _text_index(one, wanted, start)
    return next((i for i, item in enumerate(one) if equal(item, wanted)), -1)


def last_index_of(one: Any, wanted: Any, start: int | None = None) -> int:
    if isinstance(one, list):
        return next((i for i in reversed(range(len(one))) if equal(one[i], wanted)), -1)
    if not wanted:
        return len(one) if start is None else start
    if start is None:
        return int(one.rfind(wanted))
    if start < 0:
        raise CelError(f"index out of range: {start}")
    return -1 if start >= len(one) else int(one.rfind(wanted, 0, start + len(wanted)))


def char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise CelError(f"index out of range: {at}")
    return text[at : at + 1]


def substring(text: str, start: int, end: int | None = None) -> str:
    if end is not None and start > end:
        raise CelError(f"invalid substring range. start: {start}, end: {end}")
    for at in (start, end):
        if at is not None and not 0 <= at <= len(text):
            raise CelError(f"index out of range: {at}")
    return text[start:end]


def split(text: str, mark: str, most: int = -1) -> list[str]:
    if most == 0:
        return []
    if mark:
        return text.split(mark, most - 1 if most > 0 else -1)
    if most < 0 or most >= len(text):
        return list(text)
    return [*text[: most - 1], text[most - 1 :]]


def replace(text: str, old: str, new: str, most: int = -1) -> str:
    return text.replace(old, new, most)


def cased(change: Callable[[str], str]) -> Function:
    return lambda text: "".join(change(c) if c.isascii() else c for c in text)


def pattern(text: str) -> re.Pattern[str]:
    why = fault(text)
    if why:
        raise CelError(why)
    return compiled(text)


def matches(text: str, wanted: str) -> bool:
    pattern(wanted)  # a fault of it is told in the server's words
    return matching.matches(wanted, text)


def find_text(text: str, wanted: str) -> str:
    return next(iter(find_all(text, wanted, 1)), "")


def find_all(text: str, wanted: str, most: int = -1) -> list[str]:
    if not matches(text, wanted):  # in vain a search may take for ever
        return []
    found = (m[0] for m in pattern(wanted).finditer(text))
    return list(found if most < 0 else islice(found, most))


def join(items: list[Any], mark: str = "") -> str:
    for item in items:
        if not isinstance(item, str):
            raise CelError(f"join: invalid input: {plain(item)}")
    return mark.join(items)
