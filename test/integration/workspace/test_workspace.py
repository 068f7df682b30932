"""One Workspace's way, with the real API semantics around the controller."""

from __future__ import annotations

import pytest

from kaito.catalog.config import ModelError
from kaito.catalog.model import Model
from kaito.controllers.workspace.kinds import (
    DEPLOYMENTS,
    SERVICES,
    WORKSPACES,
)
from kaito.controllers.workspace.strangers import ANNOTATION, written
from kaito.runtime import Key, Object
from test.integration.workspace.stage import EVENTS, MACHINES, NODES, Stage, W

PRESET = {"preset": {"name": "phi-3-mini-4k-instruct"}}

MAX_WRITES = 14  # two of them dry runs; without events; of the 22 that a Workspace may cost


async def test_a_workspace_becomes_ready_in_few_writes(scene: Stage) -> None:
    daemon = scene.start()
    await scene.serve()
    status = scene.find(WORKSPACES)["status"]
    assert status["state"] == "Ready"
    assert status["targetNodeCount"] == 1
    assert status["workerNodes"] == [f"node-{scene.machines_of()[0]['metadata']['name']}"]
    assert {c["observedGeneration"] for c in status["conditions"]} == {1}
    assert len(daemon.transport.writes) <= MAX_WRITES, daemon.transport.writes
    ports = [(p["name"], p["port"]) for p in scene.find(SERVICES)["spec"]["ports"]]
    assert ports == [("http", 80), ("torch", 29500)]


async def test_a_restart_writes_nothing(scene: Stage) -> None:
    first = scene.start()
    await scene.serve()
    await first.stop()
    scene.daemons.remove(first)
    second = scene.start()
    # A second Workspace is reconciled after the first one, which the new daemon lists first.
    await scene.create("later")
    await scene.until(lambda: scene.machines_of("later"), "the second Workspace's Machine")
    assert [w for w in second.transport.writes if "/w/" in w or w.endswith("/w")] == []
    known = scene.machines_of("w")[0]["metadata"]["name"]
    assert [w for w in second.transport.writes if known in w] == []


async def test_deletion_waits_for_the_machine_and_leaves_nothing(scene: Stage) -> None:
    scene.start()
    await scene.serve()
    (machine,) = scene.machines_of()
    await scene.client.delete(WORKSPACES, W)
    await scene.until(
        lambda: scene.condition("WorkspaceDeleting").get("status") == "True", "the condition"
    )
    assert machine["metadata"]["name"] in scene.condition("WorkspaceDeleting")["message"]
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "a deletion"
    )
    await scene.until(lambda: not scene.all(DEPLOYMENTS), "the Deployment gone")
    assert scene.find(WORKSPACES)
    await scene.let_go(machine)
    await scene.until(lambda: not scene.all(WORKSPACES), "the Workspace gone")
    assert scene.all(MACHINES) == []
    await scene.until(lambda: not scene.find(SERVICES), "the Service gone")


async def test_a_finalizer_that_was_taken_away_comes_back_and_the_machine_is_not_left_behind(
    scene: Stage,
) -> None:
    scene.start()
    await scene.serve()
    robbed = await scene.client.patch(WORKSPACES, W, {"metadata": {"finalizers": None}})

    def is_back() -> bool:
        found = scene.find(WORKSPACES)["metadata"]
        later = int(found["resourceVersion"]) > int(robbed["metadata"]["resourceVersion"])
        return later and "finalizers" in found

    await scene.until(is_back, "the finalizer")
    await scene.client.delete(WORKSPACES, W)
    await scene.until(
        lambda: "deletionTimestamp" in scene.machines_of()[0]["metadata"], "a deletion"
    )


async def test_an_unknown_preset_ends_at_once_and_nothing_is_bought(scene: Stage) -> None:
    scene.start()
    await scene.create(inference={"preset": {"name": "phi-3-mini"}})
    await scene.until(lambda: scene.says("ResourceReady", "UnknownPreset"), "the refusal")
    assert "phi-3-mini-4k-instruct" in scene.condition("WorkspaceReady")["message"]
    assert scene.all(MACHINES) == []
    await scene.until(lambda: scene.all(EVENTS), "an event")
    assert {e["type"] for e in scene.all(EVENTS)} == {"Warning"}


async def test_a_config_map_that_comes_late_or_is_mended_wakes_the_workspace(scene: Stage) -> None:
    scene.start()
    await scene.create(inference={**PRESET, "config": "c"})
    await scene.until(lambda: scene.says("ResourceReady", "ConfigMapNotFound"), "the refusal")
    await scene.configure("c", "vllm: {max-model-len: many}")
    await scene.until(lambda: scene.says("ResourceReady", "InvalidConfigMap"), "the other one")
    assert scene.all(MACHINES) == []
    await scene.configure("c", "vllm: {max-model-len: 2048}")
    await scene.until(lambda: scene.machines_of("w"), "a Machine")


async def test_a_config_map_is_read_once_for_each_version(scene: Stage) -> None:
    daemon = scene.start()
    await scene.configure("c", "vllm: {max-model-len: 2048}")
    await scene.create(inference={**PRESET, "config": "c"})
    await scene.until(lambda: scene.machines_of("w"), "a Machine")
    await scene.launch(scene.machines_of("w")[0])
    await scene.until(lambda: scene.find(DEPLOYMENTS), "the Deployment")
    await scene.roll_out()
    await scene.until(lambda: scene.says("WorkspaceReady", "workspaceReady"), "readiness")
    reads = [path for path in daemon.transport.reads if path.endswith("/configmaps/c")]
    assert len(reads) == 1


async def test_a_context_that_needs_more_nodes_is_told_before_anything_is_bought(
    scene: Stage,
) -> None:
    scene.start()
    await scene.configure("c", "vllm: {max-model-len: 131072}")
    await scene.create(inference={"preset": {"name": "phi-3-mini-128k-instruct"}, "config": "c"})
    await scene.until(lambda: scene.says("ResourceReady", "ModelDoesNotFit"), "the refusal")
    assert "max-model-len" in scene.condition("ResourceReady")["message"]
    assert scene.all(MACHINES) == []


async def test_other_settings_are_rolled_out_on_the_same_node(scene: Stage) -> None:
    scene.start()
    await scene.serve()
    await scene.configure("longer-context", "vllm: {max-model-len: 4096}")
    await scene.client.patch(WORKSPACES, W, {"inference": {"config": "longer-context"}})
    await scene.until(
        lambda: scene.says("InferenceReady", "WorkspaceInferenceStatusPending"), "the rollout"
    )
    assert "longer-context" in str(scene.find(DEPLOYMENTS)["spec"]["template"])
    await scene.roll_out()
    await scene.until(lambda: scene.says("WorkspaceReady", "workspaceReady"), "readiness")
    assert len(scene.all(MACHINES)) == 1


async def test_two_workspaces_with_one_selector_have_a_node_each(scene: Stage) -> None:
    scene.start()
    await scene.serve("w")
    await scene.serve("v")
    assert len(scene.all(MACHINES)) == 2
    workers = [w["status"]["workerNodes"] for w in scene.all(WORKSPACES)]
    assert len({name for names in workers for name in names}) == 2


async def test_one_free_node_goes_to_one_of_two_workspaces(scene: Stage) -> None:
    labels = {
        "apps": "phi-3",
        "node.kubernetes.io/instance-type": "Standard_NC6s_v3",
    }
    await scene.client.create(
        NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine", "labels": labels}}
    )
    ready = {
        "allocatable": {"nvidia.com/gpu": "1"},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    await scene.client.patch(NODES, Key("", "mine"), {"status": ready}, subresource="status")
    await scene.create("w")
    await scene.create("v")
    scene.start()
    await scene.until(lambda: scene.all(MACHINES), "a Machine for the one without")
    await scene.until(lambda: scene.all(DEPLOYMENTS), "a Deployment for the one with")

    def counted() -> list[str]:
        return [
            w["metadata"]["name"]
            for w in scene.all(WORKSPACES)
            if "mine" in (w.get("status") or {}).get("workerNodes", [])
        ]

    await scene.until(lambda: len(counted()) == 1, "the node counted once")
    assert len(scene.all(MACHINES)) == 1


async def test_a_service_of_somebody_else_is_not_touched_and_no_node_bought(scene: Stage) -> None:
    service: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "w", "namespace": "default"},
        "spec": {"ports": [{"port": 8080}]},
    }
    await scene.client.create(SERVICES, service)
    scene.start()
    await scene.create()
    await scene.until(lambda: scene.says("ResourceReady", "NameTaken"), "the obstacle")
    assert scene.condition("WorkspaceReady")["message"] == (
        "Service w exists already and does not belong to this Workspace: delete it, or give the "
        "Workspace another name."
    )
    assert scene.all(MACHINES) == []
    assert [p["port"] for p in scene.find(SERVICES)["spec"]["ports"]] == [8080]


async def test_a_service_that_comes_between_is_not_touched(scene: Stage) -> None:
    scene.start()
    await scene.create()
    await scene.until(lambda: scene.machines_of(), "a Machine")
    await scene.client.create(
        SERVICES,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "w", "namespace": "default"},
            "spec": {"ports": [{"port": 8080}]},
        },
    )
    await scene.launch(scene.machines_of()[0])
    await scene.until(lambda: scene.says("InferenceReady", "NameTaken"), "the obstacle")
    assert [p["port"] for p in scene.find(SERVICES)["spec"]["ports"]] == [8080]


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"name": "C"}, "spec.template.spec.containers"),
        ({"name": "c", "image": "nginx", "portz": 1}, "field not declared in schema"),
        ({"name": "c", "image": "nginx", "command": "sh"}, "expected list"),
        (
            {"name": "c", "image": "nginx", "resources": {"limits": {"nvidia.com/gpu": "many"}}},
            "quantities must match",
        ),
    ],
)
async def test_a_template_that_the_server_refuses_buys_no_node(
    scene: Stage, container: Object, words: str
) -> None:
    scene.start()
    await scene.create(inference={"template": {"spec": {"containers": [container]}}})
    await scene.until(lambda: scene.says("ResourceReady", "RefusedByApiServer"), "the refusal")
    assert words in scene.condition("WorkspaceReady")["message"]
    assert scene.all(MACHINES) == []


async def test_a_template_that_was_refused_is_served_when_it_is_mended(scene: Stage) -> None:
    scene.start()
    await scene.create(inference={"template": {"spec": {"containers": [{"name": "C"}]}}})
    await scene.until(lambda: scene.says("ResourceReady", "RefusedByApiServer"), "the refusal")

    container = {"name": "c", "image": "nginx"}
    await scene.client.patch(
        WORKSPACES, W, {"inference": {"template": {"spec": {"containers": [container]}}}}
    )
    await scene.until(lambda: scene.machines_of(), "a Machine")
    await scene.launch(scene.machines_of()[0])
    await scene.until(lambda: scene.find(DEPLOYMENTS), "the Deployment")


async def test_a_workspace_is_let_go_though_its_config_map_cannot_be_read(scene: Stage) -> None:
    await scene.configure("c", "vllm: {max-model-len: 2048}")
    await scene.create(inference={**PRESET, "config": "c"})
    daemon = scene.start()
    await scene.until(lambda: scene.machines_of(), "a Machine")
    daemon.transport.unreadable = "/configmaps/c"
    await scene.configure("c", "vllm: {max-model-len: 1024}")
    await scene.client.delete(WORKSPACES, W)
    await scene.until(lambda: not scene.machines_of(), "the end of the Machine")
    await scene.until(lambda: not scene.find(WORKSPACES), "the end of the Workspace")


async def test_a_model_of_no_catalogue_is_read_served_and_outlives_a_restart(scene: Stage) -> None:
    async def read(name: str) -> Model:
        return Model(name=name, weights_gib=3.5, revision="a" * 40)

    first = scene.start(read)
    await scene.create(inference={"preset": {"name": "acme/llm"}})
    await scene.until(lambda: scene.machines_of(), "a Machine")
    await scene.launch(scene.machines_of()[0])
    await scene.until(lambda: scene.find(DEPLOYMENTS), "the Deployment")
    await scene.roll_out()
    await scene.until(lambda: scene.says("WorkspaceReady", "workspaceReady"), "readiness")
    await first.stop()

    async def offline(name: str) -> Model:
        raise ModelError("There is no way to Hugging Face.")

    second = scene.start(offline)
    # A turn that writes nothing is not seen; one for another Workspace, which comes later, is.
    await scene.create("v", inference={"preset": {"name": "acme/other"}})
    v = Key("default", "v")
    await scene.until(lambda: scene.says("ResourceReady", "UnknownPreset", v), "the other turn")
    assert [write for write in second.transport.writes if write.endswith("/w")] == []
    assert scene.says("WorkspaceReady", "workspaceReady")


async def test_the_note_of_a_deployment_that_is_not_ours_is_not_read(scene: Stage) -> None:
    async def unknown(name: str) -> Model:
        raise ModelError(f"{name} is not on Hugging Face.")

    labels = {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "default"}
    forged = written(Model(name="acme/llm", weights_gib=3.5))
    await scene.client.create(
        DEPLOYMENTS,
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {
                "name": "w",
                "namespace": "default",
                "labels": labels,
                "annotations": {ANNOTATION: forged},
            },
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "c", "image": "i"}]},
                },
            },
        },
    )
    scene.start(unknown)
    await scene.create(inference={"preset": {"name": "acme/llm"}})
    await scene.until(lambda: scene.says("ResourceReady", "UnknownPreset"), "the refusal")
    assert scene.all(MACHINES) == []


async def test_machines_whose_workspace_was_forced_away_go(scene: Stage) -> None:
    first = scene.start()
    await scene.serve()
    await first.stop()
    scene.daemons.remove(first)
    await scene.client.patch(WORKSPACES, W, {"metadata": {"finalizers": None}})
    await scene.client.delete(WORKSPACES, W)
    await scene.until(lambda: not scene.find(WORKSPACES), "the end of the Workspace")
    (machine,) = scene.machines_of()
    foreign = {**machine, "metadata": {"name": "theirs", "labels": machine["metadata"]["labels"]}}
    await scene.client.create(MACHINES, foreign)
    scene.start()
    going = machine["metadata"]["name"]
    await scene.until(
        lambda: scene.find(MACHINES, Key("", going))["metadata"].get("deletionTimestamp"),
        "the deletion of the Machine",
    )
    assert "deletionTimestamp" not in scene.find(MACHINES, Key("", "theirs"))["metadata"]
