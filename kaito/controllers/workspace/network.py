"""Who may reach the Pods of a Workspace over the network. Pure.

Ray asks nobody who they are, so the Pods of a model on several nodes let strangers in to the
engine's port alone. An annotation keeps other namespaces out of that, too. Whether a policy is
heeded is up to the cluster's network.
"""

from __future__ import annotations

from kaito.api import labels
from kaito.controllers.workspace.annotations import OWN_NAMESPACE
from kaito.controllers.workspace.group import several
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.controllers.workspace.service import ENGINE_PORT, TORCH_PORT
from kaito.runtime import Object


def network_policy(plan: Plan, subject: Subject) -> Object | None:
    """The policy; None where everybody may reach everything, as without one."""
    asked = plan.workspace.metadata.annotations.get(labels.NETWORK_POLICY, "").lower()
    if asked != OWN_NAMESPACE and not several(plan):
        return None
    answers: Object = {"ports": [{"protocol": "TCP", "port": ENGINE_PORT}]}
    if plan.model is None:
        # What a template listens on nobody knows; the Service leads to these two.
        answers["ports"].append({"protocol": "TCP", "port": TORCH_PORT})
    if asked == OWN_NAMESPACE:
        answers["from"] = [{"podSelector": {}}]
    among = {"from": [{"podSelector": {"matchLabels": subject.identity}}]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": subject.child(),
        "spec": {
            "podSelector": {"matchLabels": subject.identity},
            "policyTypes": ["Ingress"],
            "ingress": [answers, among],
        },
    }
