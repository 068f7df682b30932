"""Nodes asked for by one Karpenter NodePool with a fixed number of replicas (StaticCapacity).

Karpenter makes a NodeClaim for each replica and replaces those that are lost. Its nodes carry the
pool's name and the labels of its template.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaito.api import labels
from kaito.api import nodepool as api
from kaito.controllers.workspace.ask import GPU_TAINT, Ask, annotated, listed, of_cloud
from kaito.controllers.workspace.nodeclaim import FOR_EVER, reference, size_and_system
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.selector import NODE_IS
from kaito.controllers.workspace.settings import NodeClass
from kaito.runtime import Object

MANAGED_BY = "karpenter.kaito.sh/managed-by"
# Karpenter replaces a node before it takes the old one away, and needs room for one more.
SPARE = 1
# Karpenter's own domains: on a template it takes none of their labels, but as requirements.
RESTRICTED = ("kubernetes.io", "k8s.io", "karpenter.sh")
AKS_CLASS = NodeClass(group="karpenter.azure.com", kind="AKSNodeClass", name="default")
EC2_CLASS = NodeClass(group="karpenter.k8s.aws", kind="EC2NodeClass", name="default")


@dataclass(frozen=True, slots=True)
class NodePools:
    """One NodePool for all nodes of one size."""

    cloud: str
    node_class: NodeClass
    kind: str = api.KIND

    def more(self, kept: Sequence[Ask], short: int, names: Iterator[str]) -> tuple[Ask, ...]:
        """The pool that is kept with more nodes, or a new one."""
        pool = next((ask for ask in kept if ask.kind == self.kind), None)
        if short == 0:
            return ()
        if pool is None:
            return (Ask(kind=self.kind, name=next(names), nodes=short),)
        return (Ask(kind=self.kind, name=pool.name, nodes=pool.nodes + short, order=pool.order),)

    def written(self, plan: Plan, subject: Subject, ask: Ask) -> Object:
        """The NodePool."""
        carried = {k: v for k, v in plan.selector.items() if not _restricted(k)}
        asked = {k: v for k, v in plan.selector.items() if _restricted(k)}
        requirements = {
            **size_and_system(plan, self.cloud),
            labels.ARCH: NODE_IS[labels.ARCH],
            **of_cloud(plan),
            **asked,
        }
        return {
            "apiVersion": api.API_VERSION,
            "kind": api.KIND,
            "metadata": {
                "name": ask.name,
                "labels": {MANAGED_BY: "kaito", **subject.identity},
                "annotations": annotated(plan, subject, ask),
            },
            "spec": {
                "replicas": ask.nodes,
                "limits": {"nodes": str(ask.nodes + SPARE)},
                "template": {
                    "metadata": {"labels": {**carried, **subject.identity}},
                    "spec": {
                        "nodeClassRef": reference(plan, self.node_class),
                        "requirements": listed(requirements),
                        "taints": [GPU_TAINT],
                        "expireAfter": FOR_EVER,
                    },
                },
                "disruption": {
                    "consolidateAfter": "0s",
                    "budgets": [{"nodes": "1", "reasons": ["Drifted"]}],
                },
            },
        }


def _restricted(key: str) -> bool:
    domain = key.rpartition("/")[0]
    return any(domain == each or domain.endswith(f".{each}") for each in RESTRICTED)
