"""Quantities: parse, compare and print them in their canonical form."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

PATTERN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))([numkMGTPE]|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?\d+)?$")
SHAPE = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
NANO = Decimal("0.000000001")
MILLI = Decimal("0.001")


class QuantityError(ValueError):
    """The text is no quantity."""


def _split(text: str) -> tuple[Decimal, str]:
    found = PATTERN.match(text)
    if not found:
        if re.match(SHAPE, text):
            raise QuantityError("unable to parse quantity's suffix" if text else "")
        raise QuantityError(f"quantities must match the regular expression '{SHAPE}'")
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in BINARY:
        return number * 1024 ** BINARY[suffix], "binary"
    if suffix and suffix[0] in "eE" and len(suffix) > 1:
        return number.scaleb(int(suffix[1:])), "exponent"
    return number.scaleb(3 * DECIMAL[suffix]), "decimal"


@lru_cache(4096)
def value(text: str | float) -> Decimal:
    """The number a quantity stands for. Raises QuantityError."""
    return _split(str(text))[0]


@lru_cache(4096)
def canonical(text: str) -> str:
    """The one way to print a quantity: no fraction, the largest suffix that fits."""
    return _printed(*_split(text))


def added(left: str, right: str) -> str:
    """The sum of two quantities in the style of the first that is not zero."""
    first, style = _split(left)
    second, other = _split(right)
    return _printed(first + second, style if first else other)


def rounded(text: str, step: Decimal = MILLI) -> str:
    """A quantity rounded up to a multiple of `step`; one that is a multiple stays as it is."""
    number, style = _split(text)
    if not number % step:
        return text
    return _printed((number / step).to_integral_value(rounding=ROUND_CEILING) * step, style)


def _printed(number: Decimal, style: str) -> str:
    number = number.quantize(NANO, rounding=ROUND_CEILING) if number % NANO else number
    if style == "binary" and abs(number) >= 1024:
        whole = int(number.to_integral_value(rounding=ROUND_CEILING))
        power = 0
        while whole % 1024 == 0 and power < 6:
            whole //= 1024
            power += 1
        return f"{whole}{['', *BINARY][power]}"
    if number == 0:
        return "0"
    power = -3
    number = number.scaleb(9)
    whole = int(number)
    while whole % 1000 == 0 and power < 6:
        whole //= 1000
        power += 1
    if style == "exponent":
        return f"{whole}e{3 * power}" if power else str(whole)
    names = {v: k for k, v in DECIMAL.items()}
    return f"{whole}{names[power]}"
