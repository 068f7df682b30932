"""Values as the server's own types print them.

A refusal that shows a whole struct shows the server's internal form of it: every field in the
order of its declaration, under its Go name, unset ones included. data/internal.json holds those
declarations as `Name=json:type`; a type is a scalar, `*` optional, `L` list, `M` map or a struct,
`+` one whose fields are taken over, a final `?` a field that is left out when unset.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from kaito.local.apiserver.fields import Raw

ZEROS: dict[str, Any] = {"s": "", "n": 0, "b": False, "q": "0", "i": 0, "t": None}
HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


@cache
def _table() -> dict[str, str]:
    text = resources.files("kaito.local.apiserver").joinpath("data/internal.json").read_bytes()
    found: dict[str, str] = json.loads(text)
    return found


def compact(struct: str, value: Any) -> Raw:
    """A struct, or a list of them where the name starts with `L`, on one line."""
    text = json.dumps(_convert(struct, value), separators=(",", ":"), ensure_ascii=False)
    return Raw(text.translate(HTML))


def pretty(struct: str, value: Mapping[str, Any]) -> list[str]:
    """A struct as lines, each indented by one blank a level."""
    text = json.dumps(_convert(struct, value), indent=1, ensure_ascii=False)
    return text.translate(HTML).split("\n")


def _convert(code: str, value: Any) -> Any:
    if code[0] == "*":
        return None if value is None else _convert(code[1:], value)
    if code[0] == "L" and code not in _table():
        return None if value is None else [_convert(code[1:], v) for v in value]
    if code[0] == "M" and code not in _table():
        found = value if value is None else sorted(value.items())
        return None if found is None else {k: _convert(code[1:], v) for k, v in found}
    if code in ZEROS:
        return ZEROS[code] if value is None else value
    return _struct(code, value or {})


def _struct(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for token in _table()[name].split():
        if token[0] == "+":
            out.update(_struct(token[1:], value))
            continue
        field, _, code = token.partition(":")
        shown, _, given = field.partition("=")
        key = given or shown[0].lower() + shown[1:]
        if code == "v":  # object metadata, which prints as it came
            out.update(value.get(key) or {})
        elif code[-1] != "?":
            out[shown] = _convert(code, value.get(key))
        elif value.get(key):
            out[shown] = _convert(code[:-1], value[key])
    return out


def plain(struct: str, value: Mapping[str, Any]) -> str:
    """A struct of scalars as `{Name:value ...}`."""
    parts = _convert(struct, value).items()
    return "{" + " ".join(f"{name}:{found}" for name, found in parts) + "}"
