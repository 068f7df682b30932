"""After whatever has happened to a Workspace: repaired or named, and then not one write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest

from kaito.controllers.workspace.kinds import DEPLOYMENTS, REVISIONS, SERVICES, WORKSPACES
from kaito.runtime import Key, NotFound, Object
from kaito.testing import eventually
from test.integration.workspace.stage import MACHINES, NODES, Daemon, Stage, W

Scenario: TypeAlias = Callable[[Stage], Awaitable[None]]
READY = ("WorkspaceReady", "workspaceReady")


def spelled(image: str = "nginx") -> Object:
    """A template in which the API server spells a lot otherwise."""
    return {
        "metadata": {"annotations": {}, "creationTimestamp": None},
        "spec": {
            "hostNetwork": False,
            "initContainers": [],
            "containers": [
                {
                    "name": "c",
                    "image": image,
                    "stdin": False,
                    "env": [{"name": "EMPTY", "value": ""}],
                    "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "claims": []},
                    "ports": [{"containerPort": 80}],
                    "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": False}],
                }
            ],
            "volumes": [{"name": "v", "emptyDir": {}}],
            "nodeSelector": {},
            "tolerations": [],
        },
    }


async def templated(scene: Stage, template: Object) -> None:
    await scene.create(inference={"template": template})
    await scene.until(lambda: scene.machines_of(), "a Machine")
    await scene.launch(scene.machines_of()[0])
    await scene.until(lambda: scene.find(DEPLOYMENTS), "the Deployment")
    await scene.roll_out()
    await scene.until(lambda: scene.says(*READY), "readiness")


async def it_serves(scene: Stage) -> None:
    await scene.serve()


async def it_waits_for_its_node(scene: Stage) -> None:
    await scene.create()
    await scene.until(lambda: scene.machines_of(), "a Machine")


async def a_template_is_spelled_otherwise(scene: Stage) -> None:
    await templated(scene, spelled())


async def an_edit_of_it_is_rolled_out(scene: Stage) -> None:
    await templated(scene, spelled())
    found = await scene.client.get(WORKSPACES, W)
    await scene.client.update(WORKSPACES, {**found, "inference": {"template": spelled("httpd")}})
    await scene.until(lambda: "httpd" in str(scene.find(DEPLOYMENTS)), "the edit")
    await scene.roll_out()
    await scene.until(lambda: scene.says(*READY), "readiness")


async def it_is_edited_into_what_cannot_be(scene: Stage) -> None:
    await scene.serve()
    await scene.client.patch(WORKSPACES, W, {"inference": {"config": "nowhere"}})
    await scene.until(lambda: scene.says("InferenceReady", "ConfigMapNotFound"), "the refusal")
    assert scene.find(DEPLOYMENTS)


async def its_config_map_becomes_invalid(scene: Stage) -> None:
    await scene.configure("c", "vllm: {max-model-len: 2048}")
    await scene.serve()
    await scene.client.patch(WORKSPACES, W, {"inference": {"config": "c"}})
    await scene.until(lambda: "config-volume" in str(scene.find(DEPLOYMENTS)), "the rollout")
    await scene.roll_out()
    await scene.until(lambda: scene.says(*READY), "readiness")
    await scene.configure("c", "vllm: {max-model-len: many}")
    await scene.until(lambda: scene.says("ResourceReady", "InvalidConfigMap"), "the refusal")
    assert scene.find(DEPLOYMENTS)


async def its_service_is_deleted(scene: Stage) -> None:
    await scene.serve()
    before = scene.find(SERVICES)["metadata"]["uid"]
    await scene.client.delete(SERVICES, W)
    await scene.until(
        lambda: scene.find(SERVICES).get("metadata", {}).get("uid", before) != before, "another"
    )


async def its_deployment_is_deleted(scene: Stage) -> None:
    await scene.serve()
    before = scene.find(DEPLOYMENTS)["metadata"]["uid"]
    await scene.client.delete(DEPLOYMENTS, W)
    await scene.until(
        lambda: scene.find(DEPLOYMENTS).get("metadata", {}).get("uid", before) != before, "another"
    )
    await scene.roll_out()
    await scene.until(lambda: scene.says(*READY), "readiness")


async def its_revisions_are_deleted(scene: Stage) -> None:
    await scene.serve()
    found = await scene.client.list(REVISIONS, namespace="default")
    for each in found.items:
        await scene.client.delete(REVISIONS, Key.of(each))

    async def back() -> bool:
        known = (await scene.client.list(REVISIONS, namespace="default")).items
        return [each["revision"] for each in known] == [1] and known != found.items

    await eventually(back)


async def its_deployment_is_changed(scene: Stage) -> None:
    await scene.serve()
    await scene.client.patch(DEPLOYMENTS, W, {"spec": {"strategy": RECREATE}})
    await scene.until(
        lambda: scene.find(DEPLOYMENTS)["spec"]["strategy"]["type"] == "RollingUpdate", "a repair"
    )


async def it_is_scaled_by_somebody_else(scene: Stage) -> None:
    await scene.serve()
    await scene.client.patch(DEPLOYMENTS, W, {"spec": {"replicas": 3}}, subresource="scale")
    await scene.roll_out()
    await scene.until(
        lambda: "3 of 3 replicas" in scene.condition("InferenceReady").get("message", ""), "three"
    )


async def a_sidecar_is_put_into_its_deployment(scene: Stage) -> None:
    await scene.serve()
    found = await scene.client.get(DEPLOYMENTS, W)
    containers = found["spec"]["template"]["spec"]["containers"]
    spec = {"containers": [*containers, {"name": "mesh", "image": "mesh"}]}
    noted = {"kubectl.kubernetes.io/restartedAt": "2026-11-21T10:00:00Z"}
    template = {"metadata": {"annotations": noted}, "spec": spec}
    await scene.client.patch(DEPLOYMENTS, W, {"spec": {"template": template}})
    await scene.until(lambda: "mesh" in str(scene.find(DEPLOYMENTS)["spec"]), "the sidecar")
    await scene.roll_out()
    # An edit of the Workspace leaves what is theirs.
    await scene.configure("c", "vllm: {max-model-len: 2048}")
    await scene.client.patch(WORKSPACES, W, {"inference": {"config": "c"}})
    await scene.until(lambda: "config-volume" in str(scene.find(DEPLOYMENTS)), "the edit")
    await scene.roll_out()
    await scene.until(lambda: scene.says(*READY), "readiness")
    kept = scene.find(DEPLOYMENTS)["spec"]["template"]
    assert [each["name"] for each in kept["spec"]["containers"]] == ["w", "mesh"]
    assert noted.items() <= kept["metadata"]["annotations"].items()


async def its_node_goes(scene: Stage) -> None:
    await scene.serve()
    node = f"node-{scene.machines_of()[0]['metadata']['name']}"
    await scene.client.delete(NODES, Key("", node))
    await scene.until(lambda: scene.condition("ResourceReady")["status"] == "False", "its loss")


async def its_name_is_taken(scene: Stage) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "w", "namespace": "default"},
        "spec": {"ports": [{"port": 8080}]},
    }
    await scene.client.create(SERVICES, service)
    await scene.create()
    await scene.until(lambda: scene.says("ResourceReady", "NameTaken"), "the obstacle")


async def two_share_a_selector(scene: Stage) -> None:
    await scene.serve("v")
    await scene.serve("w")
    assert len(scene.all(MACHINES)) == 2


async def it_is_being_deleted(scene: Stage) -> None:
    await scene.serve()
    await scene.client.delete(WORKSPACES, W)
    await scene.until(
        lambda: scene.machines_of()[0]["metadata"].get("deletionTimestamp"), "the deletion"
    )
    await scene.until(lambda: not scene.find(DEPLOYMENTS), "the Deployment gone")


RECREATE: Object = {"type": "Recreate", "rollingUpdate": None}
SCENARIOS: tuple[Scenario, ...] = (
    it_serves,
    it_waits_for_its_node,
    a_template_is_spelled_otherwise,
    an_edit_of_it_is_rolled_out,
    it_is_edited_into_what_cannot_be,
    its_config_map_becomes_invalid,
    its_service_is_deleted,
    its_deployment_is_deleted,
    its_revisions_are_deleted,
    its_deployment_is_changed,
    it_is_scaled_by_somebody_else,
    a_sidecar_is_put_into_its_deployment,
    its_node_goes,
    its_name_is_taken,
    two_share_a_selector,
    it_is_being_deleted,
)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
async def test_nothing_is_written_at_rest_after(scene: Stage, scenario: Scenario) -> None:
    daemon = scene.start()
    await scenario(scene)
    await another_turn(scene, daemon, "first")  # what was still under way has been done by now
    before = len(daemon.transport.writes)
    for number in ("second", "third", "fourth"):
        await another_turn(scene, daemon, number)
    assert daemon.transport.writes[before:] == []


async def another_turn(scene: Stage, daemon: Daemon, number: str) -> None:
    """Have the manager look at the Workspace once more."""
    before = daemon.turns()
    noted = {"metadata": {"annotations": {"looked-at": number}}}
    try:
        await scene.client.patch(WORKSPACES, W, noted)
    except NotFound as error:
        raise AssertionError("the Workspace has gone") from error
    await eventually(lambda: daemon.turns() > before)
