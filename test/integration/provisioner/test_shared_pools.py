"""Pools that claims share, through the real SDK: a cluster that can have one agent pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest

from kaito.local.azure.limits import Limits
from kaito.local.azure.pool import Pool, State
from kaito.provisioner.settings import CONFIG_NAME, CONFIG_NAMESPACE
from kaito.provisioner.sharing import POOL
from kaito.runtime import Key, Object
from test.integration.provisioner.cluster import (
    CONFIG_MAPS,
    MACHINES,
    MOMENTS,
    PODS,
    Stage,
    staged,
)

HOST, GUEST, OTHER = "wsa", "wsb", "wsc"
ONE_POOL = replace(MOMENTS, limits=Limits(pools=1))


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged(MACHINES, profile=ONE_POOL) as stage:
        settings = {"data": {"AZURE_MAX_POOLS": "1"}}
        await stage.client.patch(CONFIG_MAPS, Key(CONFIG_NAMESPACE, CONFIG_NAME), settings)
        stage.start()
        yield stage


def pool(stage: Stage) -> Pool:
    found = stage.cluster.azure.pool(HOST)
    assert found is not None
    return found


def node_of(stage: Stage, name: str) -> str:
    status: Object = (stage.claim(name) or {}).get("status", {})
    return str(status.get("nodeName", ""))


def are_ready(stage: Stage, *names: str) -> bool:
    return all(stage.condition("Ready", name).get("status") == "True" for name in names)


async def shared_by(stage: Stage, *names: str) -> None:
    """These claims come one after another, and are ready."""
    for name in names:
        await stage.create(name)
        await stage.until(partial(are_ready, stage, name), f"{name} ready")


async def test_claims_share_the_only_pool_and_each_has_a_node(stage: Stage) -> None:
    await shared_by(stage, HOST, GUEST, OTHER)
    assert stage.pools() == [HOST]
    assert pool(stage).machines == (0, 1, 2)
    assert len({node_of(stage, name) for name in (HOST, GUEST, OTHER)}) == 3
    assert (stage.claim(GUEST) or {})["metadata"]["annotations"][POOL] == HOST


async def test_ten_claims_at_once_take_few_calls(stage: Stage) -> None:
    names = [f"ws{letter}" for letter in "abcdefghij"]
    for name in names:
        await stage.create(name)
    await stage.until(lambda: are_ready(stage, *names), "all of them ready")
    [only] = stage.cluster.azure.pools()
    assert len(only.machines) == only.next_machine == 10
    assert len({node_of(stage, name) for name in names}) == 10


@pytest.mark.parametrize("gone", [HOST, GUEST])
async def test_one_that_goes_takes_its_machine_and_the_others_keep_serving(
    stage: Stage, gone: str
) -> None:
    await shared_by(stage, HOST, GUEST)
    [left] = {HOST, GUEST} - {gone}
    kept, lost = node_of(stage, left), node_of(stage, gone)
    await stage.client.create(
        PODS,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "model", "namespace": "default"},
            "spec": {
                "nodeName": kept,
                "containers": [{"name": "a", "image": "example.com/a:1"}],
            },
        },
    )
    await stage.until(stage.serving, "a Pod that serves")
    uid = stage.serving()[0]["metadata"]["uid"]
    await stage.client.delete(MACHINES, Key("", gone))
    await stage.until(lambda: stage.claim(gone) is None, f"no {gone}")
    assert [node["metadata"]["name"] for node in stage.nodes()] == [kept]
    assert lost not in [node["metadata"]["name"] for node in stage.nodes()]
    assert len(pool(stage).machines) == 1
    assert are_ready(stage, left)
    assert [each["metadata"]["uid"] for each in stage.serving()] == [uid]

    await stage.client.delete(MACHINES, Key("", left))
    await stage.until(lambda: not (stage.claim(left) or stage.nodes()), "nothing left")
    assert stage.pools() == []


async def test_a_daemon_killed_in_the_middle_of_a_growth_makes_no_further_machine(
    stage: Stage,
) -> None:
    await shared_by(stage, HOST)
    kept = node_of(stage, HOST)
    await stage.create(GUEST)
    await stage.until(lambda: pool(stage).properties["count"] == 2, "the pool growing")
    await stage.kill()
    stage.start()
    await stage.until(lambda: are_ready(stage, HOST, GUEST), "both ready")
    assert (pool(stage).machines, pool(stage).next_machine) == ((0, 1), 2)
    assert node_of(stage, HOST) == kept


async def test_a_daemon_killed_in_the_middle_of_a_machines_deletion_deletes_no_other(
    stage: Stage,
) -> None:
    await shared_by(stage, HOST, GUEST)
    kept = node_of(stage, GUEST)
    await stage.client.delete(MACHINES, Key("", HOST))
    await stage.until(lambda: pool(stage).state is State.UPDATING, "the machine going")
    await stage.kill()
    stage.start()
    await stage.until(lambda: stage.claim(HOST) is None, "no host")
    assert len(pool(stage).machines) == 1
    assert node_of(stage, GUEST) == kept
    assert are_ready(stage, GUEST)


async def test_a_claim_that_cannot_share_says_what_to_do_and_comes_when_there_is_room(
    stage: Stage,
) -> None:
    await shared_by(stage, HOST)
    await stage.create(GUEST, labels={"kaito.sh/workspace": "other"})
    await stage.until(
        lambda: stage.condition("MachineLaunched", GUEST).get("reason") == "PoolLimitReached",
        "the limit told",
    )
    message = stage.condition("MachineLaunched", GUEST)["message"]
    assert "maximum of 1 agent pools" in message
    assert "elete" in message
    await stage.client.delete(MACHINES, Key("", HOST))
    await stage.until(lambda: are_ready(stage, GUEST), "the other ready")
