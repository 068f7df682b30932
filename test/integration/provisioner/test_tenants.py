"""Pods are listed, evicted and deleted at an API server, and only those that were meant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from kaito.controllers.machine.kinds import PODS, Pod
from kaito.controllers.machine.tenants import ApiPods
from kaito.local.cluster import LocalCluster
from kaito.local.profile import Profile
from kaito.runtime import Client, Key, NotFound

NODE = "a-node"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with LocalCluster(profile=Profile.instant()) as cluster:
        yield cluster.client(field_manager="test")


def pod(name: str, node: str = NODE) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": [{"name": "a", "image": "example.com/a:1"}]},
    }


async def created(client: Client, name: str = "a", node: str = NODE) -> Pod:
    return await client.create(PODS, pod(name, node))


async def is_going(client: Client, name: str = "a") -> bool:
    try:
        found = await client.get(PODS, Key("default", name))
    except NotFound:
        return True
    return found.metadata.deletion_timestamp is not None


async def test_only_the_pods_of_the_node_are_listed(client: Client) -> None:
    await created(client)
    await created(client, "b", "another-node")
    listed = await ApiPods(client).on(NODE)
    assert [each.metadata.name for each in listed] == ["a"]
    assert listed[0].spec.termination_grace_period_seconds == 30


async def test_a_pod_without_a_budget_is_evicted(client: Client) -> None:
    assert await ApiPods(client).evict(await created(client)) == ""
    assert await is_going(client)


async def test_a_pod_that_has_taken_the_name_of_another_is_left_alone(client: Client) -> None:
    meant = await created(client)
    other = msgspec.structs.replace(
        meant, metadata=msgspec.structs.replace(meant.metadata, uid="another")
    )
    calls = ApiPods(client)
    assert await calls.evict(other) == ""
    await calls.delete(other, 0)
    assert not await is_going(client)


async def test_what_is_gone_already_is_no_error(client: Client) -> None:
    meant = await created(client)
    calls = ApiPods(client)
    await calls.delete(meant, 0)
    assert await calls.evict(meant) == ""
    await calls.delete(meant, 0)
    assert await is_going(client)
