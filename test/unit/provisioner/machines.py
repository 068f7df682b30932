"""Machines and NodeClaims as KAITO's workspace controllers write them."""

from __future__ import annotations

from typing import Any

import msgspec

from kaito.provisioner.claim import Claim

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


def nodeclaim_object(name: str = NAME, **changes: Any) -> dict[str, Any]:
    """The NodeClaim that upstream KAITO would write for it."""
    born = machine_object(name)
    whole: dict[str, Any] = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodeClaim",
        "metadata": {
            **born["metadata"],
            "labels": {
                "karpenter.sh/nodepool": "kaito",
                "kaito.sh/workspace": "phi",
                "kaito.sh/workspacenamespace": "default",
                "apps": "phi",
            },
        },
        "spec": {
            "nodeClassRef": {"group": "kaito.sh", "kind": "KaitoNodeClass", "name": "default"},
            "requirements": [
                requirement("karpenter.sh/nodepool", "kaito"),
                requirement("node.kubernetes.io/instance-type", A100),
                requirement("kubernetes.io/os", "linux"),
                requirement("karpenter.azure.com/sku-name", A100),
            ],
            "taints": born["spec"]["taints"],
            "resources": born["spec"]["resources"],
            "expireAfter": "720h",
        },
    }
    for part, values in changes.items():
        whole[part] = {**whole.get(part, {}), **values}
    return whole


def machine(name: str = NAME, **changes: Any) -> Claim:
    return msgspec.convert(machine_object(name, **changes), Claim)


def nodeclaim(name: str = NAME, **changes: Any) -> Claim:
    return msgspec.convert(nodeclaim_object(name, **changes), Claim)


def wanting(*requirements: dict[str, Any], **changes: Any) -> Claim:
    """A Machine with exactly these requirements."""
    return machine(spec={"requirements": list(requirements), **changes})
