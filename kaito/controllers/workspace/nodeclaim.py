"""Nodes asked for by NodeClaims, as upstream KAITO sends them: one each.

Any provisioner that honours NodeClaims may answer: KAITO's own, to which the node class is a mark
and nothing more, or another, whose class says what else a node is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kaito.api import labels
from kaito.api import nodeclaim as api
from kaito.controllers.workspace.ask import (
    GPU_TAINT,
    Ask,
    annotated,
    listed,
    of_cloud,
    one_each,
    storage,
)
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.order import NODE_POOL
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.selector import NODE_IS
from kaito.controllers.workspace.settings import NodeClass
from kaito.runtime import Object

# A pool that does not exist: upstream's name for claims that no pool made.
NO_POOL = "kaito"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
OWN_CLASS = NodeClass(group=api.NODE_CLASS_GROUP, kind=api.NODE_CLASS_KIND, name="default")
SIZE_OF_AZURE = "karpenter.azure.com/sku-name"
FOR_EVER = "Never"  # else the API server says 30 days, and a model that serves would end then


@dataclass(frozen=True, slots=True)
class NodeClaims:
    """A NodeClaim for each node."""

    cloud: str
    node_class: NodeClass = OWN_CLASS
    kind: str = api.KIND

    def more(self, kept: Sequence[Ask], short: int, names: Iterator[str]) -> tuple[Ask, ...]:
        return one_each(self.kind, short, names)

    def written(self, plan: Plan, subject: Subject, ask: Ask) -> Object:
        """The NodeClaim. The spec of one that exists cannot be changed, and stays as it is."""
        noted = {**annotated(plan, subject, ask), DO_NOT_DISRUPT: "true"}
        noted.setdefault(labels.NODE_IMAGE_FAMILY, "ubuntu")
        return {
            "apiVersion": api.API_VERSION,
            "kind": api.KIND,
            "metadata": {
                "name": ask.name,
                "labels": {**plan.selector, NODE_POOL: NO_POOL, **subject.identity},
                "annotations": noted,
            },
            "spec": ask.order.spec.wire() if ask.order else self._spec(plan),
        }

    def _spec(self, plan: Plan) -> Object:
        requirements = {
            NODE_POOL: NO_POOL,
            **size_and_system(plan, self.cloud),
            **of_cloud(plan),
        }
        return {
            "nodeClassRef": reference(plan, self.node_class),
            "requirements": listed(requirements),
            "taints": [GPU_TAINT],
            "resources": {"requests": {"storage": storage(plan, None)}},
            "expireAfter": FOR_EVER,
        }


def size_and_system(plan: Plan, cloud: str) -> Mapping[str, str]:
    """The size, as every provisioner and as the cloud's own calls it, and the system."""
    azure = {SIZE_OF_AZURE: plan.instance_type} if cloud == "azure" else {}
    return {labels.INSTANCE_TYPE: plan.instance_type, **azure, labels.OS: NODE_IS[labels.OS]}


def reference(plan: Plan, usual: NodeClass) -> Object:
    """The node class: the one that the Workspace names, where it names one."""
    named = plan.workspace.metadata.annotations.get(labels.NODE_CLASS_NAME)
    return {"group": usual.group, "kind": usual.kind, "name": named or usual.name}
