"""From a Node to a Machine's readiness: which Node answers it, what we write on that Node, and
what keeps it from taking Pods.

Karpenter's rules for registration and initialisation, and one more: a node with GPUs is not
initialised before its device plugin has counted them, or the first Pod would not fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from kaito.api import machine as api
from kaito.api.labels import GPU_RESOURCE
from kaito.api.machine import Machine, Taint
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.machine import conditions
from kaito.controllers.machine.conditions import DONE, Step
from kaito.provisioner.request import reserved
from kaito.runtime import Object, parse_quantity

REGISTERED_LABEL = "karpenter.sh/registered"
INITIALIZED_LABEL = "karpenter.sh/initialized"
# On a Node, "true" keeps the Machine's taints off it.
NO_TAINT_SYNC = "karpenter.sh/do-not-sync-taints"

# Taints that go away by themselves while a node starts (karpenter's list).
EPHEMERAL = (
    ("node.kubernetes.io/not-ready", "NoSchedule"),
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoSchedule"),
    ("node.cloudprovider.kubernetes.io/uninitialized", "NoSchedule"),
)
# AKS nodes have no allocatable amount of that name: it sizes the disk.
NOT_COUNTED = "storage"


def the_node(machine: Machine, nodes: Sequence[Node]) -> Node | Step:
    """The Node that answers the Machine, or why there is none.

    The Node that answered it before is kept while it lives, so that a second one, as an upgrade
    brings, changes nothing; a new one takes over when it has gone.
    """
    living = [node for node in nodes if not node.deleting and node.spec.provider_id]
    known = [node for node in living if node.spec.provider_id == machine.status.provider_id]
    match known or living:
        case [node]:
            return node
        case []:
            return Step(
                "False",
                conditions.NODE_NOT_FOUND,
                f"No Node of agent pool {machine.metadata.name} has joined the cluster yet.",
            )
        case several:
            return Step(
                "False",
                conditions.MULTIPLE_NODES,
                f"Agent pool {machine.metadata.name} has several Nodes "
                f"({', '.join(node.name for node in several)}): scale it to one.",
            )


def registration(machine: Machine, node: Node) -> Object | None:
    """The merge patch that makes the Node the Machine's own; None when it is that already."""
    meta, uid = node.metadata, machine.metadata.uid
    if node.labels.get(REGISTERED_LABEL) == "true" and uid in node.machine_owners and node.held:
        # Startup taints that somebody has removed since must not come back.
        return None
    own = {name: text for name, text in machine.metadata.labels.items() if not reserved(name)}
    patch: Object = {
        "metadata": {
            "resourceVersion": meta.resource_version,
            "labels": {**own, REGISTERED_LABEL: "true"},
            "finalizers": sorted({*meta.finalizers, api.FINALIZER}),
        }
    }
    if uid not in node.machine_owners:
        owner = {
            "apiVersion": api.API_VERSION,
            "kind": api.KIND,
            "name": machine.metadata.name,
            "uid": uid,
            "blockOwnerDeletion": True,
        }
        patch["metadata"]["ownerReferences"] = [*meta.owner_references, owner]
    missing = _missing_taints(machine, node)
    if missing:
        patch["spec"] = {"taints": [*node.spec.taints, *missing]}
    return patch


def release(node: Node) -> Object:
    """The merge patch that lets a Node go."""
    left = [name for name in node.metadata.finalizers if name != api.FINALIZER]
    return {
        "metadata": {"resourceVersion": node.metadata.resource_version, "finalizers": left or None}
    }


def initialisation(machine: Machine, node: Node, gpus: int) -> Step:
    """DONE when Pods can run there, or what is missing. Once done, the Node's label says so."""
    if node.labels.get(INITIALIZED_LABEL) == "true":
        return DONE
    ready = node.condition("Ready")
    if ready is None or ready.status != "True":
        said = f": {ready.message}" if ready and ready.message else ""
        return Step("False", conditions.NODE_NOT_READY, f"Node {node.name} is not ready{said}.")
    for taint in machine.spec.startup_taints:
        if _carries(node, taint.key, taint.effect):
            return Step(
                "False",
                conditions.STARTUP_TAINTS,
                f"Node {node.name} still has the startup taint {taint.key}:{taint.effect}: "
                "whoever prepares the node has to remove it.",
            )
    for key, effect in EPHEMERAL:
        if _carries(node, key, effect):
            return Step(
                "False",
                conditions.EPHEMERAL_TAINTS,
                f"Node {node.name} still has the taint {key}:{effect}, which Kubernetes removes.",
            )
    return _resources(machine, node, gpus)


def _resources(machine: Machine, node: Node, gpus: int) -> Step:
    resources = machine.spec.resources
    wanted = {
        name
        for name, quantity in (resources.requests if resources else {}).items()
        if name != NOT_COUNTED and parse_quantity(quantity)
    }
    if gpus:
        wanted.add(GPU_RESOURCE)
    for name in sorted(wanted):
        if not parse_quantity(node.status.allocatable.get(name, "0")):
            hint = ": the NVIDIA device plugin has to run on it" if name == GPU_RESOURCE else ""
            return Step(
                "False",
                conditions.RESOURCE_MISSING,
                f"Node {node.name} does not offer {name} yet{hint}.",
            )
    return DONE


def _missing_taints(machine: Machine, node: Node) -> list[Object]:
    if node.labels.get(NO_TAINT_SYNC) == "true":
        return []
    taints = (*machine.spec.taints, *machine.spec.startup_taints)
    return [_wire(taint) for taint in taints if not _carries(node, taint.key, taint.effect)]


def _carries(node: Node, key: str, effect: str) -> bool:
    return any(
        (taint.get("key"), taint.get("effect")) == (key, effect) for taint in node.spec.taints
    )


def _wire(taint: Taint) -> Object:
    return {"key": taint.key, "effect": taint.effect} | (
        {"value": taint.value} if taint.value else {}
    )
