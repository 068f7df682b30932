"""What becomes of claims and their Nodes, counted under karpenter's names.

Claims are made by others, so karpenter_nodeclaims_created_total is not ours to count. Machines are
counted with the NodeClaims: karpenter has called both so since it knows only one of them.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from kaito.api.machine import FINALIZER
from kaito.controllers.machine.decision import (
    Decision,
    DeleteClaim,
    PatchClaim,
    PatchNode,
    Tell,
)
from kaito.provisioner.claim import Claim
from kaito.provisioner.request import REGISTERED_LABEL, Unsatisfiable, node_request

MOST_POOLS = 20
"""Values of the label nodepool at most: whoever writes claims chooses them."""
OTHER = "other"

# karpenter's reasons for a claim that is taken away, by the Event with which we do it.
_DISRUPTIONS = {"Expired": "expired", "NodeRepaired": "unhealthy", "NodeLost": "garbage_collected"}


class LifecycleTallies:
    """Counts what decisions have brought about."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._pools: set[str] = set()
        self._disrupted = Counter(
            "karpenter_nodeclaims_disrupted_total",
            "Claims that we deleted ourselves, by reason.",
            ["reason", "nodepool", "capacity_type"],
            registry=registry,
        )
        self._terminated = Counter(
            "karpenter_nodeclaims_terminated_total",
            "Claims whose end is complete.",
            ["nodepool", "capacity_type"],
            registry=registry,
        )
        self._nodes = Counter(
            "karpenter_nodes_created_total",
            "Nodes that were made a claim's own.",
            ["nodepool"],
            registry=registry,
        )

    def performed(self, claim: Claim | None, decision: Decision) -> None:
        """All writes of a decision about this claim have been made."""
        if claim is None:
            return
        pool = self._pool(claim)
        told = [write.reason for write in decision.writes if isinstance(write, Tell)]
        for write in decision.writes:
            match write:
                case DeleteClaim():
                    reason = next((_DISRUPTIONS[r] for r in told if r in _DISRUPTIONS), OTHER)
                    self._disrupted.labels(reason, pool, _capacity(claim)).inc()
                case PatchClaim(patch) if claim.metadata.deleting and claim.held:
                    kept = patch.get("metadata", {}).get("finalizers", [FINALIZER])
                    if FINALIZER not in (kept or ()):
                        self._terminated.labels(pool, _capacity(claim)).inc()
                case PatchNode(_, patch):
                    if REGISTERED_LABEL in patch.get("metadata", {}).get("labels", {}):
                        self._nodes.labels(pool).inc()

    def _pool(self, claim: Claim) -> str:
        dialect = claim.dialect
        name = claim.metadata.labels.get(dialect.provisioner, dialect.provisioner_default)
        if len(self._pools) < MOST_POOLS:
            self._pools.add(name)
        return name if name in self._pools else OTHER


def _capacity(claim: Claim) -> str:
    try:
        return "spot" if node_request(claim).spot else "on-demand"
    except Unsatisfiable:
        return ""
