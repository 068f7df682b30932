"""Values as texts: numbers, quotes, and the clauses of `format`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from kaito.local.apiserver.cel.types import Type
from kaito.local.apiserver.cel.values import CelError, Duration, Timestamp, UInt, name_of, type_name

QUOTED = str.maketrans({
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v",
    "\\": "\\\\", '"': '\\"',
})  # fmt: skip
CLAUSE = re.compile(r"%(?:%|(\.\d*)?([^%.]?))")
PRECISION = 6
STRINGS = (
    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
    "durations, and timestamps, was given {}"
)
NO_PRECISION = (
    "could not parse formatting clause: error while parsing precision: error while converting "
    'precision to integer: strconv.Atoi: parsing "": invalid syntax'
)
ONLY = {
    "d": "decimal clause can only be used on integers, was given {}",
    "f": "fixed-point clause can only be used on doubles, was given {}",
    "e": "scientific clause can only be used on doubles, was given {}",
    "b": "only integers and bools can be formatted as binary, was given {}",
    "x": "only integers, byte buffers, and strings can be formatted as hex, was given {}",
    "X": "only integers, byte buffers, and strings can be formatted as hex, was given {}",
    "o": "octal clause can only be used on integers, was given {}",
    "s": STRINGS,
}
FITS: dict[str, set[str]] = {
    "d": {"int", "uint"},
    "f": {"double"},
    "e": {"double"},
    "b": {"int", "uint", "bool"},
    "x": {"int", "uint", "string", "bytes"},
    "X": {"int", "uint", "string", "bytes"},
    "o": {"int", "uint"},
    "s": {
        "string", "bool", "bytes", "int", "uint", "double", "map", "list", "type", "null",
        "null_type", "duration", "timestamp", "google.protobuf.Timestamp",
        "google.protobuf.Duration",
    },
}  # fmt: skip


def double_text(value: float) -> str:
    """A double as the server prints it: the shortest digits that read back the same."""
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    digits, exponent = repr(value), int(f"{value:.17e}".partition("e")[2])
    if value and not -4 <= exponent < PRECISION:
        return _exponential(value)
    if "e" in digits:
        digits = f"{value:.25f}".rstrip("0")
    return digits.removesuffix(".0").rstrip(".") if "." in digits else digits


def _exponential(value: float) -> str:
    for places in range(17):
        text = f"{value:.{places}e}"
        if float(text) == value:
            break
    return text


def quoted(text: str) -> str:
    return f'"{text.translate(QUOTED)}"'


def clauses(text: str) -> list[tuple[str, str]]:
    """The clauses of a format: which, and what is wrong with it."""
    found = []
    for part in CLAUSE.finditer(text):
        if part[0] == "%%":
            continue
        kind = part[2] or ""
        fault = ""
        if part[1] == ".":
            fault = NO_PRECISION
        elif kind not in ONLY:
            fault = (
                f'could not parse formatting clause: unrecognized formatting clause "{kind}"'
                if kind
                else "unexpected end of string"
            )
        found.append((kind, fault))
    return found


def formatted(text: str, arguments: list[Any]) -> str:
    """Raises CelError where a clause and its argument do not fit."""
    faults: list[str] = []
    at = -1

    def clause(part: re.Match[str]) -> str:
        nonlocal at
        if part[0] == "%%":
            return "%"
        at += 1
        kind = part[2] or ""
        if kind not in ONLY:
            faults.append(
                f'could not parse formatting clause: unrecognized formatting clause "{kind}"'
            )
            return ""
        if at >= len(arguments):
            faults.append(f"index {at} out of range")
            return ""
        precision = int(part[1][1:]) if part[1] and part[1][1:] else PRECISION
        try:
            return _clause(kind, precision, arguments[at])
        except CelError as error:
            faults.append(f"error during formatting: {error}")
            return ""

    done = CLAUSE.sub(clause, text)
    if faults:
        raise CelError(faults[0])
    return done


def _clause(kind: str, precision: int, value: Any) -> str:
    name = name_of(value)
    special = kind in "fe" and value in ("NaN", "Infinity", "-Infinity")
    if name not in FITS[kind] and not special:
        raise CelError(ONLY[kind].format(name))
    match kind:
        case "d":
            return str(int(value))
        case "s":
            return shown(value)
        case "f":
            return (
                f"{float(value):,.{precision}f}"
                if abs(float(value)) < math.inf
                else _special(value)
            )
        case "e":
            return _scientific(float(value), precision)
        case "b":
            return str(int(value)) if isinstance(value, bool) else f"{int(value):b}"
        case "o":
            return f"{int(value):o}"
    text = (
        (value.encode() if isinstance(value, str) else value).hex()
        if isinstance(value, str | bytes)
        else f"{int(value):x}"
    )
    return text.upper() if kind == "X" else text


def _special(value: float | str) -> str:
    number = float(value)
    return "NaN" if math.isnan(number) else "∞" if number > 0 else "-∞"


SUPERSCRIPT = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")


def _scientific(value: float, precision: int) -> str:
    if not abs(value) < math.inf:
        return _special(value)
    mantissa, _, power = f"{value:.{precision}e}".partition("e")
    return f"{mantissa}×10{f'{int(power):03d}'.lstrip('+').zfill(2)[-2:].translate(SUPERSCRIPT)}"


def shown(value: Any, *, inside: bool = False) -> str:
    """A value under %s; inside lists and maps texts are quoted."""
    convert: dict[type, Callable[[Any], str]] = {
        str: lambda v: quoted(v) if inside else v,
        bytes: lambda v: (
            f"b{quoted(v.decode(errors='replace'))}" if inside else v.decode(errors="replace")
        ),
        bool: lambda v: str(v).lower(),
        int: str,
        UInt: lambda v: str(int(v)),
        float: lambda v: f"{v:.{PRECISION}f}" if inside else double_text(v),
        type(None): lambda v: "null",
        Timestamp: lambda v: f'timestamp("{v}")' if inside else str(v),
        Duration: lambda v: f'duration("{v}")' if inside else str(v),
        Type: lambda v: type_name(v),
    }
    if isinstance(value, list):
        return f"[{', '.join(shown(v, inside=True) for v in value)}]"
    if isinstance(value, dict):
        pairs = sorted((shown(k, inside=True), shown(v, inside=True)) for k, v in value.items())
        return f"{{{', '.join(f'{k}:{v}' for k, v in pairs)}}}"
    made = convert.get(type(value))
    if made is None:
        raise CelError(STRINGS.format(name_of(value)))
    return made(value)
