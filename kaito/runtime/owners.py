"""Owner references: what goes when its owner goes."""

from __future__ import annotations

from kaito.runtime.resource import Object


def owner_reference(owner: Object, *, controller: bool = True) -> Object:
    """The reference that makes `owner` an owner of an object, by default its controller.

    A controller has the owner's foreground deletion wait for the object. An object has any number
    of owners and at most one controller. KeyError when `owner` lacks apiVersion, kind, name or
    uid.
    """
    reference: Object = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }
    return reference | {"controller": True, "blockOwnerDeletion": True} if controller else reference
