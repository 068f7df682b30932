"""Who owns the number of replicas, seen from the object and from its scale.

A scale has one field to own. Its owners are those of the object's field, in the version of scales;
what they are after a write goes back into the object.
"""

from __future__ import annotations

from kaito.local.apiserver.ownership.entries import Managed, Owned
from kaito.local.apiserver.ownership.paths import Path

VERSION = "autoscaling/v1"
REPLICAS: Path = ("f:spec", "f:replicas")


def of_scale(managed: Managed, path: Path) -> Managed:
    """The owners of an object's field at `path` as owners of a scale."""
    return {
        manager: Owned({REPLICAS}, VERSION, owned.time)
        for manager, owned in managed.items()
        if path in owned.fields
    }


def to_parent(managed: Managed, scaled: Managed, path: Path, version: str) -> Managed:
    """An object's owners after a write to its scale left the scale with the owners `scaled`.

    An updater is another one in the version of scales, so it is always written down anew, without
    a time; an applier that kept the field keeps its entry.
    """
    left = dict(scaled)
    found: Managed = {}
    for manager, owned in managed.items():
        if path not in owned.fields or left.pop(manager, None) is not None:
            found[manager] = owned
        elif fields := owned.fields - {path}:
            found[manager] = Owned(fields, owned.version, owned.time)
    for manager, owned in left.items():
        if REPLICAS in owned.fields:
            before = managed.get(manager)
            found[manager] = Owned({path}, version, before.time if before else "")
    return found
