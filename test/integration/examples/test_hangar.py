"""The adapter of docs/adapter.md brings Machines up on a cloud that nobody here has heard of."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kaito.api import crds
from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.machine import build
from kaito.controllers.machine.archive import LEDGER
from kaito.provisioner.claim import MACHINE
from kaito.runtime import Client, Key, Manager, NotFound, Object, Resource, is_true
from kaito.testing import Cluster, eventually, running
from test.unit.provisioner.machines import A100, NAME, machine_object

FILE = Path(__file__).parents[3] / "examples" / "provisioner" / "hangar.py"
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
POLL = 0.05


def adapter() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hangar", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


HANGAR = adapter()


@dataclass
class Hangar:
    """The pretend cloud. What it rents out joins the cluster of `client` at once."""

    client: Client
    machines: dict[str, Any] = field(default_factory=dict)
    full: bool = False
    server: TestServer | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/machines", self.make)
        app.router.add_get("/machines", self.list)
        app.router.add_get("/machines/{name}", self.get)
        app.router.add_delete("/machines/{name}", self.delete)
        return app

    async def make(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if wanted["name"] in self.machines:
            return web.Response(status=409)
        if self.full:
            return web.Response(status=507, text=f"no {wanted['size']} is free")
        self.machines[wanted["name"]] = {**wanted, "state": "running"}
        node = node_of(wanted)
        await self.client.create(NODES, node)
        key = Key("", node["metadata"]["name"])
        await self.client.patch(NODES, key, {"status": node["status"]}, subresource="status")
        # Nobody else here takes off the taint with which every Node begins.
        await self.client.patch(NODES, key, {"spec": node["spec"]})
        return web.json_response({**wanted, "state": "booting"}, status=201)

    async def list(self, _: web.Request) -> web.Response:
        return web.json_response([*self.machines.values()])

    async def get(self, request: web.Request) -> web.Response:
        found = self.machines.get(request.match_info["name"])
        return web.Response(status=404) if found is None else web.json_response(found)

    async def delete(self, request: web.Request) -> web.Response:
        gone = self.machines.pop(request.match_info["name"], None)
        if gone is None:
            return web.Response(status=404)
        return web.json_response({**gone, "state": "leaving"}, status=202)


def node_of(wanted: dict[str, Any]) -> Object:
    """As its kubelet would write it."""
    labels = {
        **wanted["labels"],
        "hangar.example/machine": wanted["name"],
        "node.kubernetes.io/instance-type": wanted["size"],
    }
    taints = [
        {"key": key, "value": value, "effect": effect}
        for key, _, rest in (each.partition("=") for each in wanted["taints"])
        for value, _, effect in (rest.partition(":"),)
    ]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": f"hangar-{wanted['name']}", "labels": labels},
        "spec": {"providerID": f"hangar://{wanted['name']}", "taints": taints},
        "status": {
            "allocatable": {"cpu": "8", "nvidia.com/gpu": "1"},
            "capacity": {"cpu": "8", "nvidia.com/gpu": "1"},
            "conditions": [ready],
        },
    }


@pytest.fixture
async def hangar(kube: Cluster, kube_client: Client) -> AsyncIterator[Hangar]:
    """A cloud, and the daemon of the example over it."""
    await kube.install(*(each for each in crds() if each["spec"]["group"] == "karpenter.sh"))
    for name in ("kube-system", "kaito-system"):
        try:
            await kube_client.get(NAMESPACES, Key("", name))
        except NotFound:
            await kube_client.create(NAMESPACES, {"metadata": {"name": name}})
    cloud = Hangar(kube_client)
    system = await kube_client.get(NAMESPACES, Key("", "kube-system"))
    async with (
        TestServer(cloud.app()) as server,
        aiohttp.ClientSession(server.make_url("/")) as session,
        kube.client(field_manager="kaito-hangar") as client,
    ):
        cloud.server = server
        manager = Manager(client, name="kaito-hangar")
        build(
            manager,
            HANGAR.HangarSource(session),
            poll_seconds=POLL,
            cluster=system["metadata"]["uid"],
            kinds=[MACHINE],
        )
        async with running(manager):
            yield cloud


def wanted_machine() -> Object:
    asked = machine_object(NAME)
    return {**asked, "metadata": {"name": NAME, "labels": asked["metadata"]["labels"]}}


async def machine_of(client: Client) -> Object | None:
    try:
        return await client.get(MACHINES, Key("", NAME))
    except NotFound:
        return None


async def condition(client: Client, type_: str) -> Object:
    conditions = ((await machine_of(client)) or {}).get("status", {}).get("conditions", [])
    found: Object = next((each for each in conditions if each["type"] == type_), {})
    return found


async def test_a_machine_becomes_ready_and_goes_without_a_trace(
    hangar: Hangar, kube: Cluster, kube_client: Client
) -> None:
    async def ready() -> bool:
        found = await machine_of(kube_client) or {}
        return is_true(found.get("status", {}).get("conditions", []), "Ready")

    async def gone() -> bool:
        nodes = (await kube_client.list(NODES)).items
        return not (hangar.machines or nodes or await machine_of(kube_client))

    await kube_client.create(MACHINES, wanted_machine())
    await eventually(ready, kube)
    assert hangar.machines[NAME]["size"] == A100
    await kube_client.delete(MACHINES, Key("", NAME))
    await eventually(gone, kube)


async def test_a_cloud_without_a_free_machine_is_told_in_its_own_words(
    hangar: Hangar, kube: Cluster, kube_client: Client
) -> None:
    async def refused() -> bool:
        return (await condition(kube_client, "MachineLaunched")).get("status") == "False"

    hangar.full = True
    await kube_client.create(MACHINES, wanted_machine())
    await eventually(refused, kube)
    said = (await condition(kube_client, "MachineLaunched"))["message"]
    assert f"no {A100} is free (507). Allow other sizes in the claim" in said


async def test_a_machine_of_somebody_else_is_left_alone(
    hangar: Hangar, kube: Cluster, kube_client: Client
) -> None:
    async def refused() -> bool:
        return "left alone" in (await condition(kube_client, "MachineLaunched")).get("message", "")

    async def gone() -> bool:
        return await machine_of(kube_client) is None

    theirs = {"name": NAME, "size": A100, "labels": {}, "taints": [], "state": "running"}
    hangar.machines[NAME] = theirs
    await kube_client.create(MACHINES, wanted_machine())
    await eventually(refused, kube)
    await kube_client.delete(MACHINES, Key("", NAME))
    await eventually(gone, kube)
    assert hangar.machines == {NAME: theirs}


async def test_the_sweep_and_the_ledger_know_its_machines_too(
    hangar: Hangar, kube: Cluster, kube_client: Client
) -> None:
    async def told() -> bool:
        try:
            found = await kube_client.get(CONFIG_MAPS, LEDGER)
        except NotFound:
            return False
        return '"outcome":"swept"' in found["data"]["entries"]

    async def launched() -> bool:
        return (await condition(kube_client, "Ready")).get("status") == "True"

    await kube_client.create(MACHINES, wanted_machine())
    await eventually(launched, kube)
    await kube_client.patch(MACHINES, Key("", NAME), {"metadata": {"finalizers": None}})
    await kube_client.delete(MACHINES, Key("", NAME))
    # The controller may have taken it on once more in between.
    await eventually(lambda: not hangar.machines, kube, within=20.0)
    await eventually(told, kube, within=20.0)
