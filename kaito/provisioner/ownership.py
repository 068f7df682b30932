"""Whose pool is it? The labels that a pool of ours carries, and the proofs drawn from them.

No pool is overwritten or deleted unless `made_by_kaito` holds for it, and for one Machine only
when `belongs_to` holds. The label names are those of gpu-provisioner, so that pools made by it and
by us are known to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from kaito.api import labels

# Who asked for the node: one of these is on every Machine that we serve.
CUSTOMERS = (labels.WORKSPACE, labels.RAGENGINE)
# All labels that name the customer; where a Machine has one, its pool has the same value.
CUSTOMER_LABELS = (*CUSTOMERS, labels.WORKSPACE_NAMESPACE, labels.RAGENGINE_NAMESPACE)

NODEPOOL = "karpenter.sh/nodepool"  # what pools made for NodeClaims have for a provisioner
CREATED = "kaito.sh/creation-timestamp"
# The uid of the namespace kube-system: which Kubernetes cluster asked. Whoever runs the provisioner
# with one cluster's kubeconfig and another one's Azure settings sees pools without a Machine; this
# label says that they are not his to sweep.
CLUSTER = "kaito.sh/cluster"


def served(machine: Mapping[str, str]) -> bool:
    """Whether a Machine with these labels is ours to serve; all others are left alone."""
    return any(customer in machine for customer in CUSTOMERS)


def made_by_kaito(pool: Mapping[str, str]) -> bool:
    """Whether a pool's labels prove that KAITO made it: customer, provisioner and birth date."""
    provisioned = labels.PROVISIONER_NAME in pool or NODEPOOL in pool
    return served(pool) and provisioned and created_at(pool) is not None


def made_for_cluster(pool: Mapping[str, str], cluster: str) -> bool:
    """Whether a pool's labels prove that KAITO made it for this very cluster."""
    return made_by_kaito(pool) and bool(cluster) and pool.get(CLUSTER) == cluster


def belongs_to(pool: Mapping[str, str], machine: Mapping[str, str]) -> bool:
    """Whether the pool was made by KAITO and for the customer that the Machine's labels name.

    The birth date is not compared: a Machine that was removed by force and made again has the
    same name and customer, and its old pool is better adopted than paid for twice.
    """
    return made_by_kaito(pool) and all(
        pool.get(label) == machine.get(label) for label in CUSTOMER_LABELS
    )


def created_label(creation_timestamp: str) -> str:
    """A Kubernetes timestamp as the value of `CREATED`, 2026-01-02T03-04-05Z.

    A label value may hold no colon.
    """
    born = datetime.fromisoformat(creation_timestamp).astimezone(UTC)
    return born.strftime("%Y-%m-%dT%H-%M-%SZ")


def created_at(pool: Mapping[str, str]) -> float | None:
    """Seconds since the epoch that the label `CREATED` tells, None when it is absent or wrong."""
    try:
        return datetime.strptime(pool.get(CREATED, ""), "%Y-%m-%dT%H-%M-%S%z").timestamp()
    except ValueError:
        return None
