"""A cluster starts, stops, starts again, and fails loudly."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from kaito.local.azure.settings import CONFIG_MAP, Setting
from kaito.local.cluster import LocalCluster
from kaito.local.kinds import CONFIG_MAPS, NODES, PODS, SERVICE_ACCOUNTS
from kaito.local.profile import Profile
from kaito.runtime import Client, Key, from_kubeconfig, is_true

if TYPE_CHECKING:
    from test.integration.local.conftest import World


async def test_a_kubeconfig_is_all_that_another_process_needs(world: World, tmp_path: Path) -> None:
    world.cluster.write_kubeconfig(tmp_path / "config")
    config = await from_kubeconfig(str(tmp_path / "config"))
    async with Client(config.transport()) as client:
        node = await client.get(NODES, Key("", "local-0"))
    assert node["metadata"]["name"] == "local-0"


async def test_strangers_are_kept_out(world: World) -> None:
    tls = ssl.create_default_context(cadata=world.cluster.ca_pem)
    headers = {"Authorization": "Bearer guess"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{world.cluster.url}/api/v1/nodes", ssl=tls, headers=headers) as answer,
    ):
        assert answer.status == 401


async def test_an_administrator_has_written_down_where_the_cloud_is(world: World) -> None:
    data = (await world.client.get(CONFIG_MAPS, CONFIG_MAP))["data"]
    assert set(data) == set(Setting)
    assert data[Setting.BASE_URL] == world.cluster.url
    assert data[Setting.CREDENTIAL] == "token-file"
    token = Path(data[Setting.TOKEN_FILE])
    assert token.stat().st_mode & 0o077 == 0
    assert token.read_text() not in world.cluster.kubeconfig()


async def test_cpu_nodes_become_ready(start: Any) -> None:
    async with start(nodes=2) as world:
        for name in ("local-0", "local-1"):
            await world.object(
                NODES, name, lambda each: is_true(each["status"]["conditions"], "Ready")
            )


async def test_every_namespace_gets_its_account_and_the_ca(world: World) -> None:
    await world.object(SERVICE_ACCOUNTS, "default", bool, "default")
    found = await world.object(CONFIG_MAPS, "kube-root-ca.crt", bool, "kaito-system")
    assert found["data"]["ca.crt"] == world.cluster.ca_pem


async def test_a_taken_port_is_an_error_and_leaves_nothing_behind(world: World) -> None:
    with pytest.raises(OSError, match="address already in use"):
        async with LocalCluster(port=world.cluster.port):
            pass


async def test_a_restart_on_the_same_data_keeps_pools_nodes_and_trust(
    start: Any, tmp_path: Path
) -> None:
    profile = Profile.instant()
    async with start(data_dir=tmp_path, profile=profile) as world:
        kubeconfig, port = world.cluster.kubeconfig(), world.cluster.port
        await put_pool(world, "ws1")
        name = world.cluster.azure.account.node_name("ws1", 0)
        node = await world.object(NODES, name, ready)
    async with start(data_dir=tmp_path, profile=profile, port=port) as world:
        assert world.cluster.kubeconfig() == kubeconfig
        assert [pool.name for pool in world.cluster.azure.pools()] == ["ws1"]
        again = await world.object(NODES, name, ready)
        assert again["metadata"]["uid"] == node["metadata"]["uid"]
        assert again["metadata"]["resourceVersion"] == node["metadata"]["resourceVersion"]


async def test_a_pool_that_was_being_made_goes_on_after_a_restart(
    start: Any, tmp_path: Path
) -> None:
    slow = Profile(pool_create=3600)
    async with start(data_dir=tmp_path, profile=slow) as world:
        await put_pool(world, "ws1")
    async with start(data_dir=tmp_path, profile=slow) as world:
        (pool,) = world.cluster.azure.pools()
        assert pool.state == "Creating"


async def test_nodes_of_pools_that_went_meanwhile_are_removed(start: Any, tmp_path: Path) -> None:
    async with start(data_dir=tmp_path) as world:
        await put_pool(world, "ws1")
        name = world.cluster.azure.account.node_name("ws1", 0)
        await world.object(NODES, name, ready)
    for file in (tmp_path / "azure" / "pools").iterdir():
        file.unlink()
    async with start(data_dir=tmp_path) as world:
        await world.gone(NODES, name)


async def test_a_pod_of_nobodys_node_is_left_alone(world: World) -> None:
    """A Node that somebody else wrote has no kubelet of ours."""
    await world.client.create(
        NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "theirs"}}
    )
    for name, node in (("theirs", "theirs"), ("ours", "local-0")):
        await world.client.create(
            PODS,
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"nodeName": node, "containers": [{"name": "c", "image": "x"}]},
            },
        )
    await world.object(PODS, "ours", lambda each: each["status"]["phase"] == "Running", "default")
    theirs = await world.client.get(PODS, Key("default", "theirs"))
    assert theirs["status"]["phase"] == "Pending"


def ready(node: Any) -> bool:
    """Whether everything that happens to a GPU Node has happened."""
    return (
        is_true(node["status"]["conditions"], "Ready")
        and "nvidia.com/gpu" in node["status"]["capacity"]
        and not node["spec"].get("taints")
    )


async def put_pool(world: World, name: str) -> None:
    """Create a pool by a plain request, as any client of the cloud may."""
    data = (await world.client.get(CONFIG_MAPS, CONFIG_MAP))["data"]
    tls = ssl.create_default_context(cadata=data[Setting.CA_DATA])
    url = f"{data[Setting.BASE_URL]}{world.cluster.azure.account.pools_path}/{name}"
    headers = {"Authorization": f"Bearer {Path(data[Setting.TOKEN_FILE]).read_text()}"}
    body = {"properties": {"vmSize": "Standard_NC24ads_A100_v4"}}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.put(url, json=body, ssl=tls, params={"api-version": "2024-01-01"}) as answer,
    ):
        assert answer.status == 201
