"""What users of KAITO do, with both daemons and everything around them in one process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import yaml

from kaito.api import crds
from kaito.controllers.machine import build as build_machine
from kaito.controllers.machine import served_kinds
from kaito.controllers.workspace.controller import build as build_workspace
from kaito.controllers.workspace.discovery import readable_kinds
from kaito.controllers.workspace.settings import Settings
from kaito.local.azure.faults import FaultKind, PoolFault
from kaito.local.nodes.shape import Machine, new_node
from kaito.runtime import Key, Manager, Object, Resource, find_condition, is_true
from kaito.testing import Scenario, Seat, World
from test.integration.perturbed.cloud import POLL, Cloud, azure, source
from test.unit.provisioner.machines import machine_object

ROOT = Path(__file__).parents[3]
WORKSPACES: Resource[Object] = Resource("kaito.sh", "v1beta1", "workspaces", "Workspace")
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
KINDS = {"Workspace", "Machine"}
M = Key("", "ws123456789")


SAME = (
    (r"\bws[0-9a-f]{9}", "WS"),
    (r"-[0-9a-f]{8,10}\b", "-HASH"),
    (r"econds: \d+", "econds: N"),  # how long something took
)
FIRST, SECOND = "Standard_NC6s_v3", "Standard_NC24ads_A100_v4"
Step: TypeAlias = Callable[[World], Awaitable[None]]


async def workspaces(seat: Seat) -> None:
    """`kaito manager`."""
    client = seat.client(field_manager="kaito-workspace")
    manager = Manager(client, name="kaito-workspace", clock=seat.clock, freeze_heap=False)
    build_workspace(manager, Settings(), kinds=await readable_kinds(client))
    await manager.run()


async def machines(seat: Seat) -> None:
    """`kaito provisioner`."""
    client = seat.client(field_manager="kaito-provisioner")
    manager = Manager(client, name="kaito-provisioner", clock=seat.clock, freeze_heap=False)
    async with source(seat, manager.metrics.registry) as cloud:
        system = await client.get(NAMESPACES, Key("", "kube-system"))
        build_machine(
            manager,
            cloud,
            poll_seconds=POLL,
            cluster=system["metadata"]["uid"],
            kinds=await served_kinds(client),
        )
        await manager.run()


DAEMONS = {"manager": workspaces, "provisioner": machines}


def manifest(name: str, **annotations: str) -> Object:
    """An example's Workspace."""
    found: Object = yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text())
    found["apiVersion"] = WORKSPACES.api_version
    found["metadata"] |= {"namespace": "default", "annotations": annotations}
    return found


async def serve(world: World, wanted: Object) -> None:
    """Create a Workspace, and return when it serves."""
    await world.client.create(WORKSPACES, wanted)
    await world.until(lambda: serves(world))


async def serves(world: World, generation: int = 1) -> bool:
    found = await the_workspace(world)
    said = find_condition(found.get("status", {}).get("conditions", ()), "WorkspaceReady") or {}
    return said.get("status") == "True" and said["observedGeneration"] == generation


async def the_workspace(world: World) -> Object:
    (found,) = (await world.client.list(WORKSPACES)).items
    return found


async def quick_start(world: World) -> None:
    await serve(world, manifest("phi-3-mini"))


async def remove(world: World) -> None:
    await world.client.delete(WORKSPACES, Key.of(await the_workspace(world)))


async def edit(world: World) -> None:
    head = {"namespace": "default", "name": "settings"}
    data = {"inference_config.yaml": "vllm: {max-num-seqs: 8}"}
    await world.client.create(CONFIG_MAPS, {"metadata": head, "data": data})
    key = Key.of(await the_workspace(world))
    await world.client.patch(WORKSPACES, key, {"inference": {"config": "settings"}})
    await world.until(lambda: serves(world, generation=2))


async def second_size(world: World) -> None:
    cloud: Cloud = world.around
    cloud.endpoint.faults.add(PoolFault(kind=FaultKind.QUOTA, vm_size=FIRST))
    sizes = {"kaito.sh/instance-types": f"{FIRST}, {SECOND}"}
    await serve(world, manifest("phi-3-mini", **sizes))


async def several_nodes(world: World) -> None:
    head = {"namespace": "default", "name": "hugging-face"}
    await world.client.create(SECRETS, {"metadata": head, "stringData": {"HF_TOKEN": "t"}})
    await serve(world, manifest("workspaces/several-nodes"))


async def own_nodes(world: World) -> None:
    labels = {
        "apps": "mine",
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
        "nvidia.com/gpu.count": "1",
        "nvidia.com/gpu.memory": "81920",
    }
    machine = Machine(
        name="mine", cores=24, memory=220, gpus=1, gpu_resource="nvidia.com/gpu", labels=labels
    )
    await world.client.create(NODES, new_node(machine, world.clock.now()))
    await serve(world, manifest("workspaces/own-nodes"))


async def haste(world: World) -> None:
    """Somebody changes their mind while the node is being made."""

    async def asked_for() -> bool:
        return bool((await world.client.list(MACHINES)).items)

    await world.client.create(WORKSPACES, manifest("phi-3-mini"))
    await world.until(asked_for)
    await world.sleep(3.0)
    await remove(world)


async def a_machine(world: World) -> None:
    async def ready() -> bool:
        found = await world.client.get(MACHINES, M)
        return is_true(found.get("status", {}).get("conditions", ()), "Ready")

    asked = machine_object(M.name)
    meta = {"name": M.name, "labels": asked["metadata"]["labels"]}
    await world.client.create(MACHINES, {**asked, "metadata": meta})
    await world.until(ready)


async def no_machine(world: World) -> None:
    await world.client.delete(MACHINES, M)


def scenario(name: str, *steps: Step, daemons: Sequence[str] = tuple(DAEMONS)) -> Scenario:
    return Scenario(
        name=name,
        steps=steps,
        daemons={each: DAEMONS[each] for each in daemons},
        install=[each for each in crds() if each["spec"]["names"]["kind"] in KINDS],
        nodes=0,
        around=azure,
        ignore=[CONFIG_MAPS],  # the ledger is for people
        same=SAME,
    )


WHOLE = (
    scenario("a machine, up and down", a_machine, no_machine, daemons=["provisioner"]),
    scenario("own nodes, up and down", own_nodes, remove, daemons=["manager"]),
    scenario("deleted while the node is made", haste),
)
"""Small enough to be disturbed at each point in every run of the tests."""
SECOND_SIZE = scenario("another size after a quota", second_size, remove)
OTHERS = (
    SECOND_SIZE,
    scenario("the quick start, up and down", quick_start, remove),
    scenario("an edit", quick_start, edit, remove),
    scenario("several nodes", several_nodes, remove),
)
