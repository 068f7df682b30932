"""Pods made from a pod template. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from kaito.runtime import Object, owner_reference

HASH_LABEL = "pod-template-hash"


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


def without_zeros(status: Mapping[str, Any]) -> Object:
    """A status as the API writes it: counts that are zero are left out."""
    return {name: value for name, value in status.items() if value not in (0, None)}
