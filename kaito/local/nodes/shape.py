"""What a simulated Node looks like when it registers. Pure: no client, no clock."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kaito.runtime import Object, rfc3339

SIMULATED = "local.kaito.sh/simulated"
"""Annotation on Nodes and pods that nothing real stands behind; its value says what is missing."""
GPUS = "local.kaito.sh/gpus"
"""Annotation on a Node: which GPUs its device plugin will report, such as nvidia.com/gpu=1."""
NOT_READY_TAINT = "node.kubernetes.io/not-ready"
KUBELET_VERSION = "v1.36.0"
MAX_PODS = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a Node is made of. Memory and disk in GiB; a taint is (key, value, effect)."""

    name: str
    cores: int
    memory: int
    disk: int = 128
    gpus: int = 0
    gpu_resource: str = ""
    labels: Mapping[str, str]
    taints: Sequence[tuple[str, str, str]] = ()
    provider_id: str = ""
    os_image: str = "Ubuntu 22.04.5 LTS"


def new_node(machine: Machine, now: float) -> Object:
    """The Node as its kubelet registers it: not ready, its GPUs not yet reported."""
    labels = {
        "kubernetes.io/os": "linux",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": machine.name,
        **machine.labels,
    }
    taints = [
        {"key": key, "effect": effect, **({"value": value} if value else {})}
        for key, value, effect in machine.taints
    ]
    taints.append({"key": NOT_READY_TAINT, "effect": "NoSchedule"})
    annotations = {SIMULATED: "no machine and no kubelet stand behind this Node"}
    if machine.gpus:
        annotations[GPUS] = f"{machine.gpu_resource}={machine.gpus}"
    spec: Object = {"taints": taints}
    if machine.provider_id:
        spec["providerID"] = machine.provider_id
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": machine.name, "labels": labels, "annotations": annotations},
        "spec": spec,
        "status": {
            "capacity": _resources(machine.cores * 1000, machine.memory, machine.disk),
            "allocatable": _resources(
                machine.cores * 1000 - _reserved_cpu(machine.cores),
                machine.memory - _reserved_memory(machine.memory),
                machine.disk - max(1, machine.disk // 10),
            ),
            "conditions": starting_conditions(now),
            "addresses": [
                {"type": "InternalIP", "address": _address(machine.name)},
                {"type": "Hostname", "address": machine.name},
            ],
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "kubeletVersion": KUBELET_VERSION,
                "kubeProxyVersion": "",
                "osImage": machine.os_image,
                "kernelVersion": "simulated",
                "containerRuntimeVersion": "kaito-local://1",
                "machineID": "",
                "systemUUID": "",
                "bootID": "",
            },
        },
    }


WELL = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
"""(type, reason, message) of the conditions that are false while all is well."""


def starting_conditions(now: float) -> list[Object]:
    """The conditions of a Node whose kubelet has just started."""
    return [
        *(node_condition(type_, "False", reason, text, now) for type_, reason, text in WELL),
        node_condition("Ready", "False", "KubeletNotReady", "the simulated node is starting", now),
    ]


def node_condition(type_: str, status: str, reason: str, message: str, now: float) -> Object:
    """A condition as kubelets write it, with a heartbeat."""
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": rfc3339(now),
        "lastTransitionTime": rfc3339(now),
    }


def _resources(millicores: int, memory: int, disk: int) -> Object:
    cpu = str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"
    return {
        "cpu": cpu,
        "memory": f"{memory}Gi",
        "ephemeral-storage": f"{disk}Gi",
        "pods": str(MAX_PODS),
    }


def _reserved_cpu(cores: int) -> int:
    """Millicores that are kept from pods: a tenth of a core and a hundredth of all."""
    return 100 + 10 * cores


def _reserved_memory(gib: int) -> int:
    """GiB that are kept from pods: about a twentieth, at least one."""
    return max(1, gib // 20)


def _address(name: str) -> str:
    """An address of the usual AKS node subnet that is the same for the same name."""
    number = zlib.crc32(name.encode())
    return f"10.224.{number >> 8 & 0xFF}.{number & 0xFF or 4}"
