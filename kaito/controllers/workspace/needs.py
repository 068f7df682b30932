"""Secrets that the Pods of rendered objects read: names and keys, never values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kaito.runtime import Key, Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A Secret that must be there before Pods start."""

    secret: Key
    key: str = ""
    """What must be in it; "" where anything may be."""


def needed(objects: Iterable[Object]) -> tuple[Needed, ...]:
    """The Secrets that these objects name and cannot do without, each once, in order."""
    found = (
        Needed(secret=Key(each["metadata"].get("namespace", ""), name), key=key)
        for each in objects
        for name, key in _named(each)
    )
    return tuple(dict.fromkeys(found))


# Any: a Pod template of a user's own has any shape.
def _named(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
        return
    for field, inner in value.items() if isinstance(value, dict) else ():
        match field, inner:
            case (("secretKeyRef" | "secretRef" | "secret"), {"optional": True}):
                pass
            case "secretKeyRef", {"name": str(name), "key": str(key)}:
                yield name, key
            case "secretRef", {"name": str(name)}:
                yield name, ""
            case "secret", {"secretName": str(name)}:
                yield name, ""
            case "secret", {"name": str(name), "items": [{"key": str(key)}]}:
                yield name, key
            case "secret", {"name": str(name)}:
                yield name, ""
            case "imagePullSecrets", list():
                yield from (
                    (each["name"], "")
                    for each in inner
                    if isinstance(each, dict) and isinstance(each.get("name"), str)
                )
            case _:
                yield from _named(inner)
