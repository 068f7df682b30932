"""The ways in which a model is served, each as the steps of its user, and what it comes to.

A scenario rises until it serves, and falls: its Workspace is deleted, until nothing is left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from kaito.local.azure.faults import FaultKind, PoolFault
from kaito.local.cluster import LocalCluster
from kaito.local.nodes.shape import Machine, new_node
from kaito.local.storage.volumes import CLASS_NAME
from kaito.runtime import Key, Object, Resource
from test.e2e import tunings
from test.e2e.stage import (
    MACHINES,
    NODES,
    PODS,
    QUICK_START,
    REVISIONS,
    ROOT,
    WORKSPACES,
    Stage,
)

EXAMPLES = ROOT / "examples" / "workspaces"
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
CLAIMS: Resource[Object] = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVED = "kaito.sh/served"
FIRST, SECOND = "Standard_NC6s_v3", "Standard_NC24ads_A100_v4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What there is when it serves, and nothing besides."""

    pods: int = 1
    machines: int = 0
    nodeclaims: int = 0
    sizes: tuple[str, ...] = ()
    """Of the pools that are paid for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    name: str
    rise: Callable[[Stage, LocalCluster], Awaitable[None]]
    expected: Expected
    flags: tuple[str, ...] = ()
    """Of the manager."""
    grants: tuple[str, ...] = ()
    """What of config/rbac it needs besides."""


async def apply(stage: Stage, file: Path, **annotations: str) -> Key:
    """Create the Workspace of an example."""
    manifest = yaml.safe_load(file.read_text())
    named = manifest["metadata"]
    manifest["metadata"] = {
        **named,
        "namespace": "default",
        "annotations": {**named.get("annotations", {}), **annotations},
    }
    manifest["apiVersion"] = WORKSPACES.api_version
    return Key.of(await stage.client.create(WORKSPACES, manifest))


async def serves(stage: Stage, key: Key, *, generation: int = 1) -> None:
    """Return when this generation of a Workspace serves, and that is on record."""

    def seen() -> bool:
        said = stage.condition("WorkspaceReady", key)
        served = [
            SERVED in each["metadata"]["annotations"]
            for each in stage.all(REVISIONS)
            if each["metadata"]["ownerReferences"][0]["kind"] == WORKSPACES.kind
        ]
        return (
            said.get("status") == "True"
            and said["observedGeneration"] == generation
            and len(served) == generation
            and all(served)
        )

    await stage.until(seen, f"generation {generation} of {key.name} ready")


async def edit(stage: Stage, key: Key, inference: Object) -> None:
    """Change how it serves, and return when that has been rolled out."""
    before = stage.ever(PODS).copy()
    changed = await stage.client.patch(WORKSPACES, key, {"inference": inference})
    await stage.until(lambda: stage.ever(PODS) - before, "another Pod")
    await serves(stage, key, generation=changed["metadata"]["generation"])


async def configure(stage: Stage, name: str) -> Object:
    """Settings of an engine; the change that names them."""
    head = {"namespace": "default", "name": name}
    data = {"inference_config.yaml": "vllm: {max-num-seqs: 8}"}
    await stage.client.create(CONFIG_MAPS, {"metadata": head, "data": data})
    return {"config": name}


async def secret(stage: Stage, name: str, key: str, value: str) -> None:
    head = {"namespace": "default", "name": name}
    await stage.client.create(SECRETS, {"metadata": head, "stringData": {key: value}})


async def preset(stage: Stage, cluster: LocalCluster) -> None:
    key = await apply(stage, QUICK_START)
    await serves(stage, key)
    await edit(stage, key, await configure(stage, "settings"))


async def template(stage: Stage, cluster: LocalCluster) -> None:
    key = await apply(stage, EXAMPLES / "template.yaml")
    await serves(stage, key)
    found = await stage.client.get(WORKSPACES, key)
    found["inference"]["template"]["spec"]["containers"][0]["image"] += ".1"
    await edit(stage, key, {"template": found["inference"]["template"]})


async def adapters(stage: Stage, cluster: LocalCluster) -> None:
    await secret(stage, "adapters", ".dockerconfigjson", "{}")
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    head = {"namespace": "default", "name": "domain-adapter"}
    await stage.client.create(CLAIMS, {"metadata": head, "spec": spec})
    await serves(stage, await apply(stage, EXAMPLES / "adapters-with-strength.yaml"))


async def several_nodes(stage: Stage, cluster: LocalCluster) -> None:
    await secret(stage, "hugging-face", "HF_TOKEN", "t")
    key = await apply(stage, EXAMPLES / "several-nodes.yaml")
    await serves(stage, key)
    await edit(stage, key, await configure(stage, "settings"))


async def own_nodes(stage: Stage, cluster: LocalCluster) -> None:
    labels = {
        "apps": "mine",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.memory": "81920",
    }
    machine = Machine(
        name="mine", cores=24, memory=220, gpus=1, gpu_resource="nvidia.com/gpu", labels=labels
    )
    await stage.client.create(NODES, new_node(machine, 0.0))
    await serves(stage, await apply(stage, EXAMPLES / "own-nodes.yaml"))


async def node_claim(stage: Stage, cluster: LocalCluster) -> None:
    await serves(stage, await apply(stage, QUICK_START))


async def second_size(stage: Stage, cluster: LocalCluster) -> None:
    cluster.azure.faults.add(PoolFault(kind=FaultKind.QUOTA, vm_size=FIRST))
    sizes = {"kaito.sh/instance-types": f"{FIRST}, {SECOND}"}
    await serves(stage, await apply(stage, QUICK_START, **sizes))


async def tuning(stage: Stage, cluster: LocalCluster) -> None:
    """Its nodes have gone when it has ended; the Workspace and its Job remember."""
    await secret(stage, tunings.ACCOUNT, ".dockerconfigjson", "{}")
    await tunings.give(stage, "data", train__jsonl='{"prompt": "a", "completion": "b"}')
    image = "registry.example.com/adapters/tuned:1"
    key = await tunings.create(stage, tunings.tuning("tuned", image))
    await stage.until(lambda: stage.is_true("WorkspaceSucceeded", key), "its end")
    await stage.until(lambda: not (stage.all(MACHINES) or stage.all(PODS)), "its nodes gone")

    def told() -> bool:
        return not stage.condition("ResourceReady", key)["message"].endswith("being deleted.")

    await stage.until(told, "that they have gone")


SCENARIOS = (
    Scenario(name="preset", rise=preset, expected=Expected(machines=1, sizes=(FIRST,))),
    Scenario(name="template", rise=template, expected=Expected(machines=1, sizes=(SECOND,))),
    Scenario(name="adapters", rise=adapters, expected=Expected(machines=1, sizes=(SECOND,))),
    Scenario(
        name="several nodes",
        rise=several_nodes,
        expected=Expected(pods=3, machines=3, sizes=(SECOND,) * 3),
    ),
    Scenario(name="own nodes", rise=own_nodes, expected=Expected()),
    Scenario(
        name="NodeClaim",
        rise=node_claim,
        expected=Expected(nodeclaims=1, sizes=(FIRST,)),
        flags=("--node-request", "nodeclaim"),
        grants=("node-requests",),
    ),
    Scenario(
        name="Machine of another size",
        rise=second_size,
        expected=Expected(machines=1, sizes=(SECOND,)),
    ),
    Scenario(
        name="tuning",
        rise=tuning,
        expected=Expected(pods=0),
        flags=("--checkpoint-class", CLASS_NAME),
    ),
)
