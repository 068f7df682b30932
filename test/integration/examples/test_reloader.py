"""The reloader gives a Deployment another template when a ConfigMap that it reads has changed."""

from __future__ import annotations

import reloader
from reloader import CONFIG_MAPS, DEPLOYMENTS

from kaito.runtime import Client, Key, Object
from kaito.testing import Cluster, eventually, running


def config_map(name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def deployment(name: str, config: str) -> Object:
    labels = {"app": name}
    container = {"name": "c", "image": "app:1", "envFrom": [{"configMapRef": {"name": config}}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


async def test_a_changed_config_map_rolls_out_its_users_and_nobody_else(
    kube: Cluster, kube_client: Client
) -> None:
    async def hash_of(name: str) -> str:
        found = await kube_client.get(DEPLOYMENTS, Key("default", name))
        annotations = found["spec"]["template"]["metadata"].get("annotations", {})
        return str(annotations.get("example.com/config", ""))

    async def moved(name: str, old: str) -> bool:
        return await hash_of(name) != old

    await kube_client.create(CONFIG_MAPS, config_map("red", colour="red"))
    await kube_client.create(CONFIG_MAPS, config_map("blue", colour="blue"))
    async with running(reloader.build(kube.client(field_manager="reloader"))):
        await kube_client.create(DEPLOYMENTS, deployment("a", "red"))
        await kube_client.create(DEPLOYMENTS, deployment("b", "blue"))
        await eventually(lambda: hash_of("a"), kube)
        await eventually(lambda: hash_of("b"), kube)
        a, b = await hash_of("a"), await hash_of("b")
        await kube_client.patch(CONFIG_MAPS, Key("default", "red"), {"data": {"colour": "rose"}})
        await eventually(lambda: moved("a", a), kube)
        assert await hash_of("b") == b
