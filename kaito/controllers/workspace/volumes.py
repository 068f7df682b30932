"""Volumes of a user's own, as the API server keeps them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from kaito.controllers.workspace.template import canonical
from kaito.runtime import Object

AMOUNTS = ("sizeLimit", "storage")


def volume_of(name: str, source: Mapping[str, JsonValue]) -> Object:
    """The volume of this name, whatever name its author gave it."""

    def kept(inner: object, key: str = "") -> object:
        if isinstance(inner, dict):
            return {k: kept(v, k) for k, v in inner.items() if v is not None}
        if isinstance(inner, list):
            return [kept(v) for v in inner]
        return canonical(inner) if key in AMOUNTS else inner

    found = kept(dict(source))
    assert isinstance(found, dict)
    return {**found, "name": name}
