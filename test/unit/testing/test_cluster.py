"""Clusters of the kit: one for a test, one for a session."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from kaito.runtime import (
    Call,
    Client,
    Forbidden,
    Key,
    NotFound,
    Object,
    Resource,
    from_kubeconfig,
    rfc3339,
)
from kaito.testing import Cluster, SharedCluster, VirtualClock, eventually

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
LAMPS: Resource[Object] = Resource("example.com", "v1", "lamps", "Lamp")
NEVER = 60.0  # a heartbeat that no test here lives to see
DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.example.com"},
    "spec": {
        "group": "example.com",
        "names": {"kind": "Lamp", "plural": "lamps"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object"}},
            }
        ],
    },
}


def named(name: str, namespace: str = "default") -> Object:
    return {"metadata": {"name": name, "namespace": namespace}}


async def comes_to_be_seen(kube: Cluster, client: Client, name: str) -> bool:
    async def there() -> bool:
        return bool(await client.get(CONFIG_MAPS, Key("default", name)))

    waiting = asyncio.create_task(eventually(there, kube, heartbeat=NEVER))
    await client.create(CONFIG_MAPS, named(name))
    return await waiting


async def test_a_write_wakes_whoever_waits_for_the_cluster(
    kube: Cluster, kube_client: Client
) -> None:
    assert await comes_to_be_seen(kube, kube_client, "a")


async def test_an_installed_kind_is_served_and_may_be_installed_twice(
    kube: Cluster, kube_client: Client
) -> None:
    await kube.install(DEFINITION)
    await kube.install(DEFINITION)
    await kube_client.create(LAMPS, {"apiVersion": "example.com/v1", "kind": "Lamp", **named("a")})


async def test_a_restart_keeps_the_objects_and_still_tells_of_changes(
    kube: Cluster, kube_client: Client
) -> None:
    await kube_client.create(CONFIG_MAPS, named("a"))
    await kube.restart()
    await kube_client.get(CONFIG_MAPS, Key("default", "a"))
    assert await comes_to_be_seen(kube, kube_client, "b")


async def test_a_kubeconfig_leads_to_the_same_cluster(
    kube: Cluster, kube_client: Client, kube_config: Path
) -> None:
    await kube_client.create(CONFIG_MAPS, named("a"))
    for config in (await from_kubeconfig(str(kube_config)), kube.config()):
        async with Client(config.transport()) as client:
            await client.get(CONFIG_MAPS, Key("default", "a"))


async def test_a_cluster_that_is_not_served_says_what_to_do(kube: Cluster) -> None:
    with pytest.raises(RuntimeError, match=r"await cluster.serve\(\)"):
        kube.kubeconfig()


@pytest.mark.kube(rbac=True)
async def test_roles_are_enforced_where_asked_for(kube: Cluster, kube_client: Client) -> None:
    await kube_client.list(CONFIG_MAPS)
    call = Call(
        method="GET",
        path=CONFIG_MAPS.path("default"),
        headers={"Impersonate-User": "stranger", "Accept": "application/json"},
    )
    with pytest.raises(Forbidden, match='"stranger" cannot list resource "configmaps"'):
        await kube_client.send(call)


async def test_the_clusters_of_two_tests_share_nothing(kube_client: Client) -> None:
    with pytest.raises(NotFound):
        await kube_client.get(CONFIG_MAPS, Key("default", "a"))


async def test_a_shared_cluster_is_reached_and_waited_for_from_any_loop(
    kube_session: SharedCluster, kube_namespace: str
) -> None:
    async with kube_session.client() as client:
        key = Key(kube_namespace, "a")

        async def there() -> bool:
            return bool(await client.get(CONFIG_MAPS, key))

        waiting = asyncio.create_task(eventually(there, kube_session, heartbeat=NEVER))
        await client.create(CONFIG_MAPS, named("a", kube_namespace))
        assert await waiting


def test_each_namespace_of_a_shared_cluster_is_new(
    kube_session: SharedCluster, kube_namespace: str
) -> None:
    other = kube_session.new_namespace()
    assert other != kube_namespace
    kube_session.drop_namespace(other)
    kube_session.drop_namespace(other)


@pytest.mark.kube(virtual=True)
async def test_a_cluster_can_live_by_the_clock_of_the_test(
    kube: Cluster, kube_client: Client, virtual_clock: VirtualClock
) -> None:
    await virtual_clock.advance(86_400)
    made = await kube_client.create(CONFIG_MAPS, named("a"))
    assert made["metadata"]["creationTimestamp"] == rfc3339(virtual_clock.now())


@pytest.mark.parametrize("more", [{"rbac": True}, {"clock": VirtualClock()}], ids=["rbac", "clock"])
def test_what_a_cluster_with_nodes_cannot_have_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="A cluster with nodes"):
        Cluster(nodes=1, **more)


def test_images_without_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="`nodes=1`"):
        Cluster(images=["python:*=python3"])


@pytest.mark.kube(nodes=1, images=[f"python:*={sys.executable}"])
async def test_an_image_runs_as_the_program_that_the_test_names(
    kube: Cluster, kube_client: Client
) -> None:
    async def over() -> bool:
        phase = (await kube_client.get(PODS, Key("default", "a")))["status"]["phase"]
        return bool(phase == "Succeeded")

    container = {"name": "c", "image": "python:3", "args": ["-c", "print('hello')"]}
    spec = {"restartPolicy": "Never", "containers": [container]}
    await kube_client.create(PODS, {**named("a"), "spec": spec})
    await eventually(over, kube, within=30.0)
    log = Call(method="GET", path=f"{PODS.path('default', 'a')}/log")
    assert await kube_client.send(log) == b"hello\n"
