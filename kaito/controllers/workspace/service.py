"""The Services of a Workspace: one stable address for the model, ports 80 and 29500 and no other,
and a name for each Pod where several serve it together."""

from __future__ import annotations

from kaito.api import labels
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.runtime import Object

HTTP_PORT = 80
TORCH_PORT = 29500
ENGINE_PORT = 5000
POD_NAME = "statefulset.kubernetes.io/pod-name"


def desired_service(plan: Plan, subject: Subject, *, leads: bool) -> Object:
    """The Service; a load balancer where the annotation kaito.sh/enablelb asks for one.

    `leads`: the first Pod of a StatefulSet answers for all.
    """
    balanced = plan.workspace.metadata.annotations.get(labels.ENABLE_LOAD_BALANCER, "")
    selector = {labels.WORKSPACE: subject.name}
    if leads:
        selector[POD_NAME] = f"{subject.name}-0"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": subject.child(),
        "spec": {
            "type": "LoadBalancer" if balanced.lower() == "true" else "ClusterIP",
            "selector": selector,
            "ports": [
                _port("http", HTTP_PORT, ENGINE_PORT),
                _port("torch", TORCH_PORT, TORCH_PORT),
            ],
        },
    }


def headless_service(subject: Subject) -> Object:
    """Names for its Pods, which they have before they are ready: that takes the others."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": subject.child(subject.headless.name),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": {labels.WORKSPACE: subject.name},
        },
    }


def _port(name: str, port: int, target: int) -> Object:
    return {"name": name, "protocol": "TCP", "port": port, "targetPort": target}
