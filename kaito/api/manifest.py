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


def render(objects: Iterable[Mapping[str, JsonValue]]) -> str:
    """A YAML stream with one document for each object, each opened by `---`."""
    return "".join("---\n" + "\n".join(_block(o, "")) + "\n" for o in objects)


def _block(value: object, indent: str) -> Iterator[str]:
    match value:
        case Mapping() if value:
            for key, item in value.items():
                yield from _entry(f"{indent}{_scalar(str(key))}:", item, indent)
        case list() | tuple() if value:
            for item in value:
                inner = list(_block(item, indent + "  "))
                yield f"{indent}- {inner[0].lstrip(' ')}"
                yield from inner[1:]
        case _:
            yield indent + _scalar(value)


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
    if (
        isinstance(value, str)
        and PLAIN.fullmatch(value)
        and value.lower() not in RESERVED
        and not value.endswith(" ")
    ):
        return value
    return json.dumps(value, ensure_ascii=False)
