"""Objects as YAML that people read: block style, keys in the order they were given.

Writes what JSON can hold and nothing else; reading YAML is not its business. A string is written
plain only where no YAML 1.1 or 1.2 reader could take it for something else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from pydantic import JsonValue

# Plain scalars that need no quotes in any YAML version: they begin like a word, a path or a call,
# hold neither `: ` nor ` #`, and are no word that YAML 1.1 gives a meaning.
PLAIN = re.compile(r"([A-Za-z/$_(]|\.[A-Za-z])[-A-Za-z0-9_./$()=*@?\[\]\"' ,;+^|<>!&%~{}\\`]*")
RESERVED = frozenset(
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", ".inf", ".nan", "."]
)
# What YAML does not let stand for itself, or takes for the end of a line.
UNPRINTABLE = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
KEY_LENGTH = 1000  # characters; a reader looks no further than 1024 for the colon behind a key


def render(objects: Iterable[Mapping[str, JsonValue]]) -> str:
    """A YAML stream with one document for each object, each opened by `---`.

    ValueError for a number that JSON does not have.
    """
    return "".join("---\n" + "\n".join(_block(o, "")) + "\n" for o in objects)


def _block(value: object, indent: str) -> Iterator[str]:
    match value:
        case Mapping() if value:
            for key, item in value.items():
                yield from _entry(_head(str(key), indent), item, indent)
        case list() | tuple() if value:
            for item in value:
                inner = list(_block(item, indent + "  "))
                yield f"{indent}- {inner[0].removeprefix(indent + '  ')}"
                yield from inner[1:]
        case _:
            yield indent + _scalar(value)


def _head(key: str, indent: str) -> str:
    spelled = _scalar(key)
    if len(spelled) > KEY_LENGTH:
        return f"{indent}? {spelled}\n{indent}:"
    return f"{indent}{spelled}:"


def _entry(head: str, item: object, indent: str) -> Iterator[str]:
    match item:
        case Mapping() if item:
            yield head
            yield from _block(item, indent + "  ")
        case list() | tuple() if item:
            yield head
            yield from _block(item, indent)
        case _:
            yield f"{head} {_scalar(item)}"


def _scalar(value: object) -> str:
    match value:
        case str() if _plain(value):
            return value
        case str():
            return UNPRINTABLE.sub(_escaped, json.dumps(value, ensure_ascii=False))
        case float():
            # YAML 1.1 takes 1e+22 for a word: a number has a point in it.
            mantissa, exponent, power = json.dumps(value, allow_nan=False).partition("e")
            point = "" if "." in mantissa else ".0"
            return mantissa + (point + exponent + power if exponent else "")
        case _:
            return json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> bool:
    return (
        PLAIN.fullmatch(text) is not None
        and text.lower() not in RESERVED
        and not text.endswith(" ")
    )


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
