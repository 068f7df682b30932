"""Scalars as the server decodes them: what each code of data/types.json takes and is printed as.

A value that does not fit raises Unfit, whose kind tells whether the server goes on to look for
worse: types with a decoder of their own end the decoding at once.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Self

from kaito.local.apiserver import quantity, times

GO = {
    "s": "string",
    "b": "bool",
    "i32": "int32",
    "i64": "int64",
    "f": "float64",
    "B": "[]uint8",
    "q": "resource.Quantity",
    "t": "v1.Time",
    "mt": "v1.MicroTime",
    "ios": "intstr.IntOrString",
}
LONGEST = 400  # digits read of a number: none that fits has as many, and msgspec prints few more
LIMITS = {"i32": 2**31, "i64": 2**63}
BASE64 = re.compile(r"[A-Za-z0-9+/]*")


class Literal(float):
    """A number that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made


class Unfit(ValueError):
    """A value does not fit. `given` and `wanted` name the two types, or `why` says it all."""

    def __init__(self, given: str = "", wanted: str = "", *, why: str = "", last: bool = False):
        super().__init__(why or given)
        self.given = given
        self.wanted = wanted
        self.why = why
        self.last = last


def json_kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, list):
        return "array"
    if isinstance(value, dict):
        return "object"
    return "number"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(value: float) -> str:
    return value.text if isinstance(value, Literal) else repr(value)


def _whole(code: str, value: Any, go: str, *, last: bool = False) -> int:
    limit = LIMITS[code]
    if type(value) is int and -limit <= value < limit:
        return value
    shown = f"number {_written(value)}" if _is_number(value) else json_kind(value)
    raise Unfit(shown, go, last=last)


def scalar(code: str, go: str, value: Any) -> Any:
    """The value in its canonical form. Raises Unfit."""
    match code:
        case "s":
            if type(value) is str:
                return value
        case "b":
            if type(value) is bool:
                return value
        case "i32" | "i64":
            return _whole(code, value, go or GO[code])
        case "f":
            if _is_number(value):
                return value
        case "q":
            return _quantity(value)
        case "t" | "mt":
            return _time(value, micro=code == "mt")
        case "ios":
            return value if isinstance(value, str) else _whole("i32", value, "int32", last=True)
        case "B":
            return _bytes(value)
        case _:
            return value
    raise Unfit(json_kind(value), go or GO[code])


def _quantity(value: Any) -> str:
    try:
        if isinstance(value, str):
            return quantity.canonical(value.strip())
        if _is_number(value):
            return quantity.canonical(_written(value))
    except quantity.QuantityError as error:
        raise Unfit(why=str(error), last=True) from error
    raise Unfit(why=f"quantities must match the regular expression '{quantity.SHAPE}'", last=True)


def _time(value: Any, *, micro: bool) -> str | None:
    if not isinstance(value, str):
        raise Unfit(json_kind(value), "string", last=True)
    try:
        moment = times.parse(value, times.MICRO if micro else times.PLAIN)
    except times.TimeError as error:
        raise Unfit(why=str(error), last=True) from error
    if moment == times.NEVER:
        return None
    return times.micros(moment) if micro else times.seconds(moment)


def _bytes(value: Any) -> str:
    if isinstance(value, list):
        return base64.b64encode(bytes(_byte(v) for v in value)).decode()
    if not isinstance(value, str):
        raise Unfit(json_kind(value), "[]uint8")
    text = value.replace("\n", "").replace("\r", "")
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (binascii.Error, ValueError) as error:
        raise Unfit(why=f"illegal base64 data at input byte {_bad_byte(value)}") from error


def _byte(value: Any) -> int:
    if type(value) is int and 0 <= value < 256:
        return value
    raise Unfit(f"number {_written(value)}" if _is_number(value) else json_kind(value), "uint8")


def _bad_byte(text: str) -> int:
    """Where a decoder of groups of four gives up."""
    seen = 0
    for at, char in enumerate(text):
        if char in "\r\n":
            continue
        if char == "=":
            return _bad_padding(text, at, seen % 4)
        if not BASE64.fullmatch(char):
            return len(text[:at].encode())
        seen += 1
    return len(text.encode()) - seen % 4


def _bad_padding(text: str, at: int, filled: int) -> int:
    """The fault after `filled` characters of a group and the padding at `at`."""
    if filled < 2:
        return at
    rest = at + 1
    while rest < len(text) and text[rest] in "\r\n":
        rest += 1
    if filled == 2:
        if rest == len(text):
            return len(text)
        if text[rest] != "=":
            return rest - 1
        rest += 1
    while rest < len(text) and text[rest] in "\r\n":
        rest += 1
    return rest if rest < len(text) else at
