"""A model on several nodes, with the manager on a server: made, mended, at rest, and gone."""

from __future__ import annotations

import pytest

from kaito.controllers.workspace.kinds import (
    CHILDREN,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    SERVICES,
    STATEFUL_SETS,
    WORKSPACES,
)
from kaito.runtime import Key, Object, Resource
from test.integration.workspace.stage import Stage, W

# Of which three nodes of this size are taken; the engine runs on it.
LARGE = {"preset": {"name": "phi-4"}}
SIZE = {
    "instanceType": "Standard_NC4as_T4_v3",
    "labelSelector": {"matchLabels": {"apps": "phi"}},
}
HEADLESS = Key("default", "w-headless")


async def whole(scene: Stage) -> None:
    """A model on three nodes that answers."""
    await scene.create(resource=SIZE, inference=LARGE)
    await nodes(scene, 3)
    await scene.until(lambda: scene.find(STATEFUL_SETS), "the StatefulSet")
    await ready(scene)


async def nodes(scene: Stage, count: int) -> None:
    await scene.until(lambda: len(scene.machines_of()) == count, "Machines")
    for machine in scene.machines_of():
        if not machine["metadata"].get("finalizers"):
            await scene.launch(machine)


async def ready(scene: Stage) -> None:
    await scene.roll_out()
    await scene.until(lambda: scene.says("WorkspaceReady", "workspaceReady"), "readiness")


def children(scene: Stage) -> list[tuple[str, str]]:
    return sorted(
        (resource.kind, each["metadata"]["name"])
        for resource in CHILDREN.values()
        for each in scene.all(resource)
        if "kaito.sh/workspace" in each["metadata"].get("labels", {})
    )


async def test_a_restart_of_the_manager_writes_nothing(scene: Stage) -> None:
    first = scene.start()
    await whole(scene)
    await first.stop()
    scene.daemons.remove(first)
    second = scene.start()
    # A second Workspace is reconciled after the first one, which the new daemon lists first.
    await scene.create("later")
    await scene.until(lambda: scene.machines_of("later"), "the second Workspace's Machine")
    ours = [write for write in second.transport.writes if "/w-headless" in write or "/w?" in write]
    assert ours + [write for write in second.transport.writes if write.endswith("/w")] == []


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        (SERVICES, W),
        (SERVICES, HEADLESS),
        (DISRUPTION_BUDGETS, W),
        (NETWORK_POLICIES, W),
        (STATEFUL_SETS, W),
    ],
    ids=lambda each: getattr(each, "kind", getattr(each, "name", "")),
)
async def test_what_somebody_deletes_comes_back(
    scene: Stage, resource: Resource[Object], key: Key
) -> None:
    scene.start()
    await whole(scene)
    uid = scene.find(resource, key)["metadata"]["uid"]
    await scene.client.delete(resource, key, propagation="Background")
    await scene.until(
        lambda: scene.find(resource, key).get("metadata", {}).get("uid", uid) != uid, "another one"
    )


async def test_a_deletion_leaves_nothing(scene: Stage) -> None:
    scene.start()
    await whole(scene)
    await scene.client.delete(WORKSPACES, W)
    await scene.until(
        lambda: all("deletionTimestamp" in m["metadata"] for m in scene.machines_of()), "deletions"
    )
    for machine in scene.machines_of():
        await scene.let_go(machine)
    await scene.until(lambda: not scene.find(WORKSPACES), "the end")
    await scene.until(lambda: children(scene) == [], "the end of its children")


async def test_a_longer_context_takes_more_nodes_and_the_model_serves_until_they_are_there(
    scene: Stage,
) -> None:
    scene.start()
    await scene.configure("c", "vllm: {max-model-len: 2048}")
    inference = {"preset": {"name": "phi-3-mini-128k-instruct"}, "config": "c"}
    await scene.create(resource=SIZE, inference=inference)
    await nodes(scene, 1)
    await scene.until(lambda: scene.find(DEPLOYMENTS), "the Deployment")
    await ready(scene)

    await scene.configure("c", "vllm: {max-model-len: 20000}")
    await scene.until(lambda: len(scene.machines_of()) > 1, "more Machines")
    assert scene.find(DEPLOYMENTS)
    await nodes(scene, len(scene.machines_of()))
    await scene.until(lambda: scene.find(STATEFUL_SETS), "the StatefulSet")
    await scene.until(lambda: not scene.find(DEPLOYMENTS), "the Deployment gone")
    await ready(scene)
    assert ("Service", "w-headless") in children(scene)
