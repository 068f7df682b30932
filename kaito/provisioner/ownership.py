"""Whose pool is it? The labels that a pool of ours carries, and the proofs drawn from them.

No pool is overwritten or deleted unless `made_by_kaito` holds for it, and for one claim only when
`belongs_to` holds. The label names are those of gpu-provisioner, so that pools made by it and by
us are known to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from kaito.api import labels, nodeclaim
from kaito.provisioner.claim import DIALECTS, Claim

# Who asked for the node: one of these is on every Machine that we serve.
CUSTOMERS = (labels.WORKSPACE, labels.RAGENGINE)
# All labels that name the customer; where a claim has one, its pool has the same value.
CUSTOMER_LABELS = (*CUSTOMERS, labels.WORKSPACE_NAMESPACE, labels.RAGENGINE_NAMESPACE)
# What a NodeClaim's KaitoNodeClass is called: the customer of those that have no other one.
# Karpenter knows by it that a Node is managed.
NODE_CLASS = f"{nodeclaim.NODE_CLASS_GROUP}/{nodeclaim.NODE_CLASS_KIND.lower()}"

CREATED = "kaito.sh/creation-timestamp"
"""When the claim was born."""
LAUNCHED = "kaito.sh/launch-timestamp"
"""When the pool was asked for. It tells a claim's pools apart, and how long a pool has taken even
to a process that was not there from the beginning."""
SHAPE = "kaito.sh/shape"
"""What its nodes are like (sharing.py): claims of one customer with equal shapes may share it."""
SHARED = "kaito.sh/shared"
"""On a pool that has been given more than one machine by us: it is nobody's own any more."""
# The uid of the namespace kube-system: which Kubernetes cluster asked. Whoever runs the provisioner
# with one cluster's kubeconfig and another one's Azure settings sees pools without a claim; this
# label says that they are not his to sweep.
CLUSTER = "kaito.sh/cluster"


def ours(claim: Claim) -> bool:
    """Whether a claim is ours to serve; all others are left alone.

    A kaito label on a claim for another provider's class says who wants the node, not who is to
    make it.
    """
    if claim.node_class:
        return True
    reference = claim.spec.node_class_ref
    foreign = reference is not None and reference.group not in ("", nodeclaim.NODE_CLASS_GROUP)
    return not foreign and any(customer in claim.metadata.labels for customer in CUSTOMERS)


def served(labels_: Mapping[str, str]) -> bool:
    """Whether a pool or Node with these labels was made for a claim that is ours to serve."""
    return NODE_CLASS in labels_ or any(customer in labels_ for customer in CUSTOMERS)


def made_by_kaito(pool: Mapping[str, str]) -> bool:
    """Whether a pool's labels prove that KAITO made it: customer, provisioner and birth date."""
    provisioned = any(dialect.provisioner in pool for dialect in DIALECTS.values())
    return served(pool) and provisioned and time_of(pool, CREATED) is not None


def made_for_cluster(pool: Mapping[str, str], cluster: str) -> bool:
    """Whether a pool's labels prove that KAITO made it for this very cluster."""
    return made_by_kaito(pool) and bool(cluster) and pool.get(CLUSTER) == cluster


def belongs_to(pool: Mapping[str, str], claim: Claim, cluster: str = "") -> bool:
    """Whether the pool was made by KAITO, for a claim of this kind, for the customer it names, and
    for no other cluster than this one ("" when that is unknown).

    The birth date is not compared: a claim that was removed by force and made again has the
    same name and customer, and its old pool is better adopted than paid for twice. Pools of
    gpu-provisioner name no cluster.
    """
    if not made_by_kaito(pool) or claim.dialect.provisioner not in pool:
        return False
    if cluster and pool.get(CLUSTER, cluster) != cluster:
        return False
    own = claim.metadata.labels
    if not any(customer in own for customer in CUSTOMERS):
        return bool(claim.node_class) and pool.get(NODE_CLASS) == claim.node_class
    return all(pool.get(label) == own.get(label) for label in CUSTOMER_LABELS)


def missing_proof(pool: Mapping[str, str], claim: Claim, cluster: str = "") -> Mapping[str, str]:
    """The labels that a pool of gpu-provisioner lacks to prove that it was made for the claim: of a
    NodeClaim without a customer it writes none that says so. Empty where that is not all."""
    lacking = {NODE_CLASS: claim.node_class}
    if served(pool) or not belongs_to({**pool, **lacking}, claim, cluster):
        return {}
    return lacking


def label_of(seconds: float) -> str:
    """A time as a label's value, which may hold no colon: 2026-01-02T03-04-05Z."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H-%M-%SZ")


def time_of(pool: Mapping[str, str], label: str) -> float | None:
    """Seconds since the epoch that a label of this form tells, None when absent or wrong."""
    try:
        return datetime.strptime(pool.get(label, ""), "%Y-%m-%dT%H-%M-%S%z").timestamp()
    except ValueError:
        return None
