"""The ways to fail, asked for by the profile, by a label, or while the cluster runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kaito.local.apiserver.http import Request
from kaito.local.apiserver.status import StatusError
from kaito.local.apiserver.watches import Cut
from kaito.local.azure.effects import DESCRIPTIONS, Circumstances, effect
from kaito.local.azure.faults import FAULT_LABEL, Ask, FaultKind, PoolFault
from kaito.local.azure.rehearsing import PATH, Rehearsal
from kaito.local.profile import Profile
from test.unit.local.azure.azure_client import ACCOUNT, GPU, Cloud, error, nodes, read

if TYPE_CHECKING:
    from test.unit.local.conftest import ManualClock


DOCUMENTATION = Path(__file__).parents[4] / "docs" / "local.md"


@pytest.fixture
def cloud(clock: ManualClock) -> Cloud:
    return Cloud(clock)


async def test_quota_is_refused_in_the_flat_form(clock: ManualClock) -> None:
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
        ("allocation-failed", "AllocationFailed"),
        ("zonal-allocation-failed", "ZonalAllocationFailed"),
        ("overconstrained", "OverconstrainedAllocationRequest"),
        ("overconstrained-zonal", "OverconstrainedZonalAllocationRequest"),
        ("spot-quota-late", "OperationNotAllowed"),
        ("subnet-full", "SubnetIsFull"),
        ("failed", "InternalOperationError"),
        ("quota-late", "ReconcileVMSSAgentPoolFailed"),
    ],
)
async def test_a_creation_ends_failed(
    cloud: Cloud, clock: ManualClock, kind: str, code: str
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
    assert nodes(cloud) == ()
    assert (await cloud.delete()).status == 202


async def test_a_late_quota_error_hides_in_the_details(cloud: Cloud, clock: ManualClock) -> None:
    created = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "quota-late"}})
    clock.advance(10)
    (detail,) = read(await cloud.follow(created))["error"]["details"]
    assert detail["code"] == "OperationNotAllowed"
    assert "standardNCADSA100v4Family Cores quota" in detail["message"]


async def test_throttling_ends_after_some_attempts(cloud: Cloud) -> None:
    labels = {"nodeLabels": {FAULT_LABEL: "throttled"}}
    first = await cloud.put(properties=labels)
    assert first.status == 429
    assert first.headers["retry-after"] == "1"
    assert (await cloud.put(properties=labels)).status == 429
    assert (await cloud.put(properties=labels)).status == 201


async def test_a_failure_can_be_had_a_number_of_times(clock: ManualClock) -> None:
    fault = PoolFault(kind=FaultKind.ZONE, times=1)
    cloud = Cloud(clock, Profile(pool_create=1, faults=(fault,)))
    await cloud.put()
    clock.advance(1)
    again = await cloud.put()
    assert again.status == 200
    clock.advance(1)
    assert read(await cloud.follow(again))["status"] == "Succeeded"
    assert nodes(cloud) == (0,)


async def test_a_stuck_creation_never_ends_unless_it_is_aborted(
    cloud: Cloud, clock: ManualClock
) -> None:
    created = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "stuck"}})
    clock.advance(1_000_000)
    assert read(await cloud.follow(created))["status"] == "InProgress"
    assert (await cloud.ask("POST", f"{ACCOUNT.pools_path}/ws1/abort")).status == 202


async def test_a_pool_can_succeed_without_a_node(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "no-node"}})
    clock.advance(10)
    assert read(await cloud.get())["properties"]["provisioningState"] == "Succeeded"
    assert nodes(cloud) == ()


async def test_a_label_with_another_value_is_just_a_label(cloud: Cloud) -> None:
    assert (await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "x"}})).status == 201


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("quota-region", 400, "ErrCode_InsufficientVCPUQuota"),
        ("sku-retired", 400, "BadRequest"),
        ("policy", 403, "RequestDisallowedByPolicy"),
        ("unauthorized", 403, "AuthorizationFailed"),
        ("unauthenticated", 401, "ExpiredAuthenticationToken"),
        ("locked", 409, "ScopeLocked"),
        ("cluster-gone", 404, "ResourceNotFound"),
        ("group-gone", 404, "ResourceGroupNotFound"),
        ("subscription-disabled", 409, "ReadOnlyDisabledSubscription"),
        ("busy", 409, "OperationNotAllowed"),
        ("subscription-throttled", 429, "SubscriptionRequestsThrottled"),
        ("server-error", 500, "InternalServerError"),
        ("unavailable", 503, "ServiceUnavailable"),
        ("gateway-timeout", 504, "GatewayTimeout"),
    ],
)
async def test_a_creation_is_refused(cloud: Cloud, kind: str, status: int, code: str) -> None:
    refused = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: kind}})
    assert error(refused) == (status, code)
    assert cloud.endpoint.pools() == []


async def test_a_policy_names_itself_in_the_additional_information(cloud: Cloud) -> None:
    refused = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "policy"}})
    (information,) = read(refused)["error"]["additionalInfo"]
    assert information["type"] == "PolicyViolation"
    assert information["info"]["policyAssignmentName"] == "allowed-sizes"


async def test_a_connection_that_is_reset_has_done_nothing(cloud: Cloud) -> None:
    with pytest.raises(Cut):
        await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "reset"}})
    assert cloud.endpoint.pools() == []


async def test_an_answer_that_is_lost_leaves_a_pool_that_comes_up(
    cloud: Cloud, clock: ManualClock
) -> None:
    with pytest.raises(Cut):
        await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "lost"}})
    clock.advance(10)
    assert nodes(cloud) == (0,)


async def test_a_canceled_operation_has_no_error(cloud: Cloud, clock: ManualClock) -> None:
    created = await cloud.put(properties={"nodeLabels": {FAULT_LABEL: "canceled"}})
    clock.advance(10)
    ended = read(await cloud.follow(created))
    assert ended["status"] == "Canceled"
    assert "error" not in ended
    assert read(await cloud.get())["properties"]["provisioningState"] == "Canceled"


async def test_a_slow_operation_takes_as_much_longer_as_is_said(clock: ManualClock) -> None:
    slow = PoolFault(kind=FaultKind.SLOW, seconds=100, on=Ask.DELETE)
    cloud = Cloud(clock, Profile(pool_create=10, pool_delete=5, faults=(slow,)))
    await cloud.put()
    clock.advance(10)
    begun = await cloud.delete()
    clock.advance(104.9)
    assert read(await cloud.follow(begun))["status"] == "InProgress"
    clock.advance(0.1)
    assert read(await cloud.follow(begun))["status"] == "Succeeded"


@pytest.mark.parametrize("ask", Ask)
async def test_a_fault_strikes_the_requests_it_is_about_and_no_others(
    clock: ManualClock, ask: Ask
) -> None:
    cloud = Cloud(clock, Profile(pool_create=10, pool_delete=5))
    pool, struck = f"{ACCOUNT.pools_path}/ws1", set()

    async def request(which: Ask, method: str, path: str, body: Any = None) -> None:
        answer = await cloud.ask(method, path, body)
        if answer.status == 503:
            struck.add(which)

    body = {"properties": {"vmSize": GPU, "count": 2}}
    doomed = {"machineNames": [ACCOUNT.node_name("ws1", 0)]}
    created = await cloud.put(properties={"count": 2})
    clock.advance(10)
    cloud.endpoint.faults.add(PoolFault(kind=FaultKind.UNAVAILABLE, on=ask))
    await request(Ask.GET, "GET", pool)
    await request(Ask.LIST, "GET", ACCOUNT.pools_path)
    url = created.headers["azure-asyncoperation"].removeprefix("https://127.0.0.1:6443")
    await request(Ask.POLL, "GET", url)
    await request(Ask.CREATE, "PUT", f"{ACCOUNT.pools_path}/ws2", body)
    await request(Ask.UPDATE, "PUT", pool, body)
    await request(Ask.ABORT, "POST", f"{pool}/abort")
    clock.advance(10)
    await request(Ask.DELETE_MACHINES, "POST", f"{pool}/deleteMachines", doomed)
    clock.advance(10)
    await request(Ask.DELETE, "DELETE", pool)
    assert struck == {ask}


async def test_a_deletion_that_fails_leaves_the_pool_and_its_nodes(
    cloud: Cloud, clock: ManualClock
) -> None:
    await cloud.put()
    clock.advance(10)
    cloud.endpoint.faults.add(PoolFault(kind=FaultKind.FAILED, on=Ask.DELETE, times=1))
    await cloud.delete()
    clock.advance(5)
    assert read(await cloud.get())["properties"]["provisioningState"] == "Failed"
    assert nodes(cloud) == (0,)
    await cloud.delete()
    clock.advance(5)
    assert (await cloud.get()).status == 404


async def test_a_scaling_that_fails_adds_no_machines(cloud: Cloud, clock: ManualClock) -> None:
    await cloud.put()
    clock.advance(10)
    cloud.endpoint.faults.add(PoolFault(kind=FaultKind.QUOTA_LATE, on=Ask.UPDATE))
    await cloud.put(properties={"count": 5})
    clock.advance(10)
    assert nodes(cloud) == (0,)


async def test_nodes_are_spoiled_by_a_fault_that_is_no_label(
    cloud: Cloud, clock: ManualClock
) -> None:
    cloud.endpoint.faults.add(PoolFault(kind=FaultKind.NO_GPU))
    await cloud.put()
    clock.advance(10)
    pool = cloud.endpoint.pool("ws1")
    assert pool is not None
    assert pool.spoiled is FaultKind.NO_GPU


async def test_an_unavailable_size_is_listed_as_restricted(cloud: Cloud) -> None:
    cloud.endpoint.faults.add(PoolFault(kind=FaultKind.SKU, vm_size="*A100*"))
    path = f"/subscriptions/{ACCOUNT.subscription}/providers/Microsoft.Compute/skus"
    skus = {sku["name"]: sku for sku in read(await cloud.ask("GET", path))["value"]}
    (restriction,) = skus[GPU]["restrictions"]
    assert restriction["reasonCode"] == "NotAvailableForSubscription"
    assert skus["Standard_NC40ads_H100_v5"]["restrictions"] == []
    capabilities = {each["name"]: each["value"] for each in skus[GPU]["capabilities"]}
    assert capabilities == {"vCPUs": "24", "MemoryGB": "220", "GPUs": "1"}
    query = "?api-version=2021-07-01&%24filter=location%20eq%20'{}'"
    here = read(await cloud.ask("GET", path + query.format("eastus")))["value"]
    assert here == list(skus.values())
    assert read(await cloud.ask("GET", path + query.format("westus")))["value"] == []


@pytest.mark.parametrize("kind", FaultKind)
def test_every_fault_is_described_and_does_something(kind: FaultKind) -> None:
    code = "X" if kind is FaultKind.OTHER else ""
    about = Circumstances(account=ACCOUNT, ask=Ask.CREATE, pool="p", vm_size=GPU, cores=24)
    assert DESCRIPTIONS[kind]
    assert effect(PoolFault(kind=kind, code=code), about) != effect(None, about)


def test_the_documentation_has_every_fault_in_the_same_words() -> None:
    documented = set(DOCUMENTATION.read_text().splitlines())
    assert {f"| `{kind}` | {text} |" for kind, text in DESCRIPTIONS.items()} <= documented


@pytest.mark.parametrize(
    "nonsense",
    [
        {"kind": FaultKind.QUOTA, "times": -1},
        {"kind": FaultKind.SLOW, "seconds": float("inf")},
        {"kind": FaultKind.OTHER},
        {"kind": FaultKind.OTHER, "code": "X", "status": 200},
        {"kind": FaultKind.QUOTA, "code": "X"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(nonsense: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".{10}"):
        PoolFault(**nonsense)


class TestRehearsal:
    """Faults over HTTP, while the cluster runs."""

    async def ask(
        self, cloud: Cloud, method: str, name: str = "", body: Any = None, token: str = "admin"
    ) -> tuple[int, Any]:
        rehearsal = Rehearsal(cloud.endpoint.faults, tokens=["admin"])
        data = b"" if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {token}"}
        try:
            response = await rehearsal.handle(Request(method, f"{PATH}{name}", "", headers, data))
        except StatusError as error:
            return error.code, error.message
        return response.status, read(response)

    async def test_a_fault_is_added_seen_and_taken_back(self, cloud: Cloud) -> None:
        status, added = await self.ask(cloud, "POST", "", {"kind": "quota", "vmSize": "*A100*"})
        assert (status, added) == (201, {"id": "1", "kind": "quota", "vmSize": "*A100*"})
        assert error(await cloud.put())[1] == "ErrCode_InsufficientVCPUQuota"
        _, state = await self.ask(cloud, "GET")
        assert state["faults"] == [added]
        assert set(state["kinds"]) == set(FaultKind)
        assert (await self.ask(cloud, "DELETE", "/1"))[0] == 200
        assert (await cloud.put()).status == 201
        assert (await self.ask(cloud, "DELETE", "/1"))[0] == 404

    async def test_the_latest_fault_comes_first_and_all_can_be_taken_back(
        self, cloud: Cloud
    ) -> None:
        await self.ask(cloud, "POST", "", {"kind": "quota"})
        other = {"kind": "other", "status": 418, "code": "Teapot", "message": "short and stout"}
        await self.ask(cloud, "POST", "", other)
        assert error(await cloud.put()) == (418, "Teapot")
        await self.ask(cloud, "DELETE")
        assert (await cloud.put()).status == 201

    @pytest.mark.parametrize(
        "body", [{}, {"kind": "x"}, {"kind": "quota", "tiems": 1}, {"kind": "other"}, [], "["]
    )
    async def test_nonsense_is_told(self, cloud: Cloud, body: Any) -> None:
        status, said = await self.ask(cloud, "POST", "", body)
        assert status == 400
        assert said

    async def test_only_the_administrator_is_let_in(self, cloud: Cloud) -> None:
        assert (await self.ask(cloud, "GET", token="letmein"))[0] == 401
