"""How a Workspace goes: what it waits for, what it names, and what it leaves to others."""

from __future__ import annotations

from kaito.controllers.workspace.kinds import DEPLOYMENTS, SERVICES, WORKSPACES
from kaito.runtime import Key, Object, Resource
from kaito.testing import Faults, eventually
from test.integration.workspace.stage import MACHINES, Stage, W

NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
THEIRS = "theirs.example.com/hold"


def waits_for(scene: Stage) -> str:
    found = scene.condition("WorkspaceDeleting")
    message: str = found.get("message", "")
    return message


async def deleted(scene: Stage, propagation: str = "") -> Object:
    """A Workspace that served and is being deleted; its Machine, which goes, too."""
    scene.start()
    await scene.serve()
    (machine,) = scene.machines_of()
    await scene.client.delete(WORKSPACES, W, propagation=propagation)
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "the Machine's deletion"
    )
    return machine


async def test_what_others_keep_is_named_and_waited_for(scene: Stage) -> None:
    scene.start()
    await scene.serve()
    (machine,) = scene.machines_of()
    await scene.client.patch(SERVICES, W, {"metadata": {"finalizers": [THEIRS]}})
    await scene.client.delete(WORKSPACES, W)
    held = f"Service w, kept by the finalizer {THEIRS}"
    await scene.until(lambda: held in waits_for(scene), "the finalizer")
    assert f"Machine {machine['metadata']['name']}" in waits_for(scene)
    await scene.let_go(machine)
    await scene.until(lambda: "Machine" not in waits_for(scene), "the Machine gone")
    assert scene.find(WORKSPACES)
    await scene.client.patch(SERVICES, W, {"metadata": {"finalizers": None}})
    await scene.until(lambda: not scene.find(WORKSPACES), "the Workspace gone")


async def test_a_machine_that_somebody_else_keeps_is_named(scene: Stage) -> None:
    scene.start()
    await scene.serve()
    (machine,) = scene.machines_of()
    finalizers = {"metadata": {"finalizers": ["karpenter.sh/termination", THEIRS]}}
    await scene.client.patch(MACHINES, Key("", machine["metadata"]["name"]), finalizers)
    await scene.client.delete(WORKSPACES, W)
    await scene.until(lambda: f"kept by the finalizer {THEIRS}" in waits_for(scene), "its name")
    await scene.let_go(machine)
    await scene.until(lambda: not scene.find(WORKSPACES), "the Workspace gone")


async def test_what_the_provisioner_says_meanwhile_is_passed_on(scene: Stage) -> None:
    machine = await deleted(scene)
    said = {"type": "Ready", "status": "False", "reason": "Draining", "message": "2 Pods leave."}
    await scene.client.patch(
        MACHINES,
        Key("", machine["metadata"]["name"]),
        {"status": {"conditions": [said]}},
        subresource="status",
    )
    await scene.until(lambda: "(2 Pods leave)" in waits_for(scene), "its words")
    await scene.let_go(machine)
    await scene.until(lambda: not scene.find(WORKSPACES), "the Workspace gone")


async def test_who_orphans_the_children_keeps_them_and_loses_the_nodes(scene: Stage) -> None:
    machine = await deleted(scene, "Orphan")
    await scene.let_go(machine)
    await scene.until(lambda: not scene.find(WORKSPACES), "the Workspace gone")
    for resource in (DEPLOYMENTS, SERVICES):
        found = await scene.client.get(resource, W)
        assert "ownerReferences" not in found["metadata"]
        assert "deletionTimestamp" not in found["metadata"]


async def test_a_foreground_deletion_ends_as_any_other(scene: Stage) -> None:
    machine = await deleted(scene, "Foreground")
    assert scene.find(WORKSPACES)
    await scene.let_go(machine)
    await scene.until(lambda: not scene.find(WORKSPACES), "the Workspace gone")
    await scene.until(lambda: not scene.find(DEPLOYMENTS), "the Deployment gone")


async def test_a_namespace_takes_its_workspace_along_once_the_node_has_gone(scene: Stage) -> None:
    scene.start()
    key = Key("team", "w")
    await scene.client.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    )
    await scene.create(metadata={"name": "w", "namespace": "team"})
    await scene.until(lambda: scene.machines_of(), "a Machine")
    (machine,) = scene.machines_of()
    await scene.launch(machine)
    await scene.until(lambda: scene.find(DEPLOYMENTS, key), "the Deployment")
    await scene.client.delete(NAMESPACES, Key("", "team"))
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "the Machine's deletion"
    )
    assert scene.find(WORKSPACES, key)
    await scene.let_go(machine)
    await scene.until(lambda: not scene.find(WORKSPACES, key), "the Workspace gone")


async def test_a_workspace_in_a_namespace_that_ends_buys_nothing(scene: Stage) -> None:
    held: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "held", "namespace": "team", "finalizers": [THEIRS]},
    }
    config_maps: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
    await scene.client.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}
    )
    await scene.create(metadata={"name": "w", "namespace": "team", "finalizers": [THEIRS]})
    await scene.client.create(config_maps, held)
    await scene.client.delete(NAMESPACES, Key("", "team"))
    key = Key("team", "w")
    await scene.until(
        lambda: "deletionTimestamp" in scene.find(WORKSPACES, key).get("metadata", {}),
        "its deletion",
    )
    scene.start()
    await scene.create("later")
    await scene.until(lambda: scene.machines_of("later"), "the Machine of another one")
    assert [each for each in scene.all(MACHINES) if each not in scene.machines_of("later")] == []


async def test_a_cache_of_the_past_buys_no_node_for_a_workspace_that_has_gone(scene: Stage) -> None:
    daemon = scene.start()
    await scene.serve()
    (machine,) = scene.machines_of()
    await daemon.stop()
    with Faults(scene.server).behind(WORKSPACES):
        await scene.client.patch(WORKSPACES, W, {"metadata": {"finalizers": None}})
        await scene.client.delete(WORKSPACES, W)
        await scene.let_go(machine)
        await scene.client.delete(MACHINES, Key("", machine["metadata"]["name"]))
        await scene.until(lambda: not scene.machines_of(), "the Machine gone")
        successor = scene.start()
        await eventually(lambda: successor.turns() > 0)
        assert not [each for each in successor.transport.writes if "status" not in each]
