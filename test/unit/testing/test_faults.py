"""Faults strike what they name, as often as they say."""

from __future__ import annotations

import pytest

from kaito.runtime import (
    Client,
    ConnectionFailed,
    Forbidden,
    Key,
    NotFound,
    Object,
    Resource,
    ServerError,
    TooManyRequests,
)
from kaito.testing import Cluster, Faults

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
A = Key("default", "a")


def named(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}}


async def test_a_fault_strikes_its_verb_resource_and_name_alone(
    kube_client: Client, kube_faults: Faults
) -> None:
    await kube_client.create(CONFIG_MAPS, named("a"))
    await kube_client.create(CONFIG_MAPS, named("b"))
    fault = kube_faults.on("get", CONFIG_MAPS, name="a").fails(403)
    await kube_client.get(CONFIG_MAPS, Key("default", "b"))
    await kube_client.list(CONFIG_MAPS)
    await kube_client.list(SECRETS)
    assert fault.seen == 0
    with pytest.raises(Forbidden, match="Forbidden"):
        await kube_client.get(CONFIG_MAPS, A)
    assert fault.seen == 1
    await kube_client.get(CONFIG_MAPS, A)


async def test_a_fault_without_end_ends_with_clear(
    kube_client: Client, kube_faults: Faults
) -> None:
    kube_faults.on(times=None).fails(500)
    for _ in range(3):
        with pytest.raises(ServerError):
            await kube_client.list(CONFIG_MAPS)
    kube_faults.clear()
    await kube_client.list(CONFIG_MAPS)


async def test_a_lost_answer_is_of_a_request_that_was_served(
    kube_client: Client, kube_faults: Faults
) -> None:
    kube_faults.on("create", CONFIG_MAPS).loses_the_answer()
    with pytest.raises(ConnectionFailed):
        await kube_client.create(CONFIG_MAPS, named("a"))
    await kube_client.get(CONFIG_MAPS, A)


async def test_a_broken_connection_is_of_a_request_that_was_not(
    kube_client: Client, kube_faults: Faults
) -> None:
    kube_faults.on("create", CONFIG_MAPS).breaks()
    with pytest.raises(ConnectionFailed):
        await kube_client.create(CONFIG_MAPS, named("a"))
    with pytest.raises(NotFound):
        await kube_client.get(CONFIG_MAPS, A)


async def test_a_busy_server_says_when_to_come_back(
    kube_client: Client, kube_faults: Faults
) -> None:
    # Longer than a call may take: the client leaves the waiting to its caller.
    kube_faults.on("get", CONFIG_MAPS).too_many(retry_after=3600)
    with pytest.raises(TooManyRequests) as refusal:
        await kube_client.get(CONFIG_MAPS, A)
    assert refusal.value.retry_after == 3600


async def test_a_verb_that_there_is_not_is_refused_at_once(kube: Cluster) -> None:
    with pytest.raises(ValueError, match="'PATCH' is no verb"):
        kube.faults.on("PATCH")
