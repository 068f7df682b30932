"""Machines as KAITO's workspace controller writes them."""

from __future__ import annotations

from typing import Any

from kaito.api.machine import Machine

A100 = "Standard_NC24ads_A100_v4"
A10 = "Standard_NV36ads_A10_v5"
BORN = "2026-01-01T00:00:00Z"
NAME = "ws0a1b2c3d4"


def requirement(key: str, *values: str, operator: str = "In") -> dict[str, Any]:
    return {"key": key, "operator": operator, "values": list(values)}


def machine_object(name: str = NAME, **changes: Any) -> dict[str, Any]:
    """The object that asks for one A100. `changes` are merged into metadata, spec and status."""
    whole: dict[str, Any] = {
        "apiVersion": "karpenter.sh/v1alpha5",
        "kind": "Machine",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "generation": 1,
            "creationTimestamp": BORN,
            "labels": {
                "karpenter.sh/provisioner-name": "default",
                "kaito.sh/workspace": "phi",
                "kaito.sh/workspacenamespace": "default",
                "apps": "phi",
            },
        },
        "spec": {
            "machineTemplateRef": {"name": name},
            "requirements": [
                requirement("node.kubernetes.io/instance-type", A100),
                requirement("karpenter.sh/provisioner-name", "default"),
                requirement("kaito.sh/machine-type", "gpu"),
                requirement("kubernetes.io/arch", "amd64"),
                requirement("kubernetes.io/os", "linux"),
            ],
            "taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
            "resources": {"requests": {"storage": "80Gi"}},
        },
    }
    for part, values in changes.items():
        whole[part] = {**whole.get(part, {}), **values}
    return whole


def machine(name: str = NAME, **changes: Any) -> Machine:
    return Machine.model_validate(machine_object(name, **changes))


def wanting(*requirements: dict[str, Any], **changes: Any) -> Machine:
    """A Machine with exactly these requirements."""
    return machine(spec={"requirements": list(requirements), **changes})
