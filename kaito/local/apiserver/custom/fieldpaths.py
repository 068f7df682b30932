"""Paths of single fields, as rules and selectable fields write them: `.a['b'].c`."""

from __future__ import annotations

import re

from kaito.local.apiserver.custom.structural import Structural

TOKEN = re.compile(r"'(?:\\.|[^'\\])*'|[.\[\]]|[^.\[\]]+", re.DOTALL)
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"} | {
    "'": "'",
    "\\": "\\",
}


class FieldPathError(ValueError):
    """The path leads to no field; the message says why."""


def resolve(path: str, schema: Structural, *, brackets: bool = True) -> tuple[str, Structural]:
    """The path as errors print it, and the schema of what it leads to."""
    tokens = TOKEN.findall(path)
    shown, at = "", schema
    while tokens:
        sign = tokens.pop(0)
        if sign == "[":
            if not brackets:
                raise FieldPathError("array notation is not allowed")
            name = _quoted(_next(tokens))
        elif sign == ".":
            name = _next(tokens)
        else:
            raise FieldPathError(f"expected [ or . but got: {sign}")
        if at.properties:
            if name not in at.properties:
                raise FieldPathError("does not refer to a valid field")
            at = at.properties[name]
            shown = f"{shown}.{name}" if shown else name
        elif isinstance(at.extra, Structural):
            at = at.extra
            shown = f"{shown}[{name}]"
        else:
            raise FieldPathError("does not refer to a valid field")
        if sign == "[" and (closing := _next(tokens)) != "]":
            raise FieldPathError(f"expected ] but got {closing}")
    return shown, at


def _next(tokens: list[str]) -> str:
    if not tokens:
        raise FieldPathError("unexpected end of JSON path")
    return tokens.pop(0)


def _quoted(token: str) -> str:
    if len(token) < 2 or token[0] != "'" or token[-1] != "'":
        raise FieldPathError(f"expected single quoted string but got {token}")

    def char(found: re.Match[str]) -> str:
        if found[1] not in ESCAPES:
            raise FieldPathError(f"invalid string literal: invalid escape char {found[0]}")
        return ESCAPES[found[1]]

    return re.sub(r"\\(.)", char, token[1:-1])


def shown_path(path: str, schema: Structural) -> str:
    """As `resolve`; empty where there is no such field."""
    try:
        return resolve(path, schema)[0] if path else ""
    except FieldPathError:
        return ""
