"""Whether applying an object would change anything, by what a manager owns of what is there.

A desired object changes nothing when every value it holds is in the current object already, and
the fields that our manager owns (from the object's own managedFields) are exactly those it holds:
then nothing would be added, changed or removed. The second half is what makes a removal visible.

The comparison needs no schema. The fieldsV1 tree of managedFields says how the server sees each
list: `k:{...}` members are matched by their keys, `v:...` members are a set, anything else is one
value (structured-merge-diff's path elements).
"""

from __future__ import annotations

from typing import Any

import msgspec

from kaito.runtime.resource import Object

# These name the object; no manager owns them.
_IDENTITY = frozenset({"apiVersion", "kind"})
_IDENTITY_METADATA = frozenset({"name", "namespace", "uid", "resourceVersion"})


def would_change(current: Object, desired: Object, *, manager: str, subresource: str = "") -> bool:
    """Whether applying `desired` as `manager` to `current` would change anything.

    False is a guarantee. True may be wrong where the server would find two spellings of a value
    equal (1024Mi and 1Gi): that costs a request, never a missed change.
    """
    owned = _owned_fields(current, manager, subresource)
    return owned is None or not _same(_owned_part(desired), current, owned)


def owns(current: Object, path: tuple[str, ...], *, manager: str) -> bool:
    """Whether a manager that applies an object owns the field at this path of it. False when it
    never applied it, or somebody has given the field another value since."""
    owned = _owned_fields(current, manager, "")
    for name in path:
        owned = None if owned is None else owned.get(f"f:{name}")
    return owned is not None


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
