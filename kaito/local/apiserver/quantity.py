"""Quantities: parse, compare and print them as the server does."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal, localcontext
from functools import lru_cache

PATTERN = re.compile(r"^(?=.)([+-]?\d*\.?\d*)([numkMGTPE]|Ki|Mi|Gi|Ti|Pi|Ei|[eE][-+]?\d+)?$")
LOOSE = re.compile(r"^[+-]?\d*(?:\.\d*)?[eEinumkKMGTP]*[-+]?\d*$")
SHAPE = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
SUFFIXES = {power: name for name, power in DECIMAL.items()}
WRITTEN = re.compile(r"[+-]?0*(\d*)(?:\.(\d*))?(.*)")
NANO, MILLI = Decimal("0.000000001"), Decimal("0.001")
LARGEST = Decimal(2**63 - 1)  # of quantities with a binary suffix
EXPONENT = 3  # digits of an exponent; Decimal bears no more than six, and nobody has as much
PRECISION = 2000  # digits; enough for such exponents


class QuantityError(ValueError):
    """The text is no quantity."""


def _split(text: str) -> tuple[Decimal, str]:
    found = PATTERN.match(text)
    if not found:
        if text and LOOSE.match(text):
            raise QuantityError("unable to parse quantity's suffix")
        raise QuantityError(f"quantities must match the regular expression '{SHAPE}'")
    digits, suffix = found[1], found[2] or ""
    if len(digits) > PRECISION:
        raise QuantityError("unable to parse numeric part of quantity")
    number = Decimal(digits) if re.search(r"\d", digits) else Decimal(0)
    if suffix in BINARY:
        return number * 1024 ** BINARY[suffix], "binary"
    if suffix and suffix[0] in "eE" and len(suffix) > 1:
        if len(suffix.lstrip("eE+-0")) > EXPONENT:
            raise QuantityError("unable to parse quantity's suffix")
        return number.scaleb(int(suffix[1:])), "exponent"
    return number.scaleb(3 * DECIMAL[suffix]), "decimal"


@lru_cache(4096)
def value(text: str | float) -> Decimal:
    """The number a quantity stands for. Raises QuantityError."""
    return _split(str(text))[0]


def fractional(number: Decimal) -> bool:
    """Whether it is no whole number, however many digits it has."""
    return number != number.to_integral_value()


def remainder(number: Decimal, divisor: Decimal) -> Decimal:
    """What is left of a division, however many digits there are."""
    with localcontext(prec=max(PRECISION, number.adjusted() - divisor.adjusted() + 40)):
        return number % divisor


@lru_cache(4096)
def canonical(text: str) -> str:
    """How the server prints a quantity: as it was written where that is short enough.

    Otherwise without a fraction, with the largest suffix that fits. Raises QuantityError.
    """
    number, style = _split(text)
    if stays(text):
        return text
    with localcontext(prec=PRECISION):
        return _printed(number, style)


def added(left: str, right: str) -> str:
    """The sum of two quantities in the style of the first that is not zero."""
    first, style = _split(left)
    second, other = _split(right)
    with localcontext(prec=PRECISION):
        return _printed(first + second, style if first else other)


@lru_cache(4096)
def rounded(text: str, step: Decimal = MILLI) -> str:
    """A quantity rounded up to a multiple of `step`; one that is a multiple stays as it is."""
    number, style = _split(text)
    with localcontext(prec=PRECISION):
        if not number % step:
            return text
        return _printed((number / step).to_integral_value(rounding=ROUND_CEILING) * step, style)


def stays(text: str) -> bool:
    """Whether a quantity shows that it is canonical without being computed."""
    found = WRITTEN.fullmatch(text)
    assert found is not None
    whole, fraction, suffix = found[1] or "0", found[2] or "", found[3]
    digits = whole + fraction
    if suffix in BINARY:
        spare = 14 - len(whole) - 3 * BINARY[suffix]
        return not fraction and spare >= 0 and int(whole) & 7 != 0
    exponent = 3 * DECIMAL[suffix] if suffix in DECIMAL else int(suffix[1:])
    scale = exponent - len(fraction)
    if len(digits) > 18 or scale < -9 or scale % 3:
        return False
    return digits[0] != "0" and not digits.endswith("000")


def _printed(number: Decimal, style: str) -> str:
    number = number.quantize(NANO, rounding=ROUND_CEILING) if number % NANO else number
    if style == "binary":
        number = min(number, LARGEST)
        if abs(number) >= 1024 and number % 1 == 0:
            return _binary(int(number))
    if number == 0:
        return "0"
    limit = 6 if style != "exponent" else PRECISION
    power, whole = -3, int(number.scaleb(9))
    while whole % 1000 == 0 and power < limit:
        whole //= 1000
        power += 1
    if style == "exponent":
        return f"{whole}e{3 * power}" if power else str(whole)
    return f"{whole}{SUFFIXES[power]}"


def _binary(whole: int) -> str:
    power = 0
    while whole % 1024 == 0 and power < 6:
        whole //= 1024
        power += 1
    return f"{whole}{['', *BINARY][power]}"
