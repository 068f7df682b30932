"""Scenes as values: a Workspace, and what it was made into."""

from __future__ import annotations

from typing import Any

from kaito.controllers.workspace.order import ORDERS, Order
from kaito.runtime import Object, rfc3339
from kaito.why.scene import Happening, Scene, happening

NOW = 1_700_000_000.0
UID = "11111111-2222-3333-4444-555555555555"
SIZE = "Standard_NC6s_v3"
MINUTE = 60.0
HELD = {"kaito-workspace": 5.0, "kaito-provisioner": 5.0}


def condition(type_: str, status: str, reason: str, message: str, age: float = MINUTE) -> Object:
    """One that changed `age` seconds ago."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
        "lastTransitionTime": rfc3339(NOW - age),
    }


def not_ready(type_: str, reason: str, message: str, age: float = MINUTE) -> list[Object]:
    """A part of a Workspace that is not as it should be, and the summary that follows from it."""
    return [
        condition(type_, "False", reason, message, age),
        condition("WorkspaceReady", "False", "workspacePending", message, age),
    ]


def workspace(*conditions: Object, **metadata: Any) -> Object:
    """The quick start, with these conditions."""
    return {
        "apiVersion": "kaito.sh/v1beta1",
        "kind": "Workspace",
        "metadata": {
            "name": "w",
            "namespace": "default",
            "uid": UID,
            "generation": 1,
            "creationTimestamp": rfc3339(NOW - 10 * MINUTE),
            **metadata,
        },
        "resource": {"instanceType": SIZE, "labelSelector": {"matchLabels": {"apps": "phi-3"}}},
        "inference": {"preset": {"name": "phi-3-mini-4k-instruct"}},
        "status": {"conditions": list(conditions)},
    }


def machine(*conditions: Object, node: str = "") -> Order:
    """The Machine of its node, with these conditions."""
    return ORDERS["Machine"].model.model_validate(
        {
            "metadata": {
                "name": "ws1",
                "uid": "uid-of-ws1",
                "creationTimestamp": rfc3339(NOW - 9 * MINUTE),
            },
            "spec": {
                "requirements": [
                    {
                        "key": "node.kubernetes.io/instance-type",
                        "operator": "In",
                        "values": [SIZE],
                    }
                ]
            },
            "status": {"conditions": list(conditions), "nodeName": node},
        }
    )


def claim(*conditions: Object, pool: str = "", foreign: bool = False) -> Order:
    """A NodeClaim of its node; of a NodePool, or of another provisioner's class."""
    owners = [{"apiVersion": "v1", "kind": "NodePool", "name": pool, "uid": "u"}] if pool else []
    group = "karpenter.azure.com" if foreign else "kaito.sh"
    kind = "AKSNodeClass" if foreign else "KaitoNodeClass"
    return ORDERS["NodeClaim"].model.model_validate(
        {
            "metadata": {
                "name": "ws2",
                "uid": "uid-of-ws2",
                "labels": {"karpenter.sh/nodepool": pool} if pool else {},
                "ownerReferences": owners,
            },
            "spec": {"nodeClassRef": {"group": group, "kind": kind, "name": "default"}},
            "status": {"conditions": list(conditions)},
        }
    )


def node_pool(nodes: int = 1) -> Order:
    """A NodePool that asks for so many nodes."""
    return ORDERS["NodePool"].model.model_validate(
        {"metadata": {"name": "pool", "uid": "uid-of-pool"}, "spec": {"replicas": nodes}}
    )


def pod(name: str = "w-0", *, container: Object | None = None, **status: Any) -> Object:
    """A Pod of it, with the state of its container."""
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-of-{name}",
            "creationTimestamp": rfc3339(NOW - 5 * MINUTE),
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "phase": "Pending",
            "containerStatuses": [{"name": "w", "ready": False, **(container or {})}],
            **status,
        },
    }


def deployment(**changes: Any) -> Object:
    """The Deployment of it."""
    return {
        "kind": "Deployment",
        "metadata": {
            "name": "w",
            "namespace": "default",
            "uid": "uid-of-deployment",
            "ownerReferences": [{"uid": UID, "controller": True}],
        },
        "spec": {"replicas": 1},
        "status": {},
        **changes,
    }


def warning(reason: str, message: str, age: float = MINUTE, count: int = 1) -> Happening:
    """An Event that began `age` seconds ago."""
    return happening(
        {
            "type": "Warning",
            "reason": reason,
            "message": message,
            "count": count,
            "firstTimestamp": rfc3339(NOW - age),
            "metadata": {},
        }
    )


def lease(age: float, holder: str = "host") -> Object:
    """A lease of a daemon that renewed it `age` seconds ago."""
    renewed = rfc3339(NOW - age)
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 15}}


def scene(wanted: Object, **parts: Any) -> Scene:
    """That Workspace, while both daemons are at work."""
    leases = {name: lease(age) for name, age in HELD.items()}
    return Scene(workspace=wanted, **{"now": NOW, "leases": leases, **parts})
