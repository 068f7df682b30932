"""What a rehearsal foretells is what the manager does: every example, on the local server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kaito.api import labels
from kaito.catalog.catalog import load
from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.workspace.documents import Documents
from kaito.controllers.workspace.kinds import CHILDREN, JOBS, WORKSPACES
from kaito.controllers.workspace.rehearsal import Rehearsal, rehearse
from kaito.controllers.workspace.settings import Settings
from kaito.runtime import Key, Object, Resource, find_condition, would_change
from test.integration.workspace.stage import MACHINES, NODES, Stage
from test.integration.workspace.test_examples import FILES

MANAGER = "kaito-workspace"
RESOURCES: dict[str, Resource[Object]] = {
    each.kind: each for each in (MACHINES, *CHILDREN.values())
}
OWN_NODE: Object = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "mine",
        "labels": {
            "apps": "phi-3",
            "nvidia.com/gpu.product": "NVIDIA-A100",
            "nvidia.com/gpu.count": "1",
            "nvidia.com/gpu.memory": "81920",
        },
    },
    "status": {
        "allocatable": {"nvidia.com/gpu": "1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_the_manager_applies_what_was_foretold(scene: Stage, file: Path) -> None:
    documents = Documents()
    for document in [OWN_NODE, *yaml.safe_load_all(file.read_text())]:
        made = await create(scene, document)
        if made["kind"] in ("Workspace", "ConfigMap", "Node"):
            assert documents.add(made)
    (key,) = documents.stores.workspaces.keys()
    foretold = rehearse(documents.observation(key, now=0.0), load(), Settings())
    scene.start()
    await play(scene, key, foretold)
    assert {(o["kind"], Key.of(o)) for o in applied(scene)} == {
        (o["kind"], Key.of(o)) for o in foretold.objects
    }
    for desired in foretold.objects:
        live = await scene.client.get(RESOURCES[desired["kind"]], Key.of(desired))
        assert not would_change(live, desired, manager=MANAGER)
    assert foretold.last.status is not None
    assert scene.find(WORKSPACES, key)["status"]["state"] == foretold.last.status["state"]


async def create(scene: Stage, document: Object) -> Object:
    """A document of the example on the server, in the namespace default."""
    if document["kind"] == "Node":
        made = await scene.client.create(NODES, document)
        status = {"status": document["status"]}
        return await scene.client.patch(NODES, Key.of(made), status, subresource="status")
    group, _, version = document["apiVersion"].rpartition("/")
    plural = WORKSPACES.plural if document["kind"] == "Workspace" else CONFIG_MAPS.plural
    resource: Resource[Object] = Resource(group, version, plural, document["kind"])
    named = {**document, "metadata": {**document["metadata"], "namespace": "default"}}
    return await scene.client.create(resource, named)


async def play(scene: Stage, key: Key, foretold: Rehearsal) -> None:
    """Everybody else's part, until the manager says what it was foretold to say."""
    kinds = [o["kind"] for o in foretold.objects]
    for _ in range(kinds.count("Machine")):
        await scene.until(lambda: scene.machines_of(key.name), "a Machine")
    for machine in scene.machines_of(key.name):
        await scene.launch(machine)
    for kind in {"Deployment", "StatefulSet"} & set(kinds):
        resource = RESOURCES[kind]
        await scene.until(lambda resource=resource: scene.find(resource, key), kind)
        await scene.roll_out(key)
    if JOBS.kind in kinds:
        await scene.until(lambda: scene.find(JOBS, key), JOBS.kind)
        await scene.finish(key)
    assert foretold.last.status is not None
    ready = find_condition(foretold.last.status["conditions"], "WorkspaceReady") or {}
    await scene.until(lambda: scene.says("WorkspaceReady", ready["reason"], key), ready["message"])


def applied(scene: Stage) -> list[Object]:
    return [
        obj
        for resource in RESOURCES.values()
        for obj in scene.all(resource)
        if labels.WORKSPACE in obj["metadata"].get("labels", {})
    ]
