"""Amounts as Kubernetes writes them (`80Gi`, `500m`, `1e3`), read and written exactly.

The grammar and the canonical form are those of apimachinery's resource.Quantity. The official
client has a parser as well; it takes what no API server takes (`1K`, `NaN`).
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Context, Decimal

_POWERS_OF_1024 = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_POWERS_OF_1000 = {
    "n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6,
}  # fmt: skip
# "1E" is one exa and "1E3" is a thousand: the exponent needs its digits.
_SHAPE = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d{1,2})|([KMGTPE]i|[numkMGTPE]?))", re.ASCII
)
# Kubernetes' amounts end at 2^63 and at nano. What is far longer is an attack on whoever computes
# with it: the integer that 1e999999 stands for takes seconds to write down.
LENGTH = 64
LARGEST = 2**63 - 1
_EXACT = Context(prec=200)  # digits; more than LENGTH characters can stand for
_NANOS = Decimal(10**9)


def parse_quantity(quantity: str | int) -> Decimal:
    """The number that a quantity stands for. ValueError when it is none."""
    text = str(quantity)
    match = _SHAPE.fullmatch(text) if len(text) <= LENGTH else None
    if match is None:
        raise ValueError(f"{text[:LENGTH]!r} is not a Kubernetes quantity such as 80Gi")
    digits, exponent, suffix = match.groups()
    number = Decimal(digits)
    if exponent is not None:
        return number.scaleb(int(exponent), _EXACT)
    if suffix in _POWERS_OF_1024:
        return _EXACT.multiply(number, Decimal(1024 ** _POWERS_OF_1024[suffix]))
    return number.scaleb(3 * _POWERS_OF_1000[suffix], _EXACT)


def format_quantity(number: Decimal | int, *, binary: bool = False) -> str:
    """A number in the canonical form: no fraction, and the largest suffix that loses nothing.

    `binary` writes whole numbers from 1024 on with powers of 1024. What is finer than a
    billionth is rounded away from zero, as the API does. ValueError beyond 2^63 - 1.
    """
    number = Decimal(number)
    if not number.is_finite() or abs(number) > LARGEST:
        raise ValueError(f"{number:.6g} is beyond what a Kubernetes quantity can be")
    nanos = int(_EXACT.multiply(number, _NANOS).to_integral_value(ROUND_UP))
    if nanos == 0:
        return "0"
    whole, rest = divmod(nanos, 10**9)
    if binary and not rest and abs(whole) >= 1024:
        return _scaled(whole, 1024, ["", *_POWERS_OF_1024])
    return _scaled(nanos, 1000, list(_POWERS_OF_1000))


def _scaled(number: int, base: int, suffixes: list[str]) -> str:
    power = 0
    while number % base == 0 and power + 1 < len(suffixes):
        number //= base
        power += 1
    return f"{number}{suffixes[power]}"
