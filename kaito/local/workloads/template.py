"""Pods and names made from a pod template. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

from kaito.runtime import Object, View, owner_reference

# The letters of generated names: no vowels, so that no word can come out by chance.
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
HASH_LABEL = "pod-template-hash"


def by_controller(view: View) -> tuple[str, ...]:
    """Index: objects by the uid of the object that controls them."""
    return tuple(owner.uid for owner in view.header.owners if owner.controller)


def pod_from(template: Mapping[str, Any], owner: Object, *, name: str = "") -> Object:
    """A pod of `owner`; the server chooses a name after its owner's when none is given."""
    wanted = copy.deepcopy(dict(template))
    metadata = {
        key: value
        for key, value in wanted.get("metadata", {}).items()
        if key in ("labels", "annotations", "finalizers") and value
    }
    prefix = f"{owner['metadata']['name']}-"
    metadata |= {
        "namespace": owner["metadata"]["namespace"],
        "ownerReferences": [owner_reference(owner)],
        "generateName": prefix,
    }
    if name:
        metadata["name"] = name
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": wanted["spec"]}


def template_hash(template: Mapping[str, Any], collisions: int) -> str:
    """The value of `pod-template-hash`: the same for the same template.

    kube-controller-manager hashes a Go value's print-out; the result here has the same form and
    another value.
    """
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return safe_name(fnv32a(f"{text}{collisions or ''}".encode()))


def safe_name(number: int) -> str:
    """A number as Kubernetes writes it into names: each digit a letter that spells nothing."""
    return "".join(_SAFE[ord(digit) % len(_SAFE)] for digit in str(number))


def fnv32a(data: bytes) -> int:
    """The 32-bit FNV-1a hash."""
    number = 0x811C9DC5
    for byte in data:
        number = ((number ^ byte) * 0x01000193) & 0xFFFFFFFF
    return number


def fnv32(data: bytes) -> int:
    """The 32-bit FNV-1 hash."""
    number = 0x811C9DC5
    for byte in data:
        number = ((number * 0x01000193) & 0xFFFFFFFF) ^ byte
    return number


def without_zeros(status: Mapping[str, Any]) -> Object:
    """A status as the API writes it: counts that are zero are left out."""
    return {name: value for name, value in status.items() if value not in (0, None)}
