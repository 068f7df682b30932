"""Kinds that more than one controller reads, and what of them is cached.

A Node is a partial view: what decisions depend on, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kaito.api import labels, machine, nodeclaim
from kaito.api.machine import FINALIZER
from kaito.runtime import Object, Resource


class NodeMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Of a Node's metadata."""

    name: str
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    finalizers: tuple[str, ...] = ()
    # Any: lists that are written back whole keep the fields we do not know.
    owner_references: tuple[dict[str, Any], ...] = ()
    deletion_timestamp: str | None = None


class NodeSpec(msgspec.Struct, frozen=True):
    """Of a Node's spec."""

    provider_id: str = msgspec.field(default="", name="providerID")
    unschedulable: bool = False
    taints: tuple[dict[str, Any], ...] = ()


class NodeCondition(msgspec.Struct, frozen=True, rename="camel"):
    """One condition of a Node."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    """Null where nobody wrote it: that is how the API server spells no time."""


class NodeStatus(msgspec.Struct, frozen=True):
    """Of a Node's status."""

    capacity: dict[str, str] = {}
    allocatable: dict[str, str] = {}
    conditions: tuple[NodeCondition, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A Node, as far as anybody here is concerned with it."""

    metadata: NodeMeta
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels

    @property
    def instance_type(self) -> str:
        """The size that the cloud gave it, "" when nobody says."""
        return self.labels.get(labels.INSTANCE_TYPE, "")

    @property
    def deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def held(self) -> bool:
        """Whether the machine controller's finalizer keeps the object."""
        return FINALIZER in self.metadata.finalizers

    @property
    def claim_owners(self) -> frozenset[str]:
        """The uids of the Machines and NodeClaims that own it."""
        return frozenset(
            owner.get("uid", "")
            for owner in self.metadata.owner_references
            if owner.get("kind") in (machine.KIND, nodeclaim.KIND)
            and str(owner.get("apiVersion", "")).startswith(f"{machine.GROUP}/")
        )

    @property
    def ready(self) -> bool:
        """Whether its kubelet says so."""
        condition = self.condition("Ready")
        return condition is not None and condition.status == "True"

    @property
    def has_gpus(self) -> bool:
        """Whether a device plugin has reported GPUs."""
        return self.status.allocatable.get(labels.GPU_RESOURCE, "0") != "0"

    def condition(self, type_: str) -> NodeCondition | None:
        """The condition of this type, None when the Node has none."""
        return next((c for c in self.status.conditions if c.type == type_), None)


CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
NODES: Resource[Node] = Resource("", "v1", "nodes", "Node", namespaced=False, model=Node)

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def keeping(**parts: frozenset[str]) -> Callable[[bytes], bytes]:
    """A transform that keeps an object's metadata and, of each part named, these members."""

    def trim(body: bytes) -> bytes:
        members = _decode(body)
        kept = {k: v for k, v in members.items() if k in ("apiVersion", "kind", "metadata")}
        for part, names in parts.items():
            if part in members:
                inner = {k: v for k, v in _decode(members[part]).items() if k in names}
                kept[part] = msgspec.Raw(_encode(inner))
        return _encode(kept)

    return trim


# The list of images is most of a Node, and nobody here reads it.
NODE_PARTS = keeping(
    spec=frozenset(["providerID", "unschedulable", "taints"]),
    status=frozenset(["capacity", "allocatable", "conditions"]),
)
