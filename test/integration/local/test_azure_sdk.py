"""The real Azure SDK against the local cloud, over HTTPS with the cluster's own CA."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from kaito.local.azure.faults import FaultKind, PoolFault
from kaito.local.azure.listing import NotLocal, list_pools
from kaito.local.azure.rehearsing import PATH as REHEARSAL
from kaito.local.azure.settings import CONFIG_MAP, Setting
from kaito.local.kinds import CONFIG_MAPS, NODES, PODS
from kaito.local.nodes.shape import NOT_READY_TAINT, SIMULATED
from kaito.local.profile import Profile
from kaito.runtime import Call, Client, Key, Object, find_condition, from_kubeconfig, is_true

azure = pytest.importorskip("azure.mgmt.containerservice.aio", reason="needs the azure extra")
from azure.core import MatchConditions  # noqa: E402 - only when it is installed
from azure.core.credentials import AccessTokenInfo  # noqa: E402
from azure.core.exceptions import (  # noqa: E402
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.pipeline.transport import AioHttpTransport  # noqa: E402

if TYPE_CHECKING:
    from test.integration.local.conftest import World

POOL = "ws0a1b2c3d4"
SHORT = Profile(pool_create=0.2, pool_delete=0.1, processes=False)
BODY: Any = {
    "properties": {
        "count": 1,
        "vmSize": "Standard_NC24ads_A100_v4",
        "type": "VirtualMachineScaleSets",
        "osType": "Linux",
        "osSKU": "Ubuntu",
        "osDiskSizeGB": 128,
        "nodeTaints": ["sku=gpu:NoSchedule"],
        "nodeLabels": {"kaito.sh/workspace": "w", "kaito.sh/workspacenamespace": "default"},
    }
}


class Credential:
    """The token of the file that the ConfigMap names."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        return AccessTokenInfo(self._token, 4_102_444_800)

    async def close(self) -> None: ...


class Pools:
    """A group of operations with the first two arguments filled in."""

    def __init__(self, operations: Any, group: str, cluster: str) -> None:
        self._operations = operations
        self._where = (group, cluster)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._operations, name)
        return lambda *args, **options: method(*self._where, *args, **options)


@asynccontextmanager
async def cloud_of(
    world: World, token: str = "", group: str = "agent_pools"
) -> AsyncIterator[Pools]:
    """A group of operations of the SDK's client, which is configured as the provisioner is."""
    data = (await world.client.get(CONFIG_MAPS, CONFIG_MAP))["data"]
    credential = Credential(token or Path(data[Setting.TOKEN_FILE]).read_text())
    tls = ssl.create_default_context(cadata=data[Setting.CA_DATA])
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls))
    async with (
        session,
        azure.ContainerServiceClient(
            credential,
            data[Setting.SUBSCRIPTION],
            base_url=data[Setting.BASE_URL],
            credential_scopes=["https://management.azure.com/.default"],
            transport=AioHttpTransport(session=session, session_owner=False),
            polling_interval=0,
            retry_total=0,
        ) as client,
    ):
        yield Pools(getattr(client, group), data[Setting.RESOURCE_GROUP], data[Setting.CLUSTER])


async def create(pools: Pools, name: str = POOL, **properties: Any) -> Any:
    """Create a pool as the provisioner does: only if it is not there."""
    body = {"properties": {**BODY["properties"], **properties}}
    return await pools.begin_create_or_update(
        name, body, match_condition=MatchConditions.IfMissing, etag="*"
    )


async def test_a_long_operation_is_polled_to_its_end(start: Any) -> None:
    async with start(profile=SHORT) as world, cloud_of(world) as pools:
        poller = await create(pools)
        assert poller.status() == "InProgress"
        pool = await poller.result()
        assert pool.provisioning_state == "Succeeded"
        assert pool.node_labels["kaito.sh/workspace"] == "w"
        assert pool.node_taints == ["sku=gpu:NoSchedule"]
        assert pool.e_tag
        assert [each.name async for each in pools.list()] == [POOL]
        deleting = await pools.begin_delete(POOL)
        assert (await pools.get(POOL)).provisioning_state == "Deleting"
        await deleting.result()
        with pytest.raises(ResourceNotFoundError) as gone:
            await pools.get(POOL)
        assert gone.value.error.message == "Agent Pool not found"


async def test_without_polling_the_first_answer_is_the_result(start: Any) -> None:
    async with start(profile=SHORT) as world, cloud_of(world) as pools:
        poller = await pools.begin_create_or_update(
            POOL, BODY, polling=False, match_condition=MatchConditions.IfMissing
        )
        assert (await poller.result()).provisioning_state == "Creating"
        with pytest.raises(ResourceExistsError) as busy:
            await pools.begin_delete(POOL, polling=False)
        assert busy.value.error.code == "OperationNotAllowed"
        assert "in progress create node pool operation" in busy.value.error.message


async def test_an_operation_is_picked_up_again_by_its_token(start: Any) -> None:
    async with start(profile=SHORT) as world, cloud_of(world) as pools:
        token = (await create(pools)).continuation_token()
        resumed = await pools.begin_create_or_update(POOL, BODY, continuation_token=token)
        assert (await resumed.result()).provisioning_state == "Succeeded"


async def test_nothing_is_overwritten_that_is_there(world: World) -> None:
    async with cloud_of(world) as pools:
        await (await create(pools)).result()
        with pytest.raises(ResourceExistsError) as caught:
            await create(pools)
        assert caught.value.status_code == 412


async def test_a_creation_can_be_aborted_and_deleted(start: Any) -> None:
    faults = (PoolFault(kind=FaultKind.STUCK),)
    async with start(profile=Profile.instant(faults=faults)) as world, cloud_of(world) as pools:
        await create(pools)
        await (await pools.begin_abort_latest_operation(POOL)).result()
        assert (await pools.get(POOL)).provisioning_state == "Canceled"
        await (await pools.begin_delete(POOL)).result()
        assert [each async for each in pools.list()] == []


async def test_machines_are_listed_and_deleted_by_name(world: World) -> None:
    async with cloud_of(world) as pools, cloud_of(world, group="machines") as machines:
        await (await create(pools, count=3)).result()
        listed = [each async for each in machines.list(POOL)]
        names = [world.cluster.azure.account.node_name(POOL, number) for number in range(3)]
        assert [each.name for each in listed] == names
        assert listed[1].properties.resource_id.endswith("/virtualMachines/1")
        assert (await machines.get(POOL, names[2])).name == names[2]
        await (await pools.begin_delete_machines(POOL, {"machineNames": [names[1]]})).result()
        assert (await pools.get(POOL)).count == 2
    await world.gone(NODES, names[1])
    await world.object(NODES, names[2], bool)


async def test_a_version_that_is_not_the_latest_changes_and_deletes_nothing(world: World) -> None:
    async with cloud_of(world) as pools:
        await (await create(pools)).result()
        old = (await pools.get(POOL)).e_tag
        await (await pools.begin_create_or_update(POOL, BODY)).result()
        same = {"etag": old, "match_condition": MatchConditions.IfNotModified}
        with pytest.raises(ResourceModifiedError):
            await pools.begin_create_or_update(POOL, BODY, **same)
        with pytest.raises(ResourceModifiedError):
            await pools.begin_delete(POOL, **same)
        same["etag"] = (await pools.get(POOL)).e_tag
        await (await pools.begin_delete(POOL, **same)).result()


async def test_what_aks_does_not_know_is_refused(world: World) -> None:
    async with cloud_of(world) as pools:
        for properties, code in (
            ({"vmsize": "Standard_D4s_v5"}, "UnmarshalError"),
            ({"count": 1001}, "InvalidParameter"),
        ):
            with pytest.raises(HttpResponseError) as refused:
                await create(pools, **properties)
            assert (refused.value.status_code, refused.value.error.code) == (400, code)


async def test_the_cluster_is_read(world: World) -> None:
    async with cloud_of(world) as pools, cloud_of(world, group="managed_clusters") as clusters:
        await (await create(pools)).result()
        cluster = await clusters.get()
    assert cluster.node_resource_group == world.cluster.azure.account.node_resource_group
    assert [pool.name for pool in cluster.agent_pool_profiles] == [POOL]
    assert cluster.max_agent_pools == 100


async def test_a_lost_answer_is_a_broken_connection_and_the_pool_is_there(world: World) -> None:
    async with cloud_of(world) as pools:
        with pytest.raises(AzureError):
            await create(pools, nodeLabels={"local.kaito.sh/fault": "lost"})
        assert (await pools.get(POOL)).vm_size == BODY["properties"]["vmSize"]


async def test_an_incident_is_rehearsed_with_kubectls_raw_requests(world: World) -> None:
    kubernetes = world.client
    fault = json.dumps({"kind": "unauthorized", "on": "list", "times": 1}).encode()
    await kubernetes.send(Call(method="POST", path=REHEARSAL, body=fault))
    async with cloud_of(world) as pools:
        with pytest.raises(HttpResponseError) as refused:
            [each async for each in pools.list()]
        assert (refused.value.status_code, refused.value.error.code) == (403, "AuthorizationFailed")
        assert [each async for each in pools.list()] == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [("sku-not-available", "SkuNotAvailable"), ("quota-late", "ReconcileVMSSAgentPoolFailed")],
)
async def test_a_failed_operation_says_why(world: World, kind: str, code: str) -> None:
    async with cloud_of(world) as pools:
        poller = await create(pools, nodeLabels={"local.kaito.sh/fault": kind})
        with pytest.raises(HttpResponseError) as failed:
            await poller.result()
        assert failed.value.error.code == code
        pool = await pools.get(POOL)
        assert pool.provisioning_state == "Failed"
        assert pool.status.provisioning_error.code == code


async def test_a_refused_request_is_read_in_either_form(world: World) -> None:
    async with cloud_of(world) as pools:
        with pytest.raises(HttpResponseError) as flat:
            await create(pools, nodeLabels={"local.kaito.sh/fault": "quota"})
        assert flat.value.error.code == "ErrCode_InsufficientVCPUQuota"
        with pytest.raises(HttpResponseError) as wrapped:
            await create(pools, vmSize="Standard_Nothing")
        assert wrapped.value.error.code == "BadRequest"
        with pytest.raises(HttpResponseError) as throttled:
            await create(pools, nodeLabels={"local.kaito.sh/fault": "throttled"})
        assert throttled.value.status_code == 429
        assert throttled.value.response.headers["Retry-After"] == "1"


async def test_a_wrong_token_is_refused(world: World) -> None:
    async with cloud_of(world, token="guess") as pools:
        with pytest.raises(ClientAuthenticationError):
            await pools.get(POOL)


async def test_a_pool_joins_as_a_node_whose_gpu_comes_last(world: World) -> None:
    async with cloud_of(world) as pools:
        await (await create(pools)).result()
    name = world.cluster.azure.account.node_name(POOL, 0)
    node = await world.object(
        NODES, name, lambda each: each["status"]["capacity"].get("nvidia.com/gpu") == "1"
    )
    node = await world.object(
        NODES,
        name,
        lambda each: all(t["key"] != NOT_READY_TAINT for t in each["spec"]["taints"]),
    )
    labels, spec = node["metadata"]["labels"], node["spec"]
    assert name.startswith(f"aks-{POOL}-")
    assert name.endswith("-vmss000000")
    assert labels["agentpool"] == labels["kubernetes.azure.com/agentpool"] == POOL
    assert labels["node.kubernetes.io/instance-type"] == "Standard_NC24ads_A100_v4"
    assert labels["kubernetes.io/hostname"] == name
    assert labels["kaito.sh/workspace"] == "w"
    assert spec["taints"] == [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}]
    assert spec["providerID"].endswith(
        f"/virtualMachineScaleSets/{name.removesuffix('000000')}/virtualMachines/0"
    )
    assert is_true(node["status"]["conditions"], "Ready")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    assert SIMULATED in node["metadata"]["annotations"]


async def test_pods_use_the_gpu_and_go_with_the_pool(world: World) -> None:
    await world.client.create(PODS, gpu_pod())
    refused = await world.object(
        PODS,
        "p",
        lambda each: find_condition(each["status"].get("conditions", ()), "PodScheduled"),
        "default",
    )
    condition = find_condition(refused["status"]["conditions"], "PodScheduled")
    assert condition is not None
    told = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    assert condition["message"].startswith(told)
    async with cloud_of(world) as pools:
        await (await create(pools)).result()
        running = await world.object(
            PODS, "p", lambda each: each["status"]["phase"] == "Running", "default"
        )
        node = running["spec"]["nodeName"]
        assert node == world.cluster.azure.account.node_name(POOL, 0)
        await (await pools.begin_delete(POOL)).result()
    await world.gone(NODES, node)
    await world.gone(PODS, "p")


async def test_a_node_that_a_finalizer_holds_does_not_keep_a_new_pool_away(world: World) -> None:
    async with cloud_of(world) as pools:
        await (await create(pools)).result()
        name = world.cluster.azure.account.node_name(POOL, 0)
        node = await world.object(NODES, name, bool)
        held = {"metadata": {"finalizers": ["example.com/held"]}}
        await world.client.patch(NODES, Key("", name), held)
        await (await pools.begin_delete(POOL)).result()
        await world.object(NODES, name, lambda each: each["metadata"].get("deletionTimestamp"))
        await (await create(pools)).result()
        await world.client.patch(NODES, Key("", name), {"metadata": {"finalizers": None}})
    uid = node["metadata"]["uid"]
    await world.object(NODES, name, lambda each: each["metadata"]["uid"] != uid)


async def test_pools_are_listed_for_another_process(world: World, tmp_path: Path) -> None:
    async with cloud_of(world) as pools:
        await (await create(pools)).result()
    path = tmp_path / "kubeconfig"
    world.cluster.write_kubeconfig(path)
    config = await from_kubeconfig(str(path))
    async with Client(config.transport()) as client:
        (row,) = await list_pools(client)
    assert row.wire() == {
        "name": POOL,
        "state": "Succeeded",
        "count": 1,
        "vmSize": "Standard_NC24ads_A100_v4",
        "labels": BODY["properties"]["nodeLabels"],
    }


async def test_a_cluster_without_a_local_cloud_says_so(world: World) -> None:
    await world.client.delete(CONFIG_MAPS, CONFIG_MAP)
    with pytest.raises(NotLocal, match="kaito local up"):
        await list_pools(world.client)


def gpu_pod() -> Object:
    limits = {"nvidia.com/gpu": "1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {
            "tolerations": [{"key": "sku", "operator": "Equal", "value": "gpu"}],
            "containers": [{"name": "main", "image": "x", "resources": {"limits": limits}}],
        },
    }
