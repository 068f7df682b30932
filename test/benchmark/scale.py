"""How many Workspaces with all their children one local cluster holds, and whether it answers.

Each Workspace gets what the daemons would give it: a Machine, a Node with a GPU, a Deployment.
The cluster makes a ReplicaSet and a Pod of it, schedules that and lets it run. The daemons are
not run: what is measured is the cluster. Meanwhile one object is read again and again; how long
that takes is how responsive the server is.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kaito.local.kinds import DEPLOYMENTS, NAMESPACES, NODES, PODS, REPLICA_SETS
from kaito.local.nodes.shape import Machine, new_node
from kaito.runtime import Client, Key, Object, Resource, from_kubeconfig
from test.benchmark.contest import Bar, judged, rounded
from test.benchmark.servers import local_server, resident
from test.benchmark.settings import Settings
from test.benchmark.workspaces import spread

WORKSPACES: Resource[Object] = Resource("kaito.sh", "v1beta1", "workspaces", "Workspace")
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")
CHILDREN = (WORKSPACES, MACHINES, NODES, DEPLOYMENTS, REPLICA_SETS, PODS)
NAMESPACE = "scale"
FULL, SMALL = 10_000, 2_000
LABEL = "kaito.sh/workspace"
SIZE = "Standard_NC24ads_A100_v4"
PROBE_SECONDS = 0.05  # between two probes
QUIET_SECONDS = 5.0
PATIENCE = 1800.0  # seconds until all are ready
BARS = [Bar("resident_mib", 1024), Bar("p99_ms_busy", 1000)]


async def run(settings: Settings) -> list[dict[str, Any]]:
    """One cluster, filled until every Deployment is available."""
    count = FULL if settings.full else SMALL
    async with local_server("--profile", "instant") as (kubeconfig, process):
        config = await from_kubeconfig(kubeconfig)
        async with Client(config.transport("bench"), field_manager="bench") as client:
            await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
            empty = resident(process)
            started = time.monotonic()
            async with _probing(client) as busy:
                await spread(count, lambda number: _create(client, number))
                created = time.monotonic() - started
                await _all_available(client, count)
            ready = time.monotonic() - started
            full = resident(process)
            async with _probing(client) as quiet:
                await asyncio.sleep(QUIET_SECONDS)
            objects = {each.plural: await _count(client, each) for each in (*CHILDREN, EVENTS)}
    values = {"resident_mib": full / 2**20, "p99_ms_busy": _percentile(busy, 99) * 1000}
    result = {
        "scenario": "scale",
        "workspaces": count,
        "objects": objects,
        "created_seconds": rounded(created),
        "available_seconds": rounded(ready),
        "resident_mib_empty": rounded(empty / 2**20),
        "kib_a_workspace": rounded((full - empty) / 1024 / count),
        "p50_ms_busy": rounded(_percentile(busy, 50) * 1000),
        "p50_ms_quiet": rounded(_percentile(quiet, 50) * 1000),
        "p99_ms_quiet": rounded(_percentile(quiet, 99) * 1000),
    }
    return [judged(result, values, BARS)]


async def _create(client: Client, number: int) -> None:
    """A Workspace and what the daemons would make of it."""
    name = f"w-{number}"
    labels = {LABEL: name, "apps": name}
    machine = Machine(
        name=name,
        cores=24,
        memory=220,
        gpus=1,
        gpu_resource="nvidia.com/gpu",
        labels={**labels, "node.kubernetes.io/instance-type": SIZE},
        taints=[("sku", "gpu", "NoSchedule")],
    )
    await client.create(WORKSPACES, _workspace(name))
    await client.create(MACHINES, _machine(name, labels))
    await client.create(NODES, new_node(machine, time.time()))
    await client.create(DEPLOYMENTS, _deployment(name, labels))


def _workspace(name: str) -> Object:
    return {
        "apiVersion": "kaito.sh/v1beta1",
        "kind": "Workspace",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "resource": {
            "count": 1,
            "instanceType": SIZE,
            "labelSelector": {"matchLabels": {"apps": name}},
        },
        "inference": {"preset": {"name": "phi-4-mini-instruct"}},
    }


def _machine(name: str, labels: dict[str, str]) -> Object:
    return {
        "apiVersion": "karpenter.sh/v1alpha5",
        "kind": "Machine",
        "metadata": {"name": name, "labels": labels, "finalizers": ["karpenter.sh/termination"]},
        "spec": {
            "machineTemplateRef": {"name": name},
            "requirements": [
                {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [SIZE]}
            ],
            "resources": {"requests": {"storage": "80Gi"}},
            "taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
        },
    }


def _deployment(name: str, labels: dict[str, str]) -> Object:
    container = {
        "name": name,
        "image": "registry.example.com/models/phi-4-mini-instruct:0.2.1",
        "command": ["/bin/sh", "-c", "python3 /workspace/inference_api.py --max-model-len=131072"],
        "ports": [{"containerPort": 5000, "protocol": "TCP"}],
        "resources": {
            "requests": {"nvidia.com/gpu": "1"},
            "limits": {"nvidia.com/gpu": "1"},
        },
        "readinessProbe": {"httpGet": {"path": "/health", "port": 5000}, "periodSeconds": 10},
        "volumeMounts": [{"name": "dshm", "mountPath": "/dev/shm"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": NAMESPACE, "name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {LABEL: name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "nodeSelector": {"apps": name},
                    "tolerations": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
                    "containers": [container],
                    "volumes": [{"name": "dshm", "emptyDir": {"medium": "Memory"}}],
                },
            },
        },
    }


@asynccontextmanager
async def _probing(client: Client) -> AsyncIterator[list[float]]:
    """Read one object again and again; the seconds that each read took."""
    took: list[float] = []

    async def probe() -> None:
        while True:
            began = time.monotonic()
            await client.get(NAMESPACES, Key("", NAMESPACE))
            took.append(time.monotonic() - began)
            await asyncio.sleep(PROBE_SECONDS)

    task = asyncio.create_task(probe())
    try:
        yield took
    finally:
        task.cancel()


async def _all_available(client: Client, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            # The last ones first: a list of all would be work in itself.
            last = await client.get(DEPLOYMENTS, Key(NAMESPACE, f"w-{count - 1}"))
            if last.get("status", {}).get("availableReplicas"):
                listing = await client.list(DEPLOYMENTS, namespace=NAMESPACE)
                found = sum(
                    each.get("status", {}).get("availableReplicas", 0) for each in listing.items
                )
                if found == count:
                    return
            await asyncio.sleep(1)


async def _count(client: Client, resource: Resource[Object]) -> int:
    return len((await client.list(resource)).items)


def _percentile(took: list[float], which: int) -> float:
    return statistics.quantiles(took, n=100)[which - 1]
