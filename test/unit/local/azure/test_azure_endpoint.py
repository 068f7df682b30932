"""The cloud seen over HTTP, without sockets."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kaito.catalog.catalog import load
from kaito.local.apiserver.http import Request, Response
from kaito.local.azure.account import Account
from kaito.local.azure.endpoint import AzureEndpoint
from kaito.local.azure.faults import FAULT_LABEL, FaultKind, PoolFault
from kaito.local.azure.sizes import VmSizes
from kaito.local.profile import Profile

if TYPE_CHECKING:
    from conftest import ManualClock

ACCOUNT = Account()
SIZES = VmSizes(load())
GPU = "Standard_NC24ads_A100_v4"


class Cloud:
    """A client of the endpoint that reads as the requests do."""

    def __init__(
        self, clock: ManualClock, profile: Profile | None = None, directory: Path | None = None
    ) -> None:
        self.changed: list[str] = []
        numbers = itertools.count()
        self.endpoint = AzureEndpoint(
            account=ACCOUNT,
            sizes=SIZES,
            tokens=["letmein"],
            profile=profile or Profile(pool_create=10, pool_delete=5),
            clock=clock,
            on_change=self.changed.append,
            directory=directory,
            new_id=lambda: f"id-{id(self)}-{next(numbers)}",
        )
        self.endpoint.start()

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = "letmein", **headers: str
    ) -> Response:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        url, _, query = path.partition("?")
        return await self.endpoint.handle(
            Request(
                method,
                url,
                query or "api-version=2024-01-01",
                {"authorization": f"Bearer {token}", "host": "127.0.0.1:6443", **sent},
                b"" if body is None else json.dumps(body).encode(),
            )
        )

    async def put(self, name: str = "ws1", properties: Any = None, **headers: str) -> Response:
        body = {"properties": {"vmSize": GPU, **(properties or {})}}
        return await self.ask("PUT", f"{ACCOUNT.pools_path}/{name}", body, **headers)

    async def get(self, name: str = "ws1") -> Response:
        return await self.ask("GET", f"{ACCOUNT.pools_path}/{name}")

    async def delete(self, name: str = "ws1", **headers: str) -> Response:
        return await self.ask("DELETE", f"{ACCOUNT.pools_path}/{name}", **headers)

    async def follow(self, response: Response, header: str = "azure-asyncoperation") -> Response:
        url = response.headers[header]
        assert url.startswith("https://127.0.0.1:6443/")
        return await self.ask("GET", url.removeprefix("https://127.0.0.1:6443"))


def read(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def error(response: Response) -> tuple[int, str]:
    body = read(response)
    return response.status, body.get("error", body)["code"]


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
    pool = cloud.endpoint.pool("ws1")
    assert pool is not None
    assert pool.nodes == 1


async def test_if_none_match_refuses_to_overwrite(cloud: Cloud) -> None:
    assert (await cloud.put(if_none_match="*")).status == 201
    assert error(await cloud.put(if_none_match="*")) == (412, "PreconditionFailed")


async def test_an_etag_guards_changes_and_deletions(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.put()
    clock.advance(10)
    etag = (await cloud.get()).headers["etag"]
    assert (await cloud.put(if_match='"old"')).status == 412
    assert (await cloud.delete(if_match='"old"')).status == 412
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
    assert error(await cloud.delete()) == (404, "NotFound")
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
    pool = cloud.endpoint.pool("ws1")
    assert pool is not None
    assert pool.nodes == 2


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
        ({"count": True}, "InvalidParameter"),
        ({"osDiskSizeGB": 4}, "InvalidParameter"),
        ({"nodeTaints": ["gpu"]}, "InvalidParameter"),
        ({"nodeTaints": "gpu"}, "InvalidParameter"),
        ({"nodeLabels": {"a": 1}}, "InvalidParameter"),
    ],
)
async def test_a_bad_body_is_refused(cloud: Cloud, properties: Any, code: str) -> None:
    assert error(await cloud.put(properties=properties)) == (400, code)


async def test_a_list_comes_in_pages(cloud: Cloud) -> None:
    names = [f"p{number:03d}" for number in range(150)]
    for name in names:
        await cloud.put(name)
    first = read(await cloud.ask("GET", ACCOUNT.pools_path))
    assert len(first["value"]) == 100
    second = read(await cloud.ask("GET", first["nextLink"].removeprefix("https://127.0.0.1:6443")))
    assert [pool["name"] for pool in first["value"] + second["value"]] == names
    assert "nextLink" not in second


class TestFailures:
    """The ways to fail, asked for by the profile or by a label."""

    async def test_quota_is_refused_in_the_flat_form(self, clock: ManualClock) -> None:
        cloud = Cloud(clock, Profile(faults=(PoolFault(kind=FaultKind.QUOTA, vm_size="*A100*"),)))
        refused = await cloud.put()
        assert refused.status == 400
        assert read(refused)["code"] == "ErrCode_InsufficientVCPUQuota"
        assert "requested 24" in read(refused)["message"]
        assert (await cloud.get()).status == 404
        assert (await cloud.put("cpu", {"vmSize": "Standard_D4s_v3"})).status == 201

    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            ("sku-not-available", "SkuNotAvailable"),
            ("zonal-allocation-failed", "ZonalAllocationFailed"),
            ("failed", "InternalOperationError"),
            ("quota-late", "ReconcileVMSSAgentPoolFailed"),
        ],
    )
    async def test_a_creation_ends_failed(
        self, cloud: Cloud, clock: ManualClock, kind: str, code: str
    ) -> None:
        created = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: kind}})
        assert created.status == 201
        clock.advance(10)
        ended = read(await cloud.follow(created))
        assert ended["status"] == "Failed"
        assert ended["error"]["code"] == code
        properties = read(await cloud.get())["properties"]
        assert properties["provisioningState"] == "Failed"
        assert properties["status"]["provisioningError"]["code"] == code
        pool = cloud.endpoint.pool("ws1")
        assert pool is not None
        assert pool.nodes == 0
        assert (await cloud.delete()).status == 202

    async def test_a_late_quota_error_hides_in_the_details(
        self, cloud: Cloud, clock: ManualClock
    ) -> None:
        created = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "quota-late"}})
        clock.advance(10)
        (detail,) = read(await cloud.follow(created))["error"]["details"]
        assert detail["code"] == "OperationNotAllowed"
        assert "standardNCADSA100v4Family Cores quota" in detail["message"]

    async def test_throttling_ends_after_some_attempts(self, cloud: Cloud) -> None:
        labels = {"nodeLabels": {FAULT_LABEL: "throttled"}}
        first = await cloud.put(properties=labels)
        assert first.status == 429
        assert first.headers["Retry-After"] == "1"
        assert (await cloud.put(properties=labels)).status == 429
        assert (await cloud.put(properties=labels)).status == 201

    async def test_a_failure_can_be_had_a_number_of_times(self, clock: ManualClock) -> None:
        fault = PoolFault(kind=FaultKind.ZONE, times=1)
        cloud = Cloud(clock, Profile(pool_create=1, faults=(fault,)))
        await cloud.put()
        clock.advance(1)
        again = await cloud.put()
        assert again.status == 200
        clock.advance(1)
        assert read(await cloud.follow(again))["status"] == "Succeeded"
        pool = cloud.endpoint.pool("ws1")
        assert pool is not None
        assert pool.nodes == 1

    async def test_a_stuck_creation_never_ends_unless_it_is_aborted(
        self, cloud: Cloud, clock: ManualClock
    ) -> None:
        created = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "stuck"}})
        clock.advance(1_000_000)
        assert read(await cloud.follow(created))["status"] == "InProgress"
        assert (await cloud.ask("POST", f"{ACCOUNT.pools_path}/ws1/abort")).status == 202

    async def test_a_pool_can_succeed_without_a_node(
        self, cloud: Cloud, clock: ManualClock
    ) -> None:
        await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "no-node"}})
        clock.advance(10)
        pool = cloud.endpoint.pool("ws1")
        assert pool is not None
        assert (pool.state, pool.nodes) == ("Succeeded", 0)

    async def test_a_label_with_another_value_is_just_a_label(self, cloud: Cloud) -> None:
        assert (await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "x"}})).status == 201


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
