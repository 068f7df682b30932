"""NodePool, karpenter.sh/v1: the fields of it that KAITO writes where Karpenter brings up nodes.

Karpenter installs the definition; there is none here. Unknown fields are kept, so that what
others set on a pool survives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from kaito.api.meta import ObjectMeta, Wire
from kaito.api.nodeclaim import Lifetime, NodeClassReference, Requirement, Taint

GROUP = "karpenter.sh"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "NodePool"
PLURAL = "nodepools"


class TemplateMeta(Wire):
    """What every node of the pool carries."""

    labels: Mapping[str, str] = {}
    """Labels of the nodes."""
    annotations: Mapping[str, str] = {}
    """Annotations of the nodes."""


class NodeTemplateSpec(Wire):
    """What every node of the pool is."""

    node_class_ref: NodeClassReference
    """Names the cloud provider's class of the nodes."""
    requirements: tuple[Requirement, ...]
    """What the nodes must be."""
    taints: tuple[Taint, ...] = ()
    """Taints that the nodes keep."""
    expire_after: Lifetime = "720h"
    """How long a node may live, such as 720h, or Never."""


class NodeTemplate(Wire):
    """What the nodes of the pool are made from."""

    metadata: TemplateMeta = TemplateMeta()
    """What every node carries."""
    spec: NodeTemplateSpec
    """What every node is."""


class Budget(Wire):
    """How many nodes may be disrupted at a time."""

    nodes: str
    """A number, or a percentage of the pool."""
    reasons: tuple[str, ...] = ()
    """Which disruptions this is about; all of them when empty."""


class Disruption(Wire):
    """When Karpenter may replace nodes by itself."""

    consolidate_after: str = ""
    """How long after the last change nodes are consolidated, such as 0s, or Never."""
    budgets: tuple[Budget, ...] = ()
    """How many nodes may be disrupted at a time."""


class NodePoolSpec(Wire):
    """The nodes that are wanted."""

    replicas: Annotated[int | None, Field(ge=0)] = None
    """How many nodes there shall be, whatever Pods there are."""
    limits: Mapping[str, str] = {}
    """How many there may be while some are replaced, under `nodes`: nothing else may be limited."""
    template: NodeTemplate
    """What the nodes are made from."""
    disruption: Disruption | None = None
    """When Karpenter may replace nodes by itself."""


class NodePool(Wire):
    """NodePool asks Karpenter for nodes of one kind."""

    api_version: str = API_VERSION
    kind: str = KIND
    metadata: ObjectMeta = ObjectMeta()
    spec: NodePoolSpec
    """The nodes that are wanted."""
