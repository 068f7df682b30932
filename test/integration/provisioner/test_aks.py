"""The AKS adapter: what it asks Azure for, and what it makes of the answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kaito.local.apiserver.http import Response
from kaito.local.azure.faults import FAULT_LABEL, FaultKind
from kaito.provisioner import (
    Absent,
    Cause,
    CloudError,
    CredentialKind,
    Failure,
    Pool,
    PoolState,
    Way,
    node_request,
)
from kaito.provisioner.aks import AksNodeSource
from test.integration.provisioner.conftest import Azure
from test.unit.provisioner.machines import A100, NAME, machine

REQUEST = node_request(machine())


async def launched(azure: Azure, source: AksNodeSource) -> Pool:
    await source.launch(REQUEST, A100)
    await azure.finish()
    found = await source.observe(NAME)
    assert isinstance(found, Pool)
    return found


async def refusal(source: AksNodeSource, fault: FaultKind) -> Failure:
    request = replace(REQUEST, labels={**REQUEST.labels, FAULT_LABEL: fault})
    with pytest.raises(CloudError) as caught:
        await source.launch(request, A100)
    return caught.value.failure


async def test_a_launch_returns_what_exists_without_waiting_for_it(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await source.launch(REQUEST, A100)
        assert (pool.name, pool.state, pool.said) == (NAME, PoolState.CREATING, "Creating")
        assert pool.labels.items() >= REQUEST.labels.items()
    assert [request.method for request in azure.sent] == ["PUT"]


async def test_the_put_never_overwrites(azure: Azure) -> None:
    async with azure.source() as source:
        await source.launch(REQUEST, A100)
    [put] = azure.sent
    assert put.headers["if-none-match"] == "*"
    assert put.headers["authorization"] == "Bearer letmein"
    assert json.loads(put.body)["properties"]["nodeTaints"] == ["sku=gpu:NoSchedule"]


async def test_a_pool_that_is_there_already_is_shown_and_not_changed(azure: Azure) -> None:
    async with azure.source() as source:
        first = await launched(azure, source)
        other = replace(REQUEST, labels={"team": "blue"})
        again = await source.launch(other, "Standard_NV36ads_A10_v5")
        assert again == first


async def test_a_pool_being_made_answers_a_second_launch(azure: Azure) -> None:
    async with azure.source() as source:
        await source.launch(REQUEST, A100)
        again = await source.launch(REQUEST, A100)
        assert again.state is PoolState.CREATING


async def test_a_pool_goes_from_creating_to_ready_and_away(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await launched(azure, source)
        assert pool.state is PoolState.READY
        going = await source.delete(pool)
        assert isinstance(going, Pool)
        assert going.state is PoolState.DELETING
        seen = await source.observe(NAME)
        assert isinstance(seen, Pool)
        assert seen.state is PoolState.DELETING
        await azure.finish()
        assert await source.observe(NAME) == Absent()


async def test_deleting_insists_on_the_version_that_was_judged(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await launched(azure, source)
        await source.delete(pool)
        [delete] = [request for request in azure.sent if request.method == "DELETE"]
        assert delete.headers["if-match"]


async def test_a_pool_that_is_still_being_made_is_called_off_and_then_deleted(
    azure: Azure,
) -> None:
    async with azure.source() as source:
        pool = await source.launch(REQUEST, A100)
        with pytest.raises(CloudError) as caught:
            await source.delete(pool)
        assert (caught.value.failure.cause, caught.value.failure.way) == (Cause.BUSY, Way.RETRY)
        assert azure.sent[-1].method == "POST"
        going = await source.delete(pool)
        assert isinstance(going, Pool)
        assert going.state is PoolState.DELETING


async def test_a_pool_whose_labels_changed_is_not_deleted(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await launched(azure, source)
        there = await source.delete(replace(pool, labels={"team": "blue"}))
        assert isinstance(there, Pool)
        assert there.state is PoolState.READY
    assert "DELETE" not in [request.method for request in azure.sent]


async def test_deleting_what_is_gone_is_no_error(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await launched(azure, source)
        await source.delete(pool)
        await azure.finish()
        assert await source.delete(pool) == Absent()


async def test_all_pools_are_listed_page_by_page(azure: Azure) -> None:
    async with azure.source() as source:
        names = {f"ws{number:09x}" for number in range(60)}
        for name in names:
            await source.launch(replace(REQUEST, name=name), A100)
        assert {pool.name for pool in await source.pools()} == names


async def test_a_quota_that_is_used_up_is_recognised_at_once(azure: Azure) -> None:
    async with azure.source() as source:
        failure = await refusal(source, FaultKind.QUOTA)
        assert (failure.cause, failure.way) == (Cause.FAMILY_QUOTA, Way.ANOTHER)
        assert "vcpu quota" in failure.message


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (FaultKind.QUOTA_LATE, Cause.FAMILY_QUOTA),
        (FaultKind.SKU, Cause.SKU),
        (FaultKind.ZONE, Cause.ZONAL_ALLOCATION),
        (FaultKind.FAILED, Cause.SERVER),
    ],
)
async def test_a_pool_that_fails_later_says_why(
    azure: Azure, fault: FaultKind, cause: Cause
) -> None:
    async with azure.source() as source:
        request = replace(REQUEST, labels={**REQUEST.labels, FAULT_LABEL: fault})
        await source.launch(request, A100)
        await azure.finish()
        pool = await source.observe(NAME)
        assert isinstance(pool, Pool)
        assert pool.state is PoolState.FAILED
        assert pool.failure is not None
        assert pool.failure.cause is cause


async def test_a_throttled_call_is_not_slept_through(azure: Azure) -> None:
    async with azure.source() as source:
        failure = await refusal(source, FaultKind.THROTTLED)
        assert (failure.cause, failure.retry_after) == (Cause.THROTTLED, 1.0)
    assert len(azure.sent) == 1


async def test_a_server_error_is_repeated_briefly(azure: Azure) -> None:
    async with azure.source() as source:
        azure.answers = [Response(503), Response(500)]
        assert await source.observe(NAME) == Absent()
    assert len(azure.sent) == 3


async def test_a_server_error_that_stays_is_a_failure_that_may_pass(azure: Azure) -> None:
    async with azure.source() as source:
        azure.answers = [Response(503)] * 5
        with pytest.raises(CloudError) as caught:
            await source.observe(NAME)
        assert caught.value.failure.way is Way.RETRY
    assert len(azure.sent) == 3


async def test_a_creation_that_was_answered_by_an_error_all_the_same_is_found(
    azure: Azure,
) -> None:
    async with azure.source() as source:
        await source.launch(REQUEST, A100)
        azure.answers = [Response(502)]
        pool = await source.launch(REQUEST, A100)
        assert pool.state is PoolState.CREATING


@pytest.mark.parametrize(
    ("setting", "cause"),
    [
        ("cluster", Cause.CLUSTER),
        ("resource_group", Cause.GROUP),
        ("subscription", Cause.SUBSCRIPTION),
    ],
)
async def test_a_wrong_cluster_is_a_wrong_setting_and_no_missing_pool(
    azure: Azure, setting: str, cause: Cause
) -> None:
    elsewhere = "00000000-0000-4000-8000-00000000000f"
    async with azure.source(**{setting: elsewhere}) as source:
        with pytest.raises(CloudError) as caught:
            await source.observe(NAME)
        assert (caught.value.failure.cause, caught.value.failure.way) == (cause, Way.USER)


async def test_a_token_that_is_not_let_in_needs_the_user(azure: Azure) -> None:
    settings = azure.settings()
    async with azure.source() as source:
        Path(settings.token_file).write_text("wrong")
        with pytest.raises(CloudError) as caught:
            await source.observe(NAME)
        failure = caught.value.failure
        assert (failure.cause, failure.way) == (Cause.AUTHENTICATION, Way.USER)
        # It is read again for each call, so a renewed one is used at once.
        Path(settings.token_file).write_text("letmein")
        assert await source.observe(NAME) == Absent()


async def test_a_token_file_that_is_missing_is_named(azure: Azure) -> None:
    async with azure.source(token_file=str(azure.directory / "absent")) as source:
        with pytest.raises(CloudError, match="AZURE_TOKEN_FILE") as caught:
            await source.observe(NAME)
        assert caught.value.failure.way is Way.USER


async def test_a_certificate_of_somebody_else_is_not_trusted(azure: Azure) -> None:
    async with azure.source(ca_data="") as source:
        with pytest.raises(CloudError) as caught:
            await source.observe(NAME)
        assert caught.value.failure.cause is Cause.NETWORK
    assert azure.sent == []


async def test_a_cloud_that_cannot_be_reached_is_a_failure_that_may_pass(
    azure: Azure, nowhere: str
) -> None:
    async with azure.source(base_url=nowhere) as source:
        with pytest.raises(CloudError) as caught:
            await source.observe(NAME)
        assert (caught.value.failure.cause, caught.value.failure.way) == (Cause.NETWORK, Way.RETRY)


async def test_a_pool_that_aks_cannot_make_is_never_asked_for(azure: Azure) -> None:
    async with azure.source() as source:
        with pytest.raises(CloudError) as caught:
            await source.launch(replace(REQUEST, name="Not-A-Pool"), A100)
        assert caught.value.failure.way is Way.HOPELESS
    assert azure.sent == []


@pytest.mark.parametrize("name", ["Not-A-Pool", "gpu.node.of.mine", "ws12345678901"])
async def test_a_pool_that_aks_cannot_have_is_absent_without_asking(
    azure: Azure, name: str
) -> None:
    async with azure.source() as source:
        assert await source.observe(name) == Absent()
    assert azure.sent == []


async def test_workload_identity_is_built_from_the_settings(azure: Azure) -> None:
    identity = {
        "credential": CredentialKind.WORKLOAD_IDENTITY,
        "tenant": azure.endpoint.account.tenant,
        "client": azure.endpoint.account.client,
        "federated_token_file": str(azure.directory / "token"),
    }
    async with azure.source(**identity):
        assert azure.sent == []
