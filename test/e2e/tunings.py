"""Tuning Workspaces for tests: manifests, and their ends."""

from __future__ import annotations

from typing import Any

from kaito.runtime import Key, Object, Resource
from test.e2e.stage import WORKSPACES, Stage

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
PRESET = "phi-3-mini-4k-instruct"
ACCOUNT = "registry"
"""The Secret with the account that they push and pull with."""


def named(name: str, **fields: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, **fields}


def workspace(name: str, **fields: Any) -> Object:
    resource = {
        "instanceType": "Standard_NC24ads_A100_v4",
        "labelSelector": {"matchLabels": {"app": name}},
    }
    head = {"apiVersion": "kaito.sh/v1beta1", "kind": "Workspace", **named(name)}
    return {**head, "resource": resource, **fields}


def tuning(name: str, image: str, **fields: Any) -> Object:
    """A tuning with data from ConfigMap `data`, which pushes to `image`."""
    wish = {
        "preset": {"name": PRESET},
        "method": "lora",
        "input": {"volumeSource": {"configMap": {"name": "data"}}},
        "output": {"image": image, "imagePushSecret": ACCOUNT},
        **fields,
    }
    return workspace(name, tuning=wish)


def serving(name: str, *adapters: tuple[str, str, str]) -> Object:
    """A Workspace that serves adapters, each a name, an image and a strength."""
    found = [
        {
            "source": {"name": each, "image": image, "imagePullSecrets": [ACCOUNT]},
            "strength": strength,
        }
        for each, image, strength in adapters
    ]
    return workspace(name, inference={"preset": {"name": PRESET}, "adapters": found})


async def give(made: Stage, name: str, **files: str) -> None:
    """A ConfigMap with files; `__` stands for the point in their names."""
    data = {file.replace("__", "."): text for file, text in files.items()}
    await made.client.create(CONFIG_MAPS, named(name, data=data))


async def create(made: Stage, manifest: Object) -> Key:
    return Key.of(await made.client.create(WORKSPACES, manifest))


def status(made: Stage, key: Key) -> Object:
    return dict((made.find(WORKSPACES, key) or {}).get("status", {}))


async def succeeded(made: Stage, key: Key) -> str:
    """Wait for the good end of a tuning; what it has made."""

    def over() -> bool:
        said = made.condition("WorkspaceSucceeded", key)
        assert status(made, key).get("state") != "Failed", said
        return said.get("status") == "True"

    await made.until(over, f"{key} succeeded")
    return str(status(made, key)["tuning"]["result"])


async def failed(made: Stage, key: Key) -> Object:
    """Wait for the bad end of a tuning; its condition WorkspaceSucceeded."""

    def over() -> bool:
        said = made.condition("WorkspaceSucceeded", key)
        assert said.get("status") != "True", said
        return status(made, key).get("state") == "Failed"

    await made.until(over, f"{key} failed")
    return made.condition("WorkspaceSucceeded", key)
