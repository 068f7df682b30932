"""Finalizers: names on an object that hold its deletion up until somebody has cleaned up.

The list is written whole, so each patch holds the version of the object that it was made from:
when anybody has written since, the server answers Conflict and nobody's finalizer is lost.
"""

from __future__ import annotations

from kaito.runtime.resource import Object


def adding_finalizer(obj: Object, name: str) -> Object | None:
    """The merge patch that adds the finalizer `name`; None when the object has it.

    Give it to Client.patch before anything is made that needs cleaning up.
    """
    there = _finalizers(obj)
    return None if name in there else _patch(obj, [*there, name])


def removing_finalizer(obj: Object, name: str) -> Object | None:
    """The merge patch that removes the finalizer `name`; None when the object does not have it.

    Give it to Client.patch when everything is cleaned up: from then on nobody remembers.
    """
    there = _finalizers(obj)
    return _patch(obj, [each for each in there if each != name]) if name in there else None


def _finalizers(obj: Object) -> list[str]:
    found: list[str] = obj["metadata"].get("finalizers") or []
    return found


def _patch(obj: Object, finalizers: list[str]) -> Object:
    version = obj["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "finalizers": finalizers}}
