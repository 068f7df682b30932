"""A Workspace and its surroundings as values, and what the world would make of a decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaito.api.labels import RESERVED
from kaito.api.machine import LAUNCHED, LIVING
from kaito.catalog.catalog import load
from kaito.controllers.kinds import (
    NODES,
    Node,
)
from kaito.controllers.workspace.crew import order_name
from kaito.controllers.workspace.decide import decide
from kaito.controllers.workspace.decision import Decision, Finalizer
from kaito.controllers.workspace.observation import Observation
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Object, find_condition, rfc3339

CATALOG = load()
SETTINGS = Settings()
UID = "11111111-2222-3333-4444-555555555555"
NOW = 1_700_000_000.0
SIZE = "Standard_NC6s_v3"
FIRST = order_name(UID, 0)
SECOND = order_name(UID, 1)


def workspace(**changes: Any) -> Object:
    """The quick start; `resource`, `inference` and `metadata` are merged, the rest replaces."""
    base: Object = {
        "apiVersion": "kaito.sh/v1beta1",
        "kind": "Workspace",
        "metadata": {
            "name": "w",
            "namespace": "default",
            "uid": UID,
            "generation": 1,
            "resourceVersion": "7",
        },
        "resource": {
            "count": 1,
            "instanceType": SIZE,
            "labelSelector": {"matchLabels": {"apps": "phi-3"}},
        },
        "inference": {"preset": {"name": "phi-3-mini-4k-instruct", "accessMode": "public"}},
    }
    for key, value in changes.items():
        if value is None:
            base.pop(key, None)
        elif key in ("resource", "metadata", "inference"):
            base[key] = {**base.get(key, {}), **value}
        else:
            base[key] = value
    return base


def held(**changes: Any) -> Object:
    """The same with our finalizer."""
    found = workspace(**changes)
    found["metadata"] = {"finalizers": ["workspace.finalizer.kaito.sh"], **found["metadata"]}
    return found


def machine(
    name: str = FIRST,
    *,
    owner: str = "w",
    deleting: bool = False,
    **conditions: str | tuple[str, str],
) -> Order:
    """A Machine with these conditions: a status, or a status and a message."""
    metadata: Object = {
        "name": name,
        "uid": f"uid-of-{name}",
        "labels": {"kaito.sh/workspace": owner, "kaito.sh/workspacenamespace": "default"},
    }
    if deleting:
        metadata["deletionTimestamp"] = rfc3339(NOW)
    written = [
        {
            "type": type_,
            "status": said if isinstance(said, str) else said[0],
            "reason": "R",
            "message": "" if isinstance(said, str) else said[1],
        }
        for type_, said in conditions.items()
    ]
    return Order.model_validate(
        {
            "apiVersion": "karpenter.sh/v1alpha5",
            "kind": "Machine",
            "metadata": metadata,
            "spec": {
                "requirements": [
                    {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [SIZE]}
                ],
                "resources": {"requests": {"storage": "87Gi"}},
            },
            "status": {
                "conditions": written,
                "nodeName": f"node-{name}",
                "providerID": f"azure://{name}",
            },
        }
    )


def ready_machine(name: str = FIRST, **details: Any) -> Order:
    return machine(name, **details, **dict.fromkeys([*LIVING, "Ready"], "True"))


def failed_machine(message: str) -> Order:
    return machine(**{LAUNCHED: ("False", message), "Ready": ("False", message)})


def node(
    name: str = f"node-{FIRST}",
    *,
    owner: str = "",
    ready: bool = True,
    gpus: int = 1,
    cordoned: bool = False,
    **labels: str,
) -> Node:
    """A node with the selector's label; `owner` names the Workspace that it was made for."""
    found = {"apps": "phi-3", "node.kubernetes.io/instance-type": SIZE, **labels}
    if owner:
        found |= {"kaito.sh/workspace": owner, "kaito.sh/workspacenamespace": "default"}
    return NODES.decode(
        NODES.encode(
            {
                "metadata": {"name": name, "labels": {k: v for k, v in found.items() if v}},
                "spec": {"unschedulable": cordoned},
                "status": {
                    "allocatable": {"nvidia.com/gpu": str(gpus)} if gpus else {},
                    "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                },
            }
        )
    )


def own_node(name: str = FIRST, **details: Any) -> Node:
    return node(f"node-{name}", owner="w", **details)


def seen(found: Object, **surroundings: Any) -> Observation:
    """A Workspace that has counted the free nodes around it, where it has no status yet."""
    free = [
        each.name
        for each in surroundings.get("nodes", ())
        if each.ready and not each.spec.unschedulable and not RESERVED & each.labels.keys()
    ]
    if free and "status" not in found:
        found = {**found, "status": {"workerNodes": free}}
    return Observation(workspace=found, now=NOW, **surroundings)


def decided(observation: Observation, settings: Settings = SETTINGS) -> Decision:
    return decide(observation, CATALOG, settings)


def condition(decision: Decision, type_: str) -> Object:
    """The condition of this type; empty when it is not written."""
    assert decision.status is not None
    return find_condition(decision.status["conditions"], type_) or {}


def says(decision: Decision, type_: str) -> tuple[str, str]:
    found = condition(decision, type_)
    return found.get("status", ""), found.get("reason", "")


def kinds(decision: Decision) -> list[str]:
    return [o["kind"] for o in decision.objects]


def of_kind(decision: Decision, kind: str) -> Object:
    (found,) = (o for o in decision.objects if o["kind"] == kind)
    return found


def rolled_out(deployment: Object, **status: int) -> Object:
    """A Deployment as its controller leaves it when all its replicas are ready."""
    replicas = deployment["spec"]["replicas"]
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    return {
        **deployment,
        "metadata": {**deployment["metadata"], "generation": 1},
        "status": {"observedGeneration": 1, **dict.fromkeys(counts, replicas), **status},
    }


def after(observation: Observation, decision: Decision, *, later: float = 0.0) -> Observation:
    """What is seen once a decision has been written, and nothing else has happened."""
    found = dict(observation.workspace)
    if decision.finalizer is Finalizer.ADD:
        found["metadata"] = {
            **found["metadata"],
            "finalizers": ["workspace.finalizer.kaito.sh"],
        }
    if decision.status is not None:
        found["status"] = decision.status
    known = {order.name for order in observation.orders}
    made = tuple(
        Order.model_validate({**o, "metadata": {**o["metadata"], "uid": o["metadata"]["name"]}})
        for o in decision.objects
        if o["kind"] in ORDERS and o["metadata"]["name"] not in known
    )
    deleted = {d.key.name for d in decision.deletions if d.resource.kind in ORDERS}
    children = {
        o["kind"].lower(): {**o, "metadata": {**o["metadata"], "uid": f"uid-of-{o['kind']}"}}
        for o in decision.objects
        if o["kind"] in ("Deployment", "Service")
    }
    return replace(
        observation,
        workspace=found,
        orders=tuple(order for order in observation.orders if order.name not in deleted) + made,
        deployment=observation.deployment or children.get("deployment"),
        service=observation.service or children.get("service"),
        now=observation.now + later,
    )


def serving(**surroundings: Any) -> Observation:
    """A Workspace whose model answers, with its status written."""
    observation = seen(held(), orders=(ready_machine(),), nodes=(own_node(),), **surroundings)
    observation = after(observation, decided(observation))
    assert observation.deployment is not None
    observation = replace(observation, deployment=rolled_out(observation.deployment))
    return after(observation, decided(observation))
