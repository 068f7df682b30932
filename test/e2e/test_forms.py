"""The forms in which a preset is served, with real daemons: several nodes, transformers, adapters,
a key, local disks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaito.runtime import ApiError, Call, Key, Object, Resource
from test.e2e.images import EXAMPLE, push, registry
from test.e2e.stage import DEPLOYMENTS, NODES, PODS, ROOT, SERVICES, WORKSPACES, Stage

EXAMPLES = ROOT / "examples" / "workspaces"
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
CLAIMS: Resource[Object] = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
CLAIM: Object = {
    "metadata": {"name": "domain-adapter", "namespace": "default"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
SEVERAL = Key("default", "workspace-several-nodes")


async def apply(stage: Stage, file: Path, **secrets: dict[str, str]) -> Key:
    """An example with the registry of the cluster, and the Secrets that it names."""
    for name, data in secrets.items():
        metadata = {"name": name.replace("_", "-"), "namespace": "default"}
        await stage.client.create(SECRETS, {"metadata": metadata, "stringData": data})
    host = stage.config.server.removeprefix("https://")
    manifest = yaml.safe_load(file.read_text().replace(EXAMPLE, host))
    manifest["metadata"]["namespace"] = "default"
    made = await stage.client.create(WORKSPACES, {**manifest, "apiVersion": "kaito.sh/v1beta1"})
    return Key.of(made)


async def ready(stage: Stage, key: Key) -> None:
    await stage.until(lambda: stage.is_true("WorkspaceReady", key), f"{key} ready")


# Any: what a model answers.
async def asked(stage: Stage, key: Key, path: str) -> Any:
    where = f"/api/v1/namespaces/{key.namespace}/services/{key.name}:80/proxy{path}"
    return json.loads(await stage.client.send(Call(method="GET", path=where)))


async def models(stage: Stage, key: Key) -> list[str]:
    return [each["id"] for each in (await asked(stage, key, "/v1/models"))["data"]]


def pod_of(stage: Stage, name: str) -> Object:
    return stage.find(PODS, Key("default", name)) or {"metadata": {}}


async def test_a_model_on_several_nodes_answers_while_all_of_them_are_there(
    running: Stage,
) -> None:
    file = EXAMPLES / "several-nodes.yaml"
    key = await apply(running, file, hugging_face={"HF_TOKEN": "t"})
    assert key == SEVERAL
    await ready(running, key)
    pods = {each["metadata"]["name"]: each for each in running.all(PODS)}
    assert sorted(pods) == [f"{key.name}-{index}" for index in range(3)]
    assert len({each["spec"]["nodeName"] for each in pods.values()}) == 3
    assert await models(running, key) == ["meta-llama/Llama-3.3-70B-Instruct"]

    lost = pods[f"{key.name}-2"]
    await running.client.delete(PODS, Key.of(lost), uid=lost["metadata"]["uid"])
    await running.until(
        lambda: (
            pod_of(running, f"{key.name}-2")["metadata"].get("uid", lost["metadata"]["uid"])
            != lost["metadata"]["uid"]
        ),
        "another worker",
    )
    await ready(running, key)

    await running.client.delete(WORKSPACES, key)
    await running.until(lambda: not running.all(WORKSPACES), "the Workspace gone")
    await running.until(lambda: not running.all(PODS), "its Pods gone")
    assert running.all(NODES) == []
    assert [each for each in running.all(SERVICES) if key.name in each["metadata"]["name"]] == []


async def test_each_form_of_one_node_answers(bare: Stage) -> None:
    options = ["--nvme-class", "local-nvme", "--engine-user", "1000"]
    for daemon in (["manager", *options], ["provisioner"]):
        await bare.process(*daemon).start()
    await bare.client.create(CLAIMS, CLAIM)
    await registry(bare, "adapters")
    await push(bare, "adapters/style", "1.0.0", {"adapter_config.json": b"{}"})
    adapters = await apply(bare, EXAMPLES / "adapters-with-strength.yaml")
    await registry(bare, "models")
    await push(bare, "models/phi-4-mini", "1", {"config.json": b"{}"})
    private = await apply(bare, EXAMPLES / "private-weights.yaml")
    guarded = await apply(bare, EXAMPLES / "guarded.yaml", guarded_key={"API_KEY": "sesame"})
    for key in (adapters, private, guarded):
        await ready(bare, key)

    assert await models(bare, adapters) == ["phi-4-mini-instruct", "style", "domain"]
    assert engine_of(bare, adapters)["command"][0] == "accelerate"

    assert await models(bare, private) == ["phi-4-mini-instruct"]
    assert "--model=/workspace/weights" in engine_of(bare, private)["command"]

    assert (await asked(bare, guarded, "/health"))["status"] == "Healthy"
    with pytest.raises(ApiError) as refused:
        await models(bare, guarded)
    assert refused.value.status.code == 401


def engine_of(stage: Stage, key: Key) -> Object:
    deployment = stage.find(DEPLOYMENTS, key) or {}
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)
