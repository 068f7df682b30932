"""The Service of a Workspace: one stable address for the model, ports 80 and 29500 and no other."""

from __future__ import annotations

from kaito.api import labels
from kaito.controllers.workspace.observation import Subject
from kaito.controllers.workspace.plan import Plan
from kaito.runtime import Object

HTTP_PORT = 80
TORCH_PORT = 29500
ENGINE_PORT = 5000


def desired_service(plan: Plan, subject: Subject) -> Object:
    """The Service; a load balancer where the annotation kaito.sh/enablelb asks for one."""
    balanced = plan.workspace.metadata.annotations.get(labels.ENABLE_LOAD_BALANCER, "")
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": subject.name,
            "namespace": subject.namespace,
            "labels": subject.identity,
            "ownerReferences": [subject.owner],
        },
        "spec": {
            "type": "LoadBalancer" if balanced.lower() == "true" else "ClusterIP",
            "selector": {labels.WORKSPACE: subject.name},
            "ports": [
                _port("http", HTTP_PORT, ENGINE_PORT),
                _port("torch", TORCH_PORT, TORCH_PORT),
            ],
        },
    }


def _port(name: str, port: int, target: int) -> Object:
    return {"name": name, "protocol": "TCP", "port": port, "targetPort": target}
