"""The kinds that this controller reads, as it reads them.

Workspaces are read untyped, so that one that does not fit its model can still be told so and be
deleted. Of a Node and a Pod only what decisions depend on is cached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kaito.api import labels
from kaito.api import workspace as workspaces
from kaito.runtime import Object, Resource

WORKSPACES: Resource[Object] = Resource(
    workspaces.GROUP, workspaces.VERSION, workspaces.PLURAL, workspaces.KIND
)
DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")
SERVICES: Resource[Object] = Resource("", "v1", "services", "Service")
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")


class NodeMeta(msgspec.Struct, frozen=True, rename="camel"):
    """Of a Node's metadata."""

    name: str
    labels: dict[str, str] = {}
    deletion_timestamp: str | None = None


class NodeSpec(msgspec.Struct, frozen=True):
    """Of a Node's spec."""

    provider_id: str = msgspec.field(default="", name="providerID")
    unschedulable: bool = False


class NodeCondition(msgspec.Struct, frozen=True):
    """One condition of a Node."""

    type: str
    status: str
    message: str = ""


class NodeStatus(msgspec.Struct, frozen=True):
    """Of a Node's status."""

    allocatable: dict[str, str] = {}
    conditions: tuple[NodeCondition, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A Node, as far as a Workspace is concerned with it."""

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
    def ready(self) -> bool:
        """Whether its kubelet says so."""
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions)

    @property
    def has_gpus(self) -> bool:
        """Whether a device plugin has reported GPUs."""
        return self.status.allocatable.get(labels.GPU_RESOURCE, "0") != "0"


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


NODE_PARTS = keeping(
    spec=frozenset(["providerID", "unschedulable"]),
    status=frozenset(["allocatable", "conditions"]),
)
# The spec of a Pod is ours; what happens to it is in its status.
POD_PARTS = keeping(
    spec=frozenset(["nodeName"]),
    status=frozenset(
        ["phase", "reason", "message", "conditions", "containerStatuses", "initContainerStatuses"]
    ),
)
