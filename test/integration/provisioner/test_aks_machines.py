"""Agent pools of several machines, as the adapter makes them larger and smaller through the SDK."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kaito.provisioner import Absent, Cause, CloudError, Pool, PoolState, node_request
from kaito.provisioner.aks import AksNodeSource
from kaito.provisioner.ownership import SHARED
from test.integration.provisioner.conftest import Azure
from test.unit.provisioner.machines import A100, NAME, machine

REQUEST = node_request(machine())


async def seen(source: AksNodeSource) -> Pool:
    found = await source.observe(NAME)
    assert isinstance(found, Pool)
    return found


async def launched(azure: Azure, source: AksNodeSource) -> Pool:
    await source.launch(REQUEST, A100)
    await azure.finish()
    return await seen(source)


async def grown(azure: Azure, source: AksNodeSource, count: int) -> Pool:
    """A pool with so many machines."""
    await source.resize(await launched(azure, source), count)
    await azure.finish()
    return await seen(source)


async def test_a_pool_grows_and_all_else_stays(azure: Azure) -> None:
    async with azure.source() as source:
        before = await launched(azure, source)
        sent = json.loads(azure.sent[0].body)["properties"]
        growing = await source.resize(before, 3)
        assert isinstance(growing, Pool)
        assert (growing.state, growing.count) == (PoolState.UPDATING, 3)
        await azure.finish()
        after = await seen(source)
        assert after.labels == {**before.labels, SHARED: "true"}
        [put] = [request for request in azure.sent if request.method == "PUT"][1:]
        assert put.headers["if-match"]
        whole = json.loads(put.body)["properties"]
        same = {name: value for name, value in sent.items() if name not in ("count", "nodeLabels")}
        assert whole.items() >= same.items()
        assert len(await source.machines(NAME)) == 3


async def test_a_pool_that_is_not_as_it_was_judged_is_left_as_it_is(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await grown(azure, source, 2)
        for stale in (replace(pool, count=1), replace(pool, labels={}), replace(pool, etag="old")):
            assert await source.resize(stale, 5) == pool
        assert await source.delete(replace(pool, count=1)) == pool
        assert await source.resize(replace(pool, name="other"), 2) == Absent()


async def test_a_pool_that_is_busy_is_asked_again_later(azure: Azure) -> None:
    async with azure.source() as source:
        growing = await source.resize(await launched(azure, source), 2)
        assert isinstance(growing, Pool)
        with pytest.raises(CloudError) as caught:
            await source.resize(growing, 3)
        assert caught.value.failure.cause is Cause.BUSY
        [first] = await source.machines(NAME)
        with pytest.raises(CloudError) as caught:
            await source.delete_machine(growing, first)
        assert caught.value.failure.cause is Cause.BUSY


async def test_exactly_the_machine_that_was_meant_goes(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await grown(azure, source, 3)
        first, doomed, last = await source.machines(NAME)
        going = await source.delete_machine(pool, doomed)
        assert isinstance(going, Pool)
        assert going.state is PoolState.UPDATING
        await azure.finish()
        assert await source.machines(NAME) == [first, last]
        assert (await seen(source)).count == 2


async def test_a_machine_of_a_pool_that_changed_hands_is_not_deleted(azure: Azure) -> None:
    async with azure.source() as source:
        pool = await grown(azure, source, 2)
        [first, _] = await source.machines(NAME)
        await source.delete_machine(replace(pool, labels={"team": "blue"}), first)
        await azure.finish()
        assert len(await source.machines(NAME)) == 2


async def test_a_machine_is_behind_the_node_that_names_it(azure: Azure) -> None:
    async with azure.source() as source:
        await launched(azure, source)
        [only] = await source.machines(NAME)
        provider_id = azure.endpoint.account.provider_id(NAME, 0)
        assert only.behind(provider_id)
        assert only.behind(provider_id.lower())
        assert not only.behind(azure.endpoint.account.provider_id(NAME, 1))
        assert source.pool_of(only.provider_id) == NAME


async def test_there_are_no_machines_where_there_is_no_pool(azure: Azure) -> None:
    async with azure.source() as source:
        assert await source.machines("nowhere") == []
