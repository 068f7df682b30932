"""Estimates: at least and at most, saturating as unsigned 64-bit numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

MOST = (1 << 64) - 1
STRING, REGEX = 0.1, 0.25
LIST, MAP, STRUCT = 10, 30, 40
FORMAT_REGEX = 128  # signs of the longest pattern of a named format
FORMAT = 64
CHECK = 350_000  # asking the authorizer once
SCALARS = {"bool", "double", "duration", "int", "timestamp", "uint"}


@dataclass(frozen=True, slots=True)
class Span:
    """At least and at most."""

    low: int
    high: int

    def __add__(self, other: Span) -> Span:
        return Span(min(self.low + other.low, MOST), min(self.high + other.high, MOST))

    def __mul__(self, other: Span) -> Span:
        return Span(min(self.low * other.low, MOST), min(self.high * other.high, MOST))

    def times(self, factor: float) -> Span:
        return Span(_scaled(self.low, factor), _scaled(self.high, factor))

    def union(self, other: Span) -> Span:
        return Span(min(self.low, other.low), max(self.high, other.high))


def _scaled(number: int, factor: float) -> int:
    return min(math.ceil(float(number) * factor), MOST) if number < MOST or factor < 1 else MOST


def fixed(number: int) -> Span:
    return Span(number, number)


UNKNOWN, ONE, ZERO = Span(0, MOST), Span(1, 1), Span(0, 0)
Path = tuple[str, ...]
Sizes = Callable[[Path], "Span | None"]
