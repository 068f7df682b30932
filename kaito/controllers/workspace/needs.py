"""What the Pods of rendered objects mount or read and others have to make: Secrets, by names and
keys and never values, and claims of volumes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from kaito.runtime import Key, Object

SECRET = "Secret"  # noqa: S105 - a kind, no secret
CLAIM = "PersistentVolumeClaim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """An object that must be there before Pods start."""

    kind: str = SECRET
    """SECRET or CLAIM."""
    object: Key
    key: str = ""
    """What must be in a Secret; "" where anything may be."""


def needed(objects: Iterable[Object]) -> tuple[Needed, ...]:
    """What these objects name and cannot do without, each once, in order; not what is among
    them."""
    objects = [*objects]
    there = {(each.get("kind"), _beside(each, each["metadata"].get("name"))) for each in objects}
    found = (
        Needed(kind=kind, object=_beside(each, name), key=key)
        for each in objects
        for kind, name, key in _named(each)
    )
    return tuple(n for n in dict.fromkeys(found) if (n.kind, n.object) not in there)


def _beside(obj: Object, name: str) -> Key:
    """An object of this name in the namespace of another one."""
    return Key(obj["metadata"].get("namespace", ""), name)


# Any: a Pod template of a user's own has any shape.
def _named(value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, list):
        for each in value:
            yield from _named(each)
        return
    for field, inner in value.items() if isinstance(value, dict) else ():
        match field, inner:
            case (("secretKeyRef" | "secretRef" | "secret"), {"optional": True}):
                pass
            case "secretKeyRef", {"name": str(name), "key": str(key)}:
                yield SECRET, name, key
            case "secretRef", {"name": str(name)}:
                yield SECRET, name, ""
            case "secret", {"secretName": str(name)}:
                yield SECRET, name, ""
            case "secret", {"name": str(name), "items": [{"key": str(key)}]}:
                yield SECRET, name, key
            case "secret", {"name": str(name)}:
                yield SECRET, name, ""
            case "persistentVolumeClaim", {"claimName": str(name)}:
                yield CLAIM, name, ""
            case "imagePullSecrets", list():
                yield from (
                    (SECRET, each["name"], "")
                    for each in inner
                    if isinstance(each, dict) and isinstance(each.get("name"), str)
                )
            case _:
                yield from _named(inner)
