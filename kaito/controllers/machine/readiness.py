"""From a Node to a claim's readiness: which Node answers it, what we write on that Node, and what
keeps it from taking Pods.

Karpenter's rules for registration and initialisation, and one more: a node with GPUs is not
initialised before its device plugin has counted them, or the first Pod would not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from kaito.api.labels import GPU_RESOURCE
from kaito.api.machine import FINALIZER
from kaito.controllers.kinds import Node
from kaito.controllers.machine import conditions
from kaito.controllers.machine.conditions import DONE, Step, pending
from kaito.provisioner import Unsatisfiable, node_request
from kaito.provisioner.claim import Claim, Taint
from kaito.provisioner.request import INITIALIZED_LABEL, REGISTERED_LABEL, reserved
from kaito.provisioner.sharing import pool_of
from kaito.runtime import Object, parse_quantity

# On a Node, "true" keeps the claim's taints off it.
NO_TAINT_SYNC = "karpenter.sh/do-not-sync-taints"

UNREGISTERED_TAINT = "karpenter.sh/unregistered"
# Taints that go away by themselves while a node starts (karpenter's list).
EPHEMERAL = (
    ("node.kubernetes.io/not-ready", "NoSchedule"),
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoSchedule"),
    ("node.cloudprovider.kubernetes.io/uninitialized", "NoSchedule"),
    (UNREGISTERED_TAINT, "NoExecute"),
)
# AKS nodes have no allocatable amount of that name: it sizes the disk.
NOT_COUNTED = "storage"


def the_node(claim: Claim, nodes: Sequence[Node]) -> Node | Step:
    """The Node that answers the claim, or why there is none.

    The Node that answered it before is kept while it lives, so that a second one, as an upgrade
    brings, changes nothing; a new one takes over when it has gone.
    """
    living = [node for node in nodes if not node.deleting and node.spec.provider_id]
    known = [node for node in living if node.spec.provider_id == claim.status.provider_id]
    match known or living:
        case [node]:
            return node
        case []:
            return pending(
                conditions.NODE_NOT_FOUND,
                f"No Node of agent pool {pool_of(claim)} has joined the cluster yet.",
            )
        case several:
            return Step(
                "False",
                conditions.MULTIPLE_NODES,
                f"Agent pool {pool_of(claim)} has several Nodes "
                f"({', '.join(node.name for node in several)}): scale it to one.",
            )


def of_wrong_type(claim: Claim, node: Node) -> Step | None:
    """Why a Node that is not the claim's own yet is not what it asks for; None when it is.

    A Node that does not tell its size is taken for what was asked for.
    """
    if node.labels.get(REGISTERED_LABEL) == "true" or not node.instance_type:
        return None
    try:
        types = node_request(claim).instance_types
    except Unsatisfiable:
        return None
    if node.instance_type.lower() in {type_.lower() for type_ in types}:
        return None
    return Step(
        "False",
        conditions.WRONG_TYPE,
        f"Node {node.name} is a {node.instance_type}, and the {claim.kind} asks for "
        f"{' or '.join(types)}: delete the {claim.kind} to have it replaced.",
    )


def registration(claim: Claim, node: Node) -> Object | None:
    """The merge patch that makes the Node the claim's own; None when it is that already."""
    meta, uid = node.metadata, claim.metadata.uid
    if node.labels.get(REGISTERED_LABEL) == "true" and uid in node.claim_owners and node.held:
        # Startup taints that somebody has removed since must not come back.
        return None
    own = {name: text for name, text in claim.metadata.labels.items() if not reserved(name)}
    patch: Object = {
        "metadata": {
            "resourceVersion": meta.resource_version,
            "labels": {**own, REGISTERED_LABEL: "true"},
            "finalizers": sorted({*meta.finalizers, FINALIZER}),
        }
    }
    if uid not in node.claim_owners:
        owner = {
            "apiVersion": claim.dialect.api_version,
            "kind": claim.kind,
            "name": claim.metadata.name,
            "uid": uid,
            "blockOwnerDeletion": True,
        }
        patch["metadata"]["ownerReferences"] = [*meta.owner_references, owner]
    taints = [*_kept_taints(node), *_missing_taints(claim, node)]
    if taints != list(node.spec.taints):
        patch["spec"] = {"taints": taints}
    return patch


def release(node: Node) -> Object:
    """The merge patch that lets a Node go."""
    left = [name for name in node.metadata.finalizers if name != FINALIZER]
    return {
        "metadata": {"resourceVersion": node.metadata.resource_version, "finalizers": left or None}
    }


def initialisation(claim: Claim, node: Node, gpus: int) -> Step:
    """DONE when Pods can run there, or what is missing. Once done, the Node's label says so."""
    if node.labels.get(INITIALIZED_LABEL) == "true":
        return DONE
    ready = node.condition("Ready")
    if ready is None or ready.status != "True":
        said = f": {ready.message}" if ready and ready.message else ""
        return pending(conditions.NODE_NOT_READY, f"Node {node.name} is not ready{said}.")
    for taint in claim.spec.startup_taints:
        if _carries(node, taint.key, taint.effect):
            return pending(
                conditions.STARTUP_TAINTS,
                f"Node {node.name} still has the startup taint {taint.key}:{taint.effect}: "
                "whoever prepares the node has to remove it.",
            )
    for key, effect in EPHEMERAL:
        if _carries(node, key, effect):
            return pending(
                conditions.EPHEMERAL_TAINTS,
                f"Node {node.name} still has the taint {key}:{effect}, which Kubernetes removes.",
            )
    return _resources(claim, node, gpus)


def _resources(claim: Claim, node: Node, gpus: int) -> Step:
    wanted = {
        name: parse_quantity(quantity)
        for name, quantity in claim.requests.items()
        if name != NOT_COUNTED
    }
    if gpus:
        wanted[GPU_RESOURCE] = max(wanted.get(GPU_RESOURCE, Decimal(1)), Decimal(1))
    for name, least in sorted(wanted.items()):
        there = node.status.allocatable.get(name, "0")
        if parse_quantity(there) >= least:
            continue
        if name == GPU_RESOURCE and not parse_quantity(there):
            return _without_gpus(node)
        return pending(conditions.RESOURCE_MISSING, _lack(claim, node, name, there))
    return DONE


def _lack(claim: Claim, node: Node, name: str, there: str | int) -> str:
    if not parse_quantity(there):
        return f"Node {node.name} does not offer {name} yet: whoever provides it has to run there."
    return (
        f"Node {node.name} offers {there} of {name}, and spec.resources.requests asks for "
        f"{claim.requests[name]}: look at whoever provides it, or delete the {claim.kind} and ask "
        "for less, or for another size."
    )


def _without_gpus(node: Node) -> Step:
    if parse_quantity(node.status.capacity.get(GPU_RESOURCE, "0")):
        return pending(
            conditions.GPUS_UNHEALTHY,
            f"The NVIDIA device plugin on Node {node.name} calls none of its GPUs healthy: look "
            "at the plugin's log, or delete the Node to have it replaced.",
        )
    return pending(
        conditions.PLUGIN_MISSING,
        f"Node {node.name} does not offer {GPU_RESOURCE} yet: the NVIDIA device plugin has to run "
        "on it. Install its DaemonSet, and have it tolerate the Node's taints.",
    )


def _kept_taints(node: Node) -> list[Object]:
    """All but karpenter's, which keeps Pods off a Node until it is registered."""
    return [taint for taint in node.spec.taints if taint.get("key") != UNREGISTERED_TAINT]


def _missing_taints(claim: Claim, node: Node) -> list[Object]:
    if node.labels.get(NO_TAINT_SYNC) == "true":
        return []
    taints = (*claim.spec.taints, *claim.spec.startup_taints)
    return [_wire(taint) for taint in taints if not _carries(node, taint.key, taint.effect)]


def _carries(node: Node, key: str, effect: str) -> bool:
    return any(
        (taint.get("key"), taint.get("effect")) == (key, effect) for taint in node.spec.taints
    )


def _wire(taint: Taint) -> Object:
    return {"key": taint.key, "effect": taint.effect} | (
        {"value": taint.value} if taint.value else {}
    )
