"""Amounts as Kubernetes writes them (`80Gi`, `500m`, `1e3`), read exactly."""

from __future__ import annotations

import re
from decimal import Decimal

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


def amount(quantity: str | int) -> Decimal:
    """The number that a quantity stands for. ValueError when it is none."""
    text = str(quantity)
    match = _SHAPE.fullmatch(text) if len(text) <= LENGTH else None
    if match is None:
        raise ValueError(f"{text[:LENGTH]!r} is not a Kubernetes quantity such as 80Gi")
    digits, exponent, suffix = match.groups()
    if exponent is not None:
        return Decimal(digits).scaleb(int(exponent))
    if suffix in _POWERS_OF_1024:
        return Decimal(digits) * Decimal(1024) ** _POWERS_OF_1024[suffix]
    return Decimal(digits).scaleb(3 * _POWERS_OF_1000[suffix])
