"""Tuning from a Workspace to an adapter in use, with real daemons, a real registry and a simulated
trainer; and how it ends when it cannot."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kaito.local.kinds import PERSISTENT_VOLUME_CLAIMS as CLAIMS
from kaito.local.storage.volumes import CLASS_NAME
from kaito.runtime import Call, Key, Object, is_true
from test.e2e.images import registry
from test.e2e.stage import NODES, PODS, SERVICES, Stage, stage
from test.e2e.tunings import (
    ACCOUNT,
    create,
    failed,
    give,
    named,
    serving,
    status,
    succeeded,
    tuning,
)

LINE = json.dumps({"prompt": "What is KAITO?", "completion": "An operator."}) + "\n"


async def start(made: Stage, *options: str) -> None:
    await made.process("manager", "--checkpoint-class", CLASS_NAME, *options).start()
    await made.process("provisioner").start()


def pods(made: Stage, key: Key) -> list[Object]:
    """The Pods of a Workspace that are there."""
    return [
        each
        for each in made.all(PODS)
        if (each["metadata"].get("labels") or {}).get("kaito.sh/workspace") == key.name
    ]


async def test_what_a_tuning_pushes_is_what_an_inference_workspace_pulls(bare: Stage) -> None:
    await start(bare)
    host = await registry(bare, ACCOUNT)
    await give(bare, "data", train__jsonl=LINE * 3)
    key = await create(bare, tuning("tuned", f"{host}/adapters/tuned:1"))
    result = await succeeded(bare, key)
    assert result.startswith(f"{host}/adapters/tuned:1@sha256:")
    found = status(bare, key)
    assert is_true(found["conditions"], "WorkspaceReady")
    assert (found["state"], found["tuning"]["step"]) == ("Succeeded", found["tuning"]["steps"])
    # Nobody pays for GPUs that have nothing more to do.
    await bare.until(lambda: not bare.all(NODES), "its nodes gone")
    assert await bare.pools() == []

    served = await create(bare, serving("served", ("tuned", result, "")))
    await bare.until(lambda: bare.is_true("WorkspaceReady", served), "the adapter served")
    [pod] = pods(bare, served)
    [pulled] = pod["status"]["initContainerStatuses"]
    assert pulled["state"]["terminated"]["exitCode"] == 0


async def test_data_comes_by_links_that_are_allowed_and_the_result_lies_in_a_volume(
    tmp_path: Path,
) -> None:
    options = ("--no-controllers", "--profile", "instant", "--nodes", "1")
    async with stage(tmp_path, *options, "--image", f"python={sys.executable}") as made:
        await start(made, "--data-network", "127.0.0.0/8")
        await give(made, "files", train__jsonl=LINE)
        await made.client.create(CLAIMS, CLAIM)
        await made.client.create(PODS, FILE_SERVER)
        await made.client.create(SERVICES, FILE_SERVICE)
        await made.until(lambda: ready(made, "files"), "the file server ready")
        links = {"urls": ["http://files.default/train.jsonl"]}
        volume = {"volumeSource": {"persistentVolumeClaim": {"claimName": "adapters"}}}
        key = await create(made, tuning("linked", "", input=links, output=volume))
        # A directory of this machine, as the cluster is here.
        place = Path(await succeeded(made, key))
        assert {each.name for each in place.iterdir()} == {
            *("README.md", "adapter_config.json", "adapter_model.safetensors")
        }


async def test_what_can_never_go_well_ends_at_the_first_try_and_says_why(bare: Stage) -> None:
    await start(bare)
    host = await registry(bare, ACCOUNT)
    await registry(bare, "mistyped", password="wr0ng")
    await give(bare, "data", train__jsonl=LINE)
    await give(bare, "bad", train__jsonl='{"text": "local.kaito.sh/fault=dataset-invalid"}')
    # A name that looks public, and is a Service of this cluster.
    await bare.client.create(SERVICES, FILE_SERVICE)
    image = f"{host}/adapters/never:1"
    fields: dict[str, Object] = {
        "inside": {"input": {"urls": ["http://files.default/train.jsonl"]}},
        "broken": {"input": {"volumeSource": {"configMap": {"name": "bad"}}}},
        "refused": {"output": {"image": image, "imagePushSecret": "mistyped"}},
    }
    keys = {each: await create(bare, tuning(each, image, **fields[each])) for each in fields}
    said = {each: await failed(bare, key) for each, key in keys.items()}
    assert {each: condition["reason"] for each, condition in said.items()} == {
        "inside": "AddressForbidden",
        "broken": "DatasetInvalid",
        "refused": "PushRefused",
    }
    assert "dataset-invalid, as the data asks" in said["broken"]["message"]
    assert host in said["refused"]["message"]
    assert "wr0ng" not in said["refused"]["message"]
    assert {status(bare, key)["tuning"]["attempts"] for key in keys.values()} == {1}
    await bare.until(lambda: not bare.all(NODES), "their nodes gone")


async def test_an_evicted_training_goes_on_from_its_last_checkpoint(bare: Stage) -> None:
    await start(bare)
    host = await registry(bare, ACCOUNT)
    await give(bare, "data", train__jsonl=json.dumps({"text": "local.kaito.sh/fault=hold"}))
    key = await create(bare, tuning("held", f"{host}/adapters/held:1"))
    half = "half of its steps"
    await bare.until(lambda: status(bare, key).get("tuning", {}).get("step") == 5, half)
    assert status(bare, key)["state"] == "Running"
    [pod] = pods(bare, key)
    await evict(bare, pod)
    # One that began anew would stop half-way again.
    await succeeded(bare, key)
    assert status(bare, key)["tuning"]["attempts"] == 2


async def evict(made: Stage, pod: Object) -> None:
    key = Key.of(pod)
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": key.name, "namespace": key.namespace},
    }
    path = f"/api/v1/namespaces/{key.namespace}/pods/{key.name}/eviction"
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    call = Call(method="POST", path=path, headers=headers, body=json.dumps(body).encode())
    await made.client.send(call)


def ready(made: Stage, name: str) -> bool:
    found = made.find(PODS, Key("default", name)) or {}
    return is_true(found.get("status", {}).get("conditions", ()), "Ready")


CLAIM: Object = named(
    "adapters",
    spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
)
FILE_SERVER: Object = {
    "metadata": {"name": "files", "namespace": "default", "labels": {"app": "files"}},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "python:3",
                "args": ["-m", "http.server", "8080", "--directory", "/data"],
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "configMap": {"name": "files"}}],
    },
}
FILE_SERVICE: Object = named(
    "files", spec={"selector": {"app": "files"}, "ports": [{"port": 80, "targetPort": 8080}]}
)
