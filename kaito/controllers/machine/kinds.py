"""The kinds that this controller reads, as it reads them.

A Node is a partial view: what readiness, ownership and deletion depend on, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kaito.api import machine as api
from kaito.runtime import Object, Resource

# Read only to learn whether somebody else's claim still stands behind a pool.
NODECLAIMS: Resource[Object] = Resource(
    "karpenter.sh", "v1", "nodeclaims", "NodeClaim", namespaced=False
)


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
    taints: tuple[dict[str, Any], ...] = ()


class NodeCondition(msgspec.Struct, frozen=True):
    """One condition of a Node."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class NodeStatus(msgspec.Struct, frozen=True):
    """Of a Node's status."""

    capacity: dict[str, str] = {}
    allocatable: dict[str, str] = {}
    conditions: tuple[NodeCondition, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A Node, as far as a Machine is concerned with it."""

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
    def deleting(self) -> bool:
        return self.metadata.deletion_timestamp is not None

    @property
    def held(self) -> bool:
        """Whether our finalizer keeps the object."""
        return api.FINALIZER in self.metadata.finalizers

    @property
    def machine_owners(self) -> frozenset[str]:
        """The uids of the Machines that own it."""
        return frozenset(
            owner.get("uid", "")
            for owner in self.metadata.owner_references
            if owner.get("kind") == api.KIND
            and str(owner.get("apiVersion", "")).startswith(f"{api.GROUP}/")
        )

    def condition(self, type_: str) -> NodeCondition | None:
        """The condition of this type, None when the Node has none."""
        return next((c for c in self.status.conditions if c.type == type_), None)


NODES: Resource[Node] = Resource("", "v1", "nodes", "Node", namespaced=False, model=Node)

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode


def without_images(body: bytes) -> bytes:
    """A Node's JSON without the list of images, which is most of it and which nobody reads."""
    members = _decode(body)
    if "status" in members:
        status = _decode(members["status"])
        status.pop("images", None)
        members["status"] = msgspec.Raw(_encode(status))
    return _encode(members)
