"""The cloud seen over HTTP, without sockets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kaito.local.azure.faults import FAULT_LABEL
from kaito.local.azure.limits import SUBSCRIPTION, Budget, Limits
from kaito.local.profile import Profile
from test.unit.local.azure.azure_client import ACCOUNT, GPU, Cloud, error, nodes, read

if TYPE_CHECKING:
    from test.unit.local.conftest import ManualClock


@pytest.fixture
def cloud(clock: ManualClock) -> Cloud:
    return Cloud(clock)


async def test_a_new_pool_is_created_in_time(cloud: Cloud, clock: ManualClock) -> None:
    created = await cloud.put(properties={"nodeLabels": {"a": "b"}})
    assert created.status == 201
    assert read(created)["properties"]["provisioningState"] == "Creating"
    assert read(created)["id"] == f"{ACCOUNT.pools_path}/ws1".replace("Groups", "groups")
    running = read(await cloud.follow(created))
    assert running["status"] == "InProgress"
    assert "endTime" not in running
    clock.advance(9.9)
    assert read(await cloud.get())["properties"]["provisioningState"] == "Creating"
    assert cloud.changed == []
    clock.advance(0.1)
    assert cloud.changed == ["ws1"], "the timer alone finishes it; nobody need ask"
    assert read(await cloud.follow(created))["status"] == "Succeeded"
    done = read(await cloud.get())["properties"]
    assert done["provisioningState"] == "Succeeded"
    assert done["count"] == 1
    assert done["nodeLabels"] == {"a": "b"}
    assert done["type"] == "VirtualMachineScaleSets"
    assert len(nodes(cloud)) == 1


async def test_if_none_match_refuses_to_overwrite(cloud: Cloud) -> None:
    assert (await cloud.put(if_none_match="*")).status == 201
    assert error(await cloud.put(if_none_match="*")) == (412, "PreconditionFailed")


async def test_an_etag_guards_changes_and_deletions(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.put()
    clock.advance(10)
    etag = (await cloud.get()).headers["etag"]
    assert (await cloud.put(if_match='"old"')).status == 412
    assert (await cloud.delete(if_match='"old"')).status == 412
    assert (await cloud.delete(if_match='""')).status == 412
    changed = await cloud.put(properties={"count": 2}, if_match=etag)
    assert changed.status == 200
    assert changed.headers["etag"] != etag


async def test_a_busy_pool_refuses_everything_but_reading(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.put()
    again = await cloud.put()
    assert error(again) == (409, "OperationNotAllowed")
    assert (
        "Operation is not allowed because there's an in progress create node pool operation"
        in read(again)["error"]["message"]
    )
    assert error(await cloud.delete()) == (409, "OperationNotAllowed")
    clock.advance(10)
    assert (await cloud.delete()).status == 202
    assert "in progress delete" in read(await cloud.delete())["error"]["message"]


async def test_a_deleted_pool_is_gone_in_time(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.put()
    clock.advance(10)
    begun = await cloud.delete()
    assert begun.status == 202
    assert read(await cloud.get())["properties"]["provisioningState"] == "Deleting"
    assert (await cloud.follow(begun, "location")).status == 202
    clock.advance(5)
    assert read(await cloud.follow(begun))["status"] == "Succeeded"
    assert (await cloud.follow(begun, "location")).status == 204
    gone = await cloud.get()
    assert gone.status == 404
    assert read(gone)["error"]["message"] == "Agent Pool not found"
    assert (await cloud.delete()).status == 204
    assert cloud.changed == ["ws1", "ws1"]


async def test_an_update_changes_labels_and_count_but_not_the_size(
    cloud: Cloud, clock: ManualClock
) -> None:
    await cloud.put()
    clock.advance(10)
    updated = await cloud.put(properties={"count": 2, "nodeLabels": {"a": "b"}})
    assert updated.status == 200
    assert read(updated)["properties"]["provisioningState"] == "Updating"
    clock.advance(10)
    refused = await cloud.put(properties={"vmSize": "Standard_D4s_v3"})
    assert error(refused) == (400, "PropertyChangeNotAllowed")
    assert len(nodes(cloud)) == 2


async def test_an_abort_cancels_a_creation_that_takes_too_long(
    cloud: Cloud, clock: ManualClock
) -> None:
    created = await cloud.put()
    abort = f"{ACCOUNT.pools_path}/ws1/abort".replace("managedClusters", "managedclusters")
    assert (await cloud.ask("POST", abort)).status == 202
    assert read(await cloud.follow(created))["status"] == "Canceled"
    assert read(await cloud.get())["properties"]["provisioningState"] == "Canceled"
    assert error(await cloud.ask("POST", abort)) == (409, "OperationNotAllowed")
    assert (await cloud.delete()).status == 202


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/subscriptions/other/resourceGroups/kaito-local", "InvalidResourceType"),
        (ACCOUNT.pools_path.replace("00000001", "00000009"), "SubscriptionNotFound"),
        (ACCOUNT.pools_path.replace("s/kaito-local", "s/other", 1), "ResourceGroupNotFound"),
        (ACCOUNT.pools_path.replace("Clusters/kaito-local", "Clusters/x"), "ResourceNotFound"),
        (ACCOUNT.operation_path("nothing"), "NotFound"),
    ],
)
async def test_what_does_not_exist_is_not_found(cloud: Cloud, path: str, code: str) -> None:
    assert error(await cloud.ask("GET", path)) == (404, code)


async def test_paths_are_read_in_any_case(cloud: Cloud) -> None:
    await cloud.put()
    assert (await cloud.ask("GET", f"{ACCOUNT.pools_path}/WS1".upper())).status == 200


async def test_only_the_right_token_is_let_in(cloud: Cloud) -> None:
    assert error(await cloud.ask("GET", ACCOUNT.pools_path, token="guess")) == (
        401,
        "InvalidAuthenticationToken",
    )
    assert error(await cloud.ask("GET", ACCOUNT.pools_path, authorization="")) == (
        401,
        "AuthenticationFailed",
    )


async def test_an_api_version_is_required(cloud: Cloud) -> None:
    answer = await cloud.ask("GET", f"{ACCOUNT.pools_path}?x=y")
    assert error(answer) == (400, "MissingApiVersionParameter")


@pytest.mark.parametrize("name", ["ws-1", "1ws", "abcdefghijklm", "Ws1 "])
async def test_a_bad_name_is_refused(cloud: Cloud, name: str) -> None:
    assert error(await cloud.put(name)) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"vmSize": "Standard_Nothing"}, "BadRequest"),
        ({"vmSize": None}, "InvalidParameter"),
        ({"count": -1}, "InvalidParameter"),
        ({"count": 1001}, "InvalidParameter"),
        ({"count": 0, "mode": "System"}, "InvalidParameter"),
        ({"count": True}, "UnmarshalError"),
        ({"count": 2**31}, "UnmarshalError"),
        ({"cuont": 1}, "UnmarshalError"),
        ({"upgradeSettings": {"surge": 1}}, "UnmarshalError"),
        ({"osType": "Plan9"}, "InvalidParameter"),
        ({"osSKU": "Windows2022"}, "InvalidParameter"),
        ({"osDiskSizeGB": 4}, "InvalidParameter"),
        ({"maxPods": 9}, "InvalidParameter"),
        ({"availabilityZones": ["4"]}, "InvalidParameter"),
        ({"nodeTaints": ["gpu"]}, "InvalidParameter"),
        ({"nodeTaints": ["a b=c:NoSchedule"]}, "InvalidParameter"),
        ({"nodeTaints": "gpu"}, "UnmarshalError"),
        ({"nodeLabels": {"a": 1}}, "UnmarshalError"),
        ({"nodeLabels": {"a": "b c"}}, "InvalidParameter"),
        ({"nodeLabels": {"/a": "b"}}, "InvalidParameter"),
        ({"nodeLabels": {"kubernetes.azure.com/a": "b"}}, "InvalidParameter"),
        ({"minCount": 1, "maxCount": 2}, "InvalidParameter"),
        ({"enableAutoScaling": True, "minCount": 2, "maxCount": 1}, "InvalidParameter"),
        ({"spotMaxPrice": -1}, "InvalidParameter"),
        ({"scaleSetPriority": "Spot", "spotMaxPrice": 0}, "InvalidParameter"),
        ({"scaleSetPriority": "Spot", "mode": "System"}, "InvalidParameter"),
        ({"scaleSetPriority": "Spot", "spotMaxPrice": 1.000001}, "InvalidParameter"),
        ({"tags": {"a": "b" * 257}}, "InvalidParameter"),
        ({"tags": {"a/b": "c"}}, "InvalidParameter"),
        ({"tags": {"AzureTeam": "c"}}, "InvalidParameter"),
        ({"tags": {"a": "1", "A": "2"}}, "InvalidParameter"),
        ({"osDiskType": "Ephemeral", "osDiskSizeGB": 2048}, "InvalidParameter"),
        ({"osDiskType": "SSD"}, "InvalidParameter"),
        ({"gpuProfile": {"driver": "Latest"}}, "InvalidParameter"),
        ({"vnetSubnetID": "aks-subnet"}, "InvalidParameter"),
        ({"nodeInitializationTaints": ["a=b:NoSchedule"]}, "UnmarshalError"),
    ],
)
async def test_a_bad_body_is_refused(cloud: Cloud, properties: Any, code: str) -> None:
    assert error(await cloud.put(properties=properties)) == (400, code)


async def test_what_aks_fills_in_is_shown(cloud: Cloud) -> None:
    plain = read(await cloud.put("a"))["properties"]
    assert plain["osDiskType"] == "Managed"
    assert not {"spotMaxPrice", "scaleSetEvictionPolicy"} & set(plain)
    spot = read(await cloud.put("b", {"scaleSetPriority": "Spot"}))["properties"]
    assert (spot["spotMaxPrice"], spot["scaleSetEvictionPolicy"]) == (-1, "Delete")
    own = {"scaleSetPriority": "Spot", "spotMaxPrice": 1.25, "tags": {"team": "ml"}}
    assert read(await cloud.put("c", own))["properties"].items() >= own.items()


async def test_the_price_of_a_spot_pool_cannot_change(cloud: Cloud, clock: ManualClock) -> None:
    spot = {"scaleSetPriority": "Spot", "spotMaxPrice": 1.25}
    await cloud.put(properties=spot)
    clock.advance(10)
    changed = await cloud.put(properties={**spot, "spotMaxPrice": 2})
    assert error(changed) == (400, "PropertyChangeNotAllowed")


async def test_a_preview_version_has_taints_for_the_start_of_a_node(cloud: Cloud) -> None:
    path, taints = f"{ACCOUNT.pools_path}/ws1", ["a=b:NoExecute"]
    preview = f"{path}?api-version=2026-07-02-preview"
    body = {"properties": {"vmSize": GPU, "nodeInitializationTaints": taints}}
    made = read(await cloud.ask("PUT", preview, body, content_type="application/json"))
    assert made["properties"]["nodeInitializationTaints"] == taints
    assert read(await cloud.ask("GET", preview))["properties"] == made["properties"]
    stable = read(await cloud.ask("GET", path))["properties"]
    assert "nodeInitializationTaints" not in stable
    wrong = {"properties": {"vmSize": GPU, "nodeInitializationTaints": ["a"]}}
    answer = await cloud.ask("PUT", preview, wrong, content_type="application/json")
    assert error(answer) == (400, "InvalidParameter")


async def test_a_list_comes_in_pages(cloud: Cloud) -> None:
    names = [f"p{number:03d}" for number in range(80)]
    for name in names:
        await cloud.put(name)
    first = read(await cloud.ask("GET", ACCOUNT.pools_path))
    assert len(first["value"]) == 50
    second = read(await cloud.ask("GET", first["nextLink"].removeprefix("https://127.0.0.1:6443")))
    assert [pool["name"] for pool in first["value"] + second["value"]] == names
    assert "nextLink" not in second


async def test_a_cluster_takes_no_more_pools_than_aks_allows(
    cloud: Cloud, clock: ManualClock
) -> None:
    for number in range(100):
        assert (await cloud.put(f"p{number:03d}")).status == 201
    assert error(await cloud.put("onemore")) == (400, "MaxAgentPoolCountReached")
    clock.advance(10)
    assert (await cloud.put("p000", {"count": 2})).status == 200, "what is there may change"


async def test_the_limits_can_be_raised(clock: ManualClock) -> None:
    raised = Limits(pools=101, nodes_per_pool=2000)
    cloud = Cloud(clock, Profile(limits=raised))
    assert (await cloud.put(properties={"count": 2000})).status == 201
    assert len(raised.raised) == 2
    assert Limits().raised == ()


async def test_the_last_system_pool_cannot_be_deleted(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.put("system1", {"mode": "System"})
    await cloud.put("system2", {"mode": "System"})
    clock.advance(10)
    assert (await cloud.delete("system1")).status == 202
    clock.advance(5)
    assert error(await cloud.delete("system2")) == (400, "OperationNotAllowed")


async def test_a_stopped_pool_keeps_its_machines_and_loses_its_nodes(
    cloud: Cloud, clock: ManualClock
) -> None:
    await cloud.put()
    clock.advance(10)
    await cloud.put(properties={"powerState": {"code": "Stopped"}})
    assert nodes(cloud) == (0,), "until the operation is over"
    clock.advance(10)
    assert nodes(cloud) == ()
    assert read(await cloud.get())["properties"]["powerState"] == {"code": "Stopped"}
    await cloud.put(properties={"powerState": {"code": "Running"}})
    clock.advance(10)
    assert nodes(cloud) == (0,)


class TestMachines:
    """The virtual machines of a pool."""

    async def test_named_machines_are_deleted_and_never_come_back_under_their_names(
        self, cloud: Cloud, clock: ManualClock
    ) -> None:
        await cloud.put(properties={"count": 3})
        clock.advance(10)
        doomed = ACCOUNT.node_name("ws1", 1)
        begun = await cloud.post("deleteMachines", {"machineNames": [doomed]})
        assert begun.status == 202
        assert error(await cloud.put()) == (409, "OperationNotAllowed")
        assert nodes(cloud) == (0, 1, 2)
        clock.advance(5)
        assert read(await cloud.follow(begun))["status"] == "Succeeded"
        assert nodes(cloud) == (0, 2)
        assert read(await cloud.get())["properties"]["count"] == 2
        await cloud.put(properties={"count": 3})
        clock.advance(10)
        assert nodes(cloud) == (0, 2, 3)
        await cloud.put(properties={"count": 1})
        clock.advance(10)
        assert nodes(cloud) == (0,), "the youngest go first"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({"machineNames": ["aks-other-1-vmss000000"]}, "InvalidParameter"),
            ({"machineNames": []}, "InvalidParameter"),
            ({}, "InvalidParameter"),
            ({"machines": ["x"]}, "UnmarshalError"),
        ],
    )
    async def test_machines_that_are_not_there_are_refused(
        self, cloud: Cloud, clock: ManualClock, body: Any, code: str
    ) -> None:
        await cloud.put(properties={"count": 2})
        clock.advance(10)
        assert error(await cloud.post("deleteMachines", body)) == (400, code)
        assert nodes(cloud) == (0, 1)

    async def test_machines_are_listed_in_pages_and_read(
        self, cloud: Cloud, clock: ManualClock
    ) -> None:
        await cloud.put(properties={"count": 80, "availabilityZones": ["1", "3"]})
        clock.advance(10)
        path = ACCOUNT.machines_path("ws1")
        first = read(await cloud.ask("GET", path))
        second = read(
            await cloud.ask("GET", first["nextLink"].removeprefix("https://127.0.0.1:6443"))
        )
        assert [len(first["value"]), len(second["value"])] == [50, 30]
        names = {machine["name"] for machine in first["value"] + second["value"]}
        assert names == {ACCOUNT.node_name("ws1", number) for number in range(80)}
        one = read(await cloud.ask("GET", f"{path}/{ACCOUNT.node_name('ws1', 1)}"))
        assert one["zones"] == ["3"]
        assert one["properties"]["resourceId"].endswith("-vmss/virtualMachines/1")
        assert error(await cloud.ask("GET", f"{path}/nobody")) == (404, "NotFound")


class TestManners:
    """What Resource Manager does with every request."""

    @pytest.mark.parametrize(
        ("body", "headers", "status", "code"),
        [
            (b"{", {}, 400, "InvalidRequestContent"),
            (b"\xff", {}, 400, "InvalidRequestContent"),
            (b"[" * 100_000, {}, 400, "UnmarshalError"),
            (b"[]", {}, 400, "UnmarshalError"),
            (b"{}", {}, 400, "InvalidParameter"),
            (b"{}", {"content-type": "text/plain"}, 415, "UnsupportedMediaType"),
            (b" " * (4 * 2**20 + 1), {}, 413, "RequestEntityTooLarge"),
        ],
    )
    async def test_a_body_that_is_none_is_told(
        self, cloud: Cloud, body: bytes, headers: dict[str, str], status: int, code: str
    ) -> None:
        answer = await cloud.raw("PUT", f"{ACCOUNT.pools_path}/ws1", body, **headers)
        assert error(answer) == (status, code)

    async def test_if_none_match_can_only_be_a_star(self, cloud: Cloud) -> None:
        assert error(await cloud.put(if_none_match='"abc"')) == (400, "InvalidHeaderValue")

    @pytest.mark.parametrize("version", ["latest", "2024-1-1", "20240101"])
    async def test_an_api_version_is_a_date(self, cloud: Cloud, version: str) -> None:
        answer = await cloud.ask("GET", f"{ACCOUNT.pools_path}?api-version={version}")
        assert error(answer) == (400, "InvalidApiVersionParameter")

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("PATCH", f"{ACCOUNT.pools_path}/ws1"),
            ("PUT", ACCOUNT.cluster_path),
            ("DELETE", ACCOUNT.cluster_path),
            ("POST", f"{ACCOUNT.pools_path}/ws1/dance"),
            ("GET", f"{ACCOUNT.cluster_path}/maintenanceConfigurations"),
        ],
    )
    async def test_what_is_not_served_says_so(self, cloud: Cloud, method: str, path: str) -> None:
        assert error(await cloud.ask(method, path)) == (405, "HttpMethodNotAllowed")

    async def test_every_answer_tells_what_is_left_of_the_budget(self, cloud: Cloud) -> None:
        reads = "x-ms-ratelimit-remaining-subscription-reads"
        left = [int((await cloud.get()).headers[reads]) for _ in range(3)]
        assert left == [249, 248, 247]
        put = await cloud.put()
        assert put.headers["x-ms-ratelimit-remaining-subscription-writes"] == "199"
        assert put.headers["retry-after"] == "1"

    async def test_how_much_there_is_of_a_budget_is_a_choice(self, clock: ManualClock) -> None:
        small = {**SUBSCRIPTION, "reads": Budget(size=2, refill=1)}
        cloud = Cloud(clock, Profile(limits=Limits(throttling=1.0, subscription=small)))
        answers = [await cloud.get() for _ in range(3)]
        assert [answer.status for answer in answers] == [404, 404, 429]
        reads = "x-ms-ratelimit-remaining-subscription-reads"
        assert [answer.headers[reads] for answer in answers] == ["1", "0", "0"]

    async def test_budgets_are_enforced_when_asked_for_and_fill_up_again(
        self, clock: ManualClock
    ) -> None:
        cloud = Cloud(clock, Profile(limits=Limits(throttling=1.0)))
        answers = [(await cloud.put(if_none_match="*")).status for _ in range(21)]
        assert answers == [201, *[412] * 19, 429], "twenty PUTs of one pool at once"
        assert (await cloud.put("other")).status == 201, "each pool has its own budget"
        refused = await cloud.put()
        assert error(refused) == (429, "Throttled")
        assert refused.headers["retry-after"] == "60"
        clock.advance(60)
        assert (await cloud.put()).status != 429

    async def test_resource_manager_counts_for_the_whole_subscription(
        self, clock: ManualClock
    ) -> None:
        cloud = Cloud(clock, Profile(limits=Limits(throttling=1.0)))
        codes = {error(await cloud.get(f"p{number}"))[1] for number in range(300)}
        assert codes == {"NotFound", "Throttled", "SubscriptionRequestsThrottled"}

    async def test_the_cluster_shows_its_pools(self, cloud: Cloud, clock: ManualClock) -> None:
        await cloud.put()
        clock.advance(10)
        cluster = read(await cloud.ask("GET", ACCOUNT.cluster_path))
        assert cluster["properties"]["nodeResourceGroup"] == ACCOUNT.node_resource_group
        assert [each["name"] for each in cluster["properties"]["agentPoolProfiles"]] == ["ws1"]
        listed = read(await cloud.ask("GET", ACCOUNT.clusters_path))
        assert listed["value"] == [cluster]


class TestRestart:
    """With a directory, the cloud outlives the process."""

    async def test_pools_and_running_operations_are_kept(
        self, clock: ManualClock, tmp_path: Path
    ) -> None:
        before = Cloud(clock, directory=tmp_path)
        created = await before.put()
        clock.advance(4)
        before.endpoint.stop()
        after = Cloud(clock, directory=tmp_path)
        assert read(await after.follow(created))["status"] == "InProgress"
        clock.advance(6)
        assert read(await after.follow(created))["status"] == "Succeeded"
        assert after.changed == ["ws1"]
        assert before.changed == []

    async def test_a_deleted_pool_stays_deleted(self, clock: ManualClock, tmp_path: Path) -> None:
        before = Cloud(clock, directory=tmp_path)
        await before.put()
        await before.put("ws2")
        clock.advance(10)
        await before.delete()
        clock.advance(5)
        before.endpoint.stop()
        after = Cloud(clock, directory=tmp_path)
        assert [pool.name for pool in after.endpoint.pools()] == ["ws2"]

    async def test_an_operation_that_never_ends_does_not_end_by_a_restart(
        self, clock: ManualClock, tmp_path: Path
    ) -> None:
        fault = {FAULT_LABEL: "stuck"}
        before = Cloud(clock, directory=tmp_path)
        created = await before.put(properties={"nodeLabels": fault, "count": 2})
        before.endpoint.stop()
        after = Cloud(clock, directory=tmp_path)
        clock.advance(1_000_000)
        assert read(await after.follow(created))["status"] == "InProgress"

    async def test_machines_keep_their_numbers(self, clock: ManualClock, tmp_path: Path) -> None:
        before = Cloud(clock, directory=tmp_path)
        await before.put(properties={"count": 3})
        clock.advance(10)
        await before.post("deleteMachines", {"machineNames": [ACCOUNT.node_name("ws1", 0)]})
        clock.advance(5)
        before.endpoint.stop()
        after = Cloud(clock, directory=tmp_path)
        assert nodes(after) == (1, 2)
        await after.put(properties={"count": 3})
        clock.advance(10)
        assert nodes(after) == (1, 2, 3)
