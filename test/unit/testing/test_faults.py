"""Faults strike what they name, as often as they say."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml

from kaito.runtime import (
    CallTimedOut,
    Client,
    Conflict,
    ConnectionFailed,
    Forbidden,
    Informer,
    Key,
    NotFound,
    Object,
    Resource,
    ServerError,
    TooManyRequests,
)
from kaito.testing import (
    CapturedMetrics,
    Cluster,
    Faults,
    SharedCluster,
    VirtualClock,
    changes_of,
    eventually,
)

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
SERVICES: Resource[Object] = Resource("", "v1", "services", "Service")
SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
GUARDS: Resource[Object] = Resource(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)
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


@pytest.mark.parametrize(
    ("where", "struck"),
    [
        ({"namespace": "default"}, True),
        ({"namespace": "kube-system"}, False),
        ({"subresource": ""}, True),
        ({"subresource": "status"}, False),
        ({"manager": "test"}, True),
        ({"manager": "operator"}, False),
    ],
    ids=str,
)
async def test_a_fault_can_be_narrowed_down(
    kube_client: Client, kube_faults: Faults, where: dict[str, Any], struck: bool
) -> None:
    fault = kube_faults.on("create", CONFIG_MAPS, **where).fails(403)
    if struck:
        with pytest.raises(Forbidden):
            await kube_client.create(CONFIG_MAPS, named("a"))
    else:
        await kube_client.create(CONFIG_MAPS, named("a"))
    assert fault.seen == struck


async def test_a_fault_can_spare_the_first_requests(
    kube_client: Client, kube_faults: Faults
) -> None:
    kube_faults.on("create", CONFIG_MAPS, after=2).conflicts()
    await kube_client.create(CONFIG_MAPS, named("a"))
    await kube_client.create(CONFIG_MAPS, named("b"))
    with pytest.raises(Conflict):
        await kube_client.create(CONFIG_MAPS, named("c"))
    await kube_client.create(CONFIG_MAPS, named("c"))


@pytest.mark.kube(virtual=True)
async def test_a_late_answer_is_late_by_the_clock_of_the_cluster(
    kube_client: Client, kube_faults: Faults, virtual_clock: VirtualClock
) -> None:
    await kube_client.create(CONFIG_MAPS, named("a"))
    kube_faults.on("get").delays(20)
    asking = asyncio.create_task(kube_client.get(CONFIG_MAPS, A))
    await virtual_clock.advance(19)
    assert not asking.done()
    await virtual_clock.advance(1)
    assert asking.result()["metadata"]["name"] == "a"


@pytest.mark.kube(virtual=True)
async def test_who_is_never_answered_gives_up_by_the_same_clock(
    kube_client: Client, kube_faults: Faults, virtual_clock: VirtualClock
) -> None:
    kube_faults.on("get").hangs()
    asking = asyncio.create_task(kube_client.get(CONFIG_MAPS, A))
    await virtual_clock.advance(30)
    with pytest.raises(CallTimedOut):
        await asking


# Watches


@asynccontextmanager
async def following(
    kube: Cluster, metrics: CapturedMetrics, *, watches: int = 1
) -> AsyncIterator[Informer[Object]]:
    """An informer of ConfigMaps whose watch is running, so that there are so many of them."""
    informer = Informer(kube.client(), CONFIG_MAPS, metrics=metrics.metrics)
    running = asyncio.create_task(informer.run())
    await informer.wait_synced()
    await eventually(lambda: kube.faults.send_bookmarks(CONFIG_MAPS) == watches)
    yield informer
    running.cancel()
    await asyncio.wait({running})


def relists(metrics: CapturedMetrics) -> float:
    started = metrics.value("kaito_runtime_relists_total", reason="start")
    return metrics.value("kaito_runtime_relists_total") - started


@pytest.mark.parametrize(("end", "listed"), [("cut_watches", 0), ("expire_watches", 1)])
async def test_after_a_cut_a_watch_goes_on_and_after_410_it_begins_with_a_list(
    kube: Cluster, kube_client: Client, kube_metrics: CapturedMetrics, end: str, listed: int
) -> None:
    async with following(kube, kube_metrics) as informer:
        assert getattr(kube.faults, end)(SECRETS) == 0
        assert getattr(kube.faults, end)(CONFIG_MAPS) == 1
        await kube_client.create(CONFIG_MAPS, named("a"))
        await eventually(lambda: A in informer.store, changes_of(informer))
        assert relists(kube_metrics) == listed


async def test_a_quiet_watch_that_had_a_bookmark_outlives_compaction(
    kube: Cluster, kube_client: Client, kube_metrics: CapturedMetrics
) -> None:
    async with following(kube, kube_metrics) as informer:
        for number in range(3):
            await kube_client.create(SECRETS, named(f"s-{number}"))
        version = (await kube_client.list(SECRETS)).resource_version
        assert kube.faults.send_bookmarks(CONFIG_MAPS) == 1
        await eventually(lambda: informer.versions == (version,))
        kube.faults.forget_history()
        kube.faults.cut_watches()
        await kube_client.create(CONFIG_MAPS, named("a"))
        await eventually(lambda: A in informer.store, changes_of(informer))
        assert relists(kube_metrics) == 0


async def test_while_the_cache_is_behind_watches_and_cached_lists_are_stale(
    kube: Cluster, kube_client: Client, kube_metrics: CapturedMetrics
) -> None:
    async def cached() -> set[str]:
        pages = kube_client.pages(CONFIG_MAPS, namespace="default", resource_version="0")
        return {
            CONFIG_MAPS.decode(bytes(item))["metadata"]["name"]
            async for page in pages
            for item in page.items
        }

    old = await cached()
    async with following(kube, kube_metrics) as early:
        with kube.faults.behind(CONFIG_MAPS):
            await kube_client.create(CONFIG_MAPS, named("a"))
            assert await kube_client.get(CONFIG_MAPS, A)
            assert len((await kube_client.list(CONFIG_MAPS, namespace="default")).items) > len(old)
            assert await cached() == old
            async with following(kube, kube_metrics, watches=2) as late:
                kube.faults.send_bookmarks()
                await kube_client.create(SECRETS, named("s"))
                assert A not in early.store
                assert A not in late.store
                kube.faults.clear()
                await eventually(lambda: A in early.store, changes_of(early))
                await eventually(lambda: A in late.store, changes_of(late))


async def test_watches_of_what_was_forgotten_meanwhile_begin_anew(
    kube: Cluster, kube_client: Client, kube_metrics: CapturedMetrics
) -> None:
    async with following(kube, kube_metrics) as informer:
        with kube.faults.behind(CONFIG_MAPS):
            await kube_client.create(CONFIG_MAPS, named("a"))
            kube.faults.forget_history()
        await eventually(lambda: A in informer.store, changes_of(informer))


async def test_what_is_not_served_cannot_be_behind(kube: Cluster) -> None:
    lamps: Resource[Object] = Resource("example.com", "v1", "lamps", "Lamp")
    with pytest.raises(LookupError, match=r"lamps.*is not served here"):
        kube.faults.behind(lamps)


def test_faults_of_a_shared_cluster_reach_its_watches(kube_session: SharedCluster) -> None:
    config = yaml.safe_load(kube_session.kubeconfig())
    authority = config["clusters"][0]["cluster"]["certificate-authority-data"]
    context = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    host = kube_session.url.removeprefix("https://")
    with contextlib.closing(http.client.HTTPSConnection(host, context=context)) as connection:
        connection.request("GET", f"{SERVICES.path('default')}?watch=1", headers=headers)
        answer = connection.getresponse()
        assert b'"ADDED"' in answer.readline()
        assert kube_session.faults.cut_watches(SERVICES) == 1
        with pytest.raises((ConnectionError, http.client.IncompleteRead)):
            answer.read()


# Webhooks


def webhook(policy: str) -> Object:
    return {
        "metadata": {"name": "guard"},
        "webhooks": [
            {
                "name": "guard.example.com",
                "clientConfig": {"url": "https://127.0.0.1:9/never-asked"},
                "rules": [
                    {
                        "operations": ["CREATE"],
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["configmaps"],
                    }
                ],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "failurePolicy": policy,
            }
        ],
    }


async def test_while_a_webhook_is_down_its_failure_policy_decides(
    kube_client: Client, kube_faults: Faults
) -> None:
    await kube_client.create(GUARDS, webhook("Fail"))
    with (
        kube_faults.webhook_down("guard.example.com"),
        pytest.raises(
            ServerError, match=r"guard\.example\.com.*127\.0\.0\.1:9.*connection refused"
        ),
    ):
        await kube_client.create(CONFIG_MAPS, named("a"))
    await kube_client.patch(GUARDS, Key("", "guard"), webhook("Ignore"))
    with kube_faults.webhook_down():
        await kube_client.create(CONFIG_MAPS, named("a"))
