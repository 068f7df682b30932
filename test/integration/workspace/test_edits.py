"""Edits on a whole local cluster, over HTTP: rolled out, undone, taken back, and shared fields."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from kaito.api import crds
from kaito.cli import main
from kaito.controllers.workspace.controller import build
from kaito.controllers.workspace.kinds import DEPLOYMENTS, PODS, REVISIONS, WORKSPACES
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import (
    Call,
    Client,
    HttpTransport,
    Key,
    Manager,
    Object,
    Reply,
    Resource,
    find_condition,
    from_kubeconfig,
)
from kaito.testing import Cluster, eventually
from test.integration.workspace.stage import EVENTS, NODES

pytestmark = pytest.mark.kube(nodes=1)

W = Key("default", "w")
PATIENCE = 30.0  # seconds; reached only when something is broken
FAULT = "local.kaito.sh/fault"


class Counting:
    """A transport that remembers what is written through it."""

    def __init__(self, inner: HttpTransport) -> None:
        self._inner = inner
        self.writes: list[str] = []

    @property
    def host(self) -> str:
        return self._inner.host

    async def send(self, call: Call) -> Reply:
        if call.method != "GET" and "/events" not in call.path:
            self.writes.append(str(call))
        return await self._inner.send(call)

    async def aclose(self) -> None:
        await self._inner.aclose()


class World:
    """A cluster with one node, the manager, and somebody who edits."""

    def __init__(self, kube: Cluster, config: Path) -> None:
        self.kube = kube
        self.config = config
        self.client = kube.client()
        self.counted: Counting | None = None
        self._running: asyncio.Task[None] | None = None
        self._manager: Manager | None = None

    async def start(self) -> None:
        """The manager, as a process would run it."""
        found = await from_kubeconfig(str(self.config))
        self.counted = Counting(found.transport("kaito-manager"))
        client = Client(self.counted, field_manager="kaito-workspace")
        self._manager = Manager(client, name="kaito-workspace")
        build(self._manager, Settings())
        self._running = asyncio.create_task(self._manager.run(), name="manager")

    async def stop(self) -> None:
        if self._manager is not None and self._running is not None:
            self._manager.stop()
            await self._running
            await self._manager.client.aclose()
            self._manager = None

    async def create(
        self, template: Object, name: str = "w", preset: str = "", *, seconds: int = 3
    ) -> None:
        """A Workspace whose edits have so many seconds to answer."""
        await self.client.create(
            WORKSPACES,
            {
                "apiVersion": "kaito.sh/v1beta1",
                "kind": "Workspace",
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "annotations": {"kaito.sh/progress-deadline-seconds": str(seconds)},
                },
                "resource": {"labelSelector": {"matchLabels": {"apps": name}}},
                "inference": {"preset": {"name": preset}} if preset else {"template": template},
            },
        )

    async def take_time(self) -> None:
        """Give edits the time that they need, however slow the machine is."""
        long = {"kaito.sh/progress-deadline-seconds": "3600"}
        await self.client.patch(WORKSPACES, W, {"metadata": {"annotations": long}})

    async def edit(self, template: Object) -> None:
        found = await self.client.get(WORKSPACES, W)
        await self.client.update(WORKSPACES, {**found, "inference": {"template": template}})

    async def see(self, what: Callable[[Object], object]) -> Object:
        """The Workspace, as soon as this holds of it."""
        return await self._see(WORKSPACES, what)

    async def see_deployment(self, what: Callable[[Object], object]) -> Object:
        """Its Deployment, as soon as this holds of it."""
        return await self._see(DEPLOYMENTS, what)

    async def _see(self, resource: Resource[Object], what: Callable[[Object], object]) -> Object:
        async def seen() -> Object:
            found = await self.client.get(resource, W)
            assert what(found), found.get("status")
            return found

        return await eventually(seen, self.kube, within=PATIENCE)

    async def ready(self, generation: int) -> Object:
        return await self.see(
            lambda each: says(each, "WorkspaceReady") == ("True", "workspaceReady", generation)
        )

    async def later_told(self) -> bool:
        """Whether the manager has been at the Workspace v."""
        return "status" in await self.client.get(WORKSPACES, Key("default", "v"))

    async def revisions(self) -> list[Object]:
        found = await self.client.list(
            REVISIONS, namespace="default", labels="kaito.sh/workspace=w"
        )
        return sorted(found.items, key=lambda each: int(each["revision"]))

    async def kaito(self, *arguments: str) -> int:
        return await asyncio.to_thread(main, [*arguments, "--kubeconfig", str(self.config)])


def says(workspace: Object, type_: str) -> tuple[str, str, int]:
    found = find_condition((workspace.get("status") or {}).get("conditions") or [], type_) or {}
    return found.get("status", ""), found.get("reason", ""), found.get("observedGeneration", 0)


def reason(workspace: Object) -> str:
    return says(workspace, "InferenceReady")[1]


def told(workspace: Object) -> str:
    """What InferenceReady says."""
    found = find_condition(workspace["status"]["conditions"], "InferenceReady") or {}
    message: str = found.get("message", "")
    return message


def template(image: str, **annotations: str) -> Object:
    return {
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def image_of(deployment: Object) -> str:
    found: str = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
    return found


@pytest.fixture
async def world(kube: Cluster, kube_config: Path) -> AsyncIterator[World]:
    """A Workspace that answers, on a node that its user brings."""
    await kube.install(*crds())
    made = World(kube, kube_config)
    (node,) = (await made.client.list(NODES)).items
    await made.client.patch(
        NODES, Key("", node["metadata"]["name"]), {"metadata": {"labels": {"apps": "w"}}}
    )
    await made.start()
    try:
        await made.create(template("one"))
        await made.ready(1)
        yield made
    finally:
        await made.stop()
        await made.client.aclose()


async def test_an_edit_is_rolled_out_announced_and_becomes_ready(world: World) -> None:
    await world.edit(template("two", team="blue"))
    await world.ready(2)
    deployment = await world.client.get(DEPLOYMENTS, W)
    assert image_of(deployment) == "two"
    assert [each["revision"] for each in await world.revisions()] == [1, 2]

    async def announced() -> bool:
        found = (await world.client.list(EVENTS)).items
        return any("does not answer meanwhile" in each.get("message", "") for each in found)

    await eventually(announced, world.kube)
    # What is no longer in the template disappears from the Pods.
    await world.edit({"spec": {"containers": [{"name": "c", "image": "two"}]}})
    await world.see_deployment(
        lambda each: "annotations" not in each["spec"]["template"]["metadata"]
    )


async def test_an_edit_that_does_not_answer_is_undone_and_outlives_a_restart(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.edit(template("bad", **{FAULT: "image-pull"}))
    await world.see(lambda each: reason(each) == "RevisionUndone")
    deployment = await world.see_deployment(lambda each: image_of(each) == "one")
    found = await world.see(
        lambda each: "Revision 1 serves instead" in str(each["status"]["conditions"])
    )
    assert found["status"]["state"] == "Failed"
    assert "waits: " in told(found)

    await world.stop()
    await world.start()
    # A manager that knows nothing but what is written down has been at both when it tells of one
    # that comes later.
    await world.create(template("one"), "v")
    await eventually(world.later_told, world.kube, within=PATIENCE)
    seen = await world.client.get(DEPLOYMENTS, W)
    assert seen["metadata"]["generation"] == deployment["metadata"]["generation"]
    assert image_of(seen) == "one"

    assert await world.kaito("history", "w", "-o", "json") == 0
    printed = capsys.readouterr().out
    (good, bad), _ = json.JSONDecoder().raw_decode(printed, printed.index("[\n"))
    assert (good["revision"], good["state"]) == (1, "serves")
    assert (bad["revision"], bad["state"]) == (2, "undone")
    assert any("image" in each for each in bad["changed"])

    assert await world.kaito("rollback", "w") == 0
    await world.see(lambda each: each["inference"]["template"] == template("one"))
    await world.see(lambda each: says(each, "WorkspaceReady")[:2] == ("True", "workspaceReady"))
    assert image_of(await world.client.get(DEPLOYMENTS, W)) == "one"


async def test_a_rollback_makes_the_workspace_what_it_was(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    await world.edit(template("two"))
    await world.ready(2)
    await world.edit(template("three"))
    await world.ready(3)
    assert await world.kaito("rollback", "w", "--to-revision", "1") == 0
    assert "again what revision 1 held" in capsys.readouterr().out
    found = await world.ready(4)
    assert found["inference"]["template"] == template("one")
    assert image_of(await world.client.get(DEPLOYMENTS, W)) == "one"
    assert [each["revision"] for each in await world.revisions()] == [2, 3, 4]

    assert await world.kaito("rollback", "w", "--to-revision", "1") == 1
    assert "has no revision 1; it has 2, 3, 4." in capsys.readouterr().err
    assert await world.kaito("rollback", "w", "--to-revision", "4") == 1
    assert "is what revision 4 held already" in capsys.readouterr().err
    assert await world.kaito("rollback", "nothing") == 1
    assert "There is no Workspace nothing" in capsys.readouterr().err

    (*_, last) = await world.revisions()
    fixed = {**last["data"], "resource": {"labelSelector": {"matchLabels": {"apps": "other"}}}}
    kept = ("namespace", "labels", "ownerReferences")
    metadata = {"name": "w-forged", **{name: last["metadata"][name] for name in kept}}
    other = {**last, "metadata": metadata, "data": fixed, "revision": 90}
    await world.client.create(REVISIONS, other)
    assert await world.kaito("rollback", "w", "--to-revision", "90") == 1
    assert "resource.labelSelector cannot be changed" in capsys.readouterr().err


async def test_replicas_belong_to_whoever_scales_and_annotations_to_who_restarts(
    world: World,
) -> None:
    await world.take_time()
    await world.client.patch(DEPLOYMENTS, W, {"spec": {"replicas": 2}}, subresource="scale")
    restarted = {"kubectl.kubernetes.io/restartedAt": "2026-11-21T10:00:00Z"}
    await world.client.patch(
        DEPLOYMENTS, W, {"spec": {"template": {"metadata": {"annotations": restarted}}}}
    )
    await world.see(lambda each: "2 of 2 replicas" in str(each["status"]["conditions"]))
    # An edit leaves both as they are.
    await world.edit(template("two"))
    deployment = await world.see_deployment(lambda each: image_of(each) == "two")
    assert deployment["spec"]["replicas"] == 2
    noted = deployment["spec"]["template"]["metadata"]["annotations"]
    assert restarted.items() <= noted.items()
    await world.ready(2)
    assert (await world.client.get(DEPLOYMENTS, W))["spec"]["replicas"] == 2


async def test_who_changes_back_what_is_written_is_named_and_not_fought(world: World) -> None:
    theirs = {"containers": [{"name": "c", "image": "theirs"}]}

    async def change_back() -> None:
        while True:
            await world.see_deployment(lambda each: image_of(each) != "theirs")
            await world.client.patch(DEPLOYMENTS, W, {"spec": {"template": {"spec": theirs}}})

    assert world.counted is not None
    before = len(world.counted.writes)
    async with asyncio.TaskGroup() as group:
        rival = group.create_task(change_back())
        found = await world.see(
            lambda each: says(each, "InferenceReady")[1] == "ChangedBackByOthers"
        )
        rival.cancel()
    message = told(found)
    assert "spec.template.spec.containers" in message
    written = [each for each in world.counted.writes[before:] if "/deployments/" in each]
    assert len(written) == 1


# Several nodes


@pytest.fixture
async def group(kube: Cluster, kube_config: Path) -> AsyncIterator[World]:
    """A model that two nodes serve together, with GPUs as a device plugin would report them."""
    await kube.install(*crds())
    made = World(kube, kube_config)
    gpus = {"nvidia.com/gpu": "1"}
    for node in (await made.client.list(NODES)).items:
        key = Key("", node["metadata"]["name"])
        labels = {"apps": "w", "nvidia.com/gpu.product": "NVIDIA-A100", "nvidia.com/gpu.count": "1"}
        labels["nvidia.com/gpu.memory"] = "81920"
        await made.client.patch(NODES, key, {"metadata": {"labels": labels}})
        status = {"status": {"capacity": gpus, "allocatable": gpus}}
        await made.client.patch(NODES, key, status, subresource="status")
    await made.start()
    try:
        await made.create({}, preset="qwen2.5-coder-32b-instruct", seconds=3600)
        await made.ready(1)
        yield made
    finally:
        await made.stop()
        await made.client.aclose()


@pytest.mark.kube(nodes=2)
async def test_the_pods_of_several_nodes_restart_together(group: World) -> None:
    mine = "kaito.sh/workspace=w"

    async def hashes() -> list[str]:
        found = (await group.client.list(PODS, namespace="default", labels=mine)).items
        return [each["metadata"]["labels"]["controller-revision-hash"] for each in found]

    (old,) = set(await hashes())
    secret = {"preset": {"presetOptions": {"modelAccessSecret": "token"}}}
    await group.client.patch(WORKSPACES, W, {"inference": secret})
    await group.ready(2)
    new = await hashes()
    assert len(new) == 2
    assert len(set(new)) == 1
    assert old not in new


@pytest.mark.kube(nodes=1, images=[f"python:*={sys.executable}"])
async def test_a_secret_that_disappears_is_told_by_the_pod_and_mended_when_it_is_back(
    world: World,
) -> None:
    secrets: Resource[Object] = Resource("", "v1", "secrets", "Secret")
    secret: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "token", "namespace": "default"},
        "stringData": {"key": "value"},
    }
    await world.client.create(secrets, secret)
    taken = {"valueFrom": {"secretKeyRef": {"name": "token", "key": "key"}}}
    container = {
        "name": "c",
        "image": "python:3",
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "env": [{"name": "TOKEN", **taken}],
    }
    await world.take_time()
    await world.edit({"spec": {"containers": [container]}})
    await world.see(lambda each: says(each, "WorkspaceReady")[:2] == ("True", "workspaceReady"))
    await world.see_deployment(lambda each: each["status"].get("updatedReplicas") == 1)

    await world.client.delete(secrets, Key("default", "token"))
    mine = "kaito.sh/workspace=w"
    for pod in (await world.client.list(PODS, namespace="default", labels=mine)).items:
        await world.client.delete(PODS, Key.of(pod), grace_seconds=0)
    found = await world.see(lambda each: reason(each) == "ContainerStartError")
    assert "token" in told(found)
    await world.client.create(secrets, secret)
    await world.see(lambda each: says(each, "WorkspaceReady")[:2] == ("True", "workspaceReady"))
