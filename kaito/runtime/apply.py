"""Server-side apply that sends nothing when nothing would change.

A desired object changes nothing when every value it holds is in the cached object already, and
the fields that our manager owns (from the object's own managedFields) are exactly those it holds:
then nothing would be added, changed or removed. The second half is what makes a removal visible.

The comparison needs no schema. The fieldsV1 tree of managedFields says how the server sees each
list: `k:{...}` members are matched by their keys, `v:...` members are a set, anything else is one
value (structured-merge-diff's path elements).
"""

from __future__ import annotations

from typing import Any

import msgspec

from kaito.runtime.client import Client
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Key, Object
from kaito.runtime.store import Store

# These name the object; no manager owns them.
_IDENTITY = frozenset({"apiVersion", "kind"})
_IDENTITY_METADATA = frozenset({"name", "namespace", "uid", "resourceVersion"})


class _Unread(msgspec.Struct):
    """What is made of an answer that nobody looks at."""


class Applier:
    """Applies desired objects as one field manager, compared against caches."""

    def __init__(self, client: Client, *, metrics: Metrics | None = None) -> None:
        self._client = client
        self._metrics = metrics or client.metrics

    async def apply(self, store: Store[Any], desired: Object) -> bool:
        """Make the object so; True when a request was needed. Raises what Client.apply raises."""
        return await self._apply(store, desired, "")

    async def apply_status(self, store: Store[Any], desired: Object) -> bool:
        """Make the object's status so. `desired` holds its names and its status, nothing else."""
        return await self._apply(store, desired, "status")

    async def _apply(self, store: Store[Any], desired: Object, subresource: str) -> bool:
        resource = store.resource
        key = Key.of(desired)
        current = store.object(key if resource.namespaced else Key("", key.name))
        needed = current is None or would_change(
            current, desired, manager=self._client.field_manager, subresource=subresource
        )
        if needed:
            await self._client.apply(resource.read_as(_Unread), desired, subresource=subresource)
        self._metrics.applies.labels(str(resource), "yes" if needed else "no").inc()
        return needed


def would_change(current: Object, desired: Object, *, manager: str, subresource: str = "") -> bool:
    """Whether applying `desired` as `manager` to `current` would change anything.

    False is a guarantee. True may be wrong where the server would find two spellings of a value
    equal (1024Mi and 1Gi): that costs a request, never a missed change.
    """
    owned = _owned_fields(current, manager, subresource)
    return owned is None or not _same(_owned_part(desired), current, owned)


def _owned_fields(current: Object, manager: str, subresource: str) -> Object | None:
    for entry in current.get("metadata", {}).get("managedFields", ()):
        if (
            entry.get("manager") == manager
            and entry.get("operation") == "Apply"
            and entry.get("subresource", "") == subresource
        ):
            fields: Object = entry.get("fieldsV1", {})
            return fields
    return None


def _owned_part(desired: Object) -> Object:
    part = {name: value for name, value in desired.items() if name not in _IDENTITY}
    metadata = {
        name: value
        for name, value in desired.get("metadata", {}).items()
        if name not in _IDENTITY_METADATA
    }
    if metadata:
        part["metadata"] = metadata
    else:
        part.pop("metadata", None)
    return part


# Any: both sides are JSON of a shape that only the server knows.
def _same(desired: Any, current: Any, owned: Object) -> bool:
    """Whether `desired` is in `current`, and `owned` names its fields and no others."""
    children = [name for name in owned if name != "."]
    if not children:
        # A leaf, an atomic list or map, or an empty one.
        return bool(desired == current)
    if isinstance(desired, dict) and isinstance(current, dict):
        names = {name[2:] for name in children if name.startswith("f:")}
        return names == set(desired) and all(
            name in current and _same(desired[name], current[name], owned[f"f:{name}"])
            for name in names
        )
    if isinstance(desired, list) and isinstance(current, list):
        if len(desired) != len(children):
            return False
        return all(_same_member(desired, current, name, owned[name]) for name in children)
    return False


def _same_member(desired: list[Any], current: list[Any], name: str, owned: Object) -> bool:
    selector = msgspec.json.decode(name[2:])
    if name.startswith("v:"):
        return selector in desired and selector in current
    if not name.startswith("k:"):
        return False
    # A key that the server defaults (a port's protocol) is in the path but not in the member
    # that we apply, and not among the fields that we own.
    wanted = _find(desired, selector, defaults=True)
    found = _find(current, selector, defaults=False)
    if wanted is None or found is None:
        return False
    return _same(wanted, found, owned)


def _find(members: list[Any], selector: Object, *, defaults: bool) -> Object | None:
    for member in members:
        if isinstance(member, dict) and all(
            member.get(name) == value for name, value in selector.items()
        ):
            return member
    if not defaults:
        return None
    for member in members:
        if isinstance(member, dict) and all(
            member.get(name, value) == value for name, value in selector.items()
        ):
            return member
    return None
