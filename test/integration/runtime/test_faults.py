"""Whatever breaks between us and the server: no object is lost, and nothing is silently idle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kaito.local.apiserver import Fails, Fault, Hangs, Request, Resets, TooMany
from kaito.runtime import (
    Again,
    AlreadyExists,
    Applier,
    Call,
    CallTimedOut,
    Client,
    ClusterConfig,
    Conflict,
    ConnectionFailed,
    HttpTransport,
    Key,
    LeaseLost,
    LeaseSettings,
    NotFound,
    Object,
    Resource,
    SystemClock,
    TooManyRequests,
    Unauthorized,
)
from kaito.runtime.credentials import TokenFile
from test.integration.runtime.conftest import (
    CONFIGMAPS,
    PATIENCE,
    TOKEN,
    Server,
    following,
    managing,
)

DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")
LEASES: Resource[Object] = Resource("coordination.k8s.io", "v1", "leases", "Lease")


def configmap(name: str, **data: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


def is_list(request: Request) -> bool:
    return request.method == "GET" and "watch" not in request.query and "configmaps" in request.path


def is_watch(request: Request) -> bool:
    return "watch=true" in request.query and "configmaps" in request.path


# Informers


async def test_a_server_that_comes_back_with_the_same_data_is_followed_on(
    server: Server, client: Client
) -> None:
    await server.put("t-stays")
    await server.put("t-goes")
    with capture_logs():
        async with following(client) as follower:
            await server.close()
            await server.do("DELETE", "t-goes")
            await server.put("t-new")
            await server.open()
            await follower.until_equal({"t-stays", "t-new"})
            await server.put("t-later")
            await follower.until_equal({"t-stays", "t-new", "t-later"})
    assert "deleted t-goes" in follower.changes


async def test_another_server_process_on_the_same_data_is_followed_on(
    server: Server, client: Client
) -> None:
    await server.put("t-stays")
    with capture_logs():
        async with following(client) as follower:
            await server.replace()
            await server.put("t-new")
            await follower.until_equal({"t-stays", "t-new"})
    assert follower.changes.count("added t-stays") == 1
    assert "deleted t-stays" not in follower.changes


async def test_deletions_during_an_outage_that_ends_in_410_are_noticed(
    server: Server, client: Client
) -> None:
    for name in ("t-a", "t-b", "t-c"):
        await server.put(name)
    with capture_logs():
        async with following(client) as follower:
            await server.close()
            await server.do("DELETE", "t-a")
            await server.do("DELETE", "t-b")
            await server.put("t-d")
            server.api.compact()
            await server.open()
            await follower.until_equal({"t-c", "t-d"})
    assert {"deleted t-a", "deleted t-b", "added t-d"} <= set(follower.changes)
    assert follower.changes.count("added t-c") == 1


async def test_row_6_watches_that_are_cut_again_and_again_lose_nothing_and_list_nothing(
    server: Server, client: Client
) -> None:
    lists = Fault(Fails(), match=lambda request: False)
    server.api.faults.add(lists)
    with capture_logs():
        async with following(client) as follower:
            lists.match = is_list
            names: set[str] = set()
            for batch in range(6):
                for number in range(10):
                    names.add(f"t-{batch}-{number}")
                    await server.put(f"t-{batch}-{number}")
                server.api.cut_watches()
                await follower.until_equal(names)
    assert lists.seen == 0


@pytest.mark.parametrize("answer", [TooMany(1), Fails(500), Resets()])
async def test_a_watch_that_cannot_be_opened_is_opened_later_without_a_list(
    server: Server, client: Client, answer: TooMany | Fails | Resets
) -> None:
    refused = Fault(answer, match=is_watch)
    listed = Fault(Fails(), match=is_list, times=None)
    with capture_logs():
        async with following(client) as follower:
            await server.put("t-a")
            await follower.until_equal({"t-a"})
            server.api.faults.add(refused)
            server.api.faults.add(listed)
            server.api.cut_watches()
            await server.put("t-b")
            await follower.until_equal({"t-a", "t-b"})
    assert (refused.seen, listed.seen) == (1, 0)


async def test_a_list_that_fails_at_the_start_is_tried_again(
    server: Server, config: ClusterConfig
) -> None:
    await server.put("t-a")
    server.api.faults.add(Fault(Hangs(), match=is_list))
    with capture_logs() as logs:
        async with (
            Client(config.transport(), timeout=0.3) as client,
            following(client) as follower,
        ):
            await follower.until_equal({"t-a"})
    assert logs[0]["event"] == "list failed"


# Calls


async def test_a_server_that_says_when_is_asked_again_then(server: Server, client: Client) -> None:
    server.api.faults.add(Fault(TooMany(1), match=lambda request: request.method == "POST"))
    await client.create(CONFIGMAPS, configmap("t-a"))
    assert await client.get(CONFIGMAPS, Key("default", "t-a"))


async def test_a_server_that_asks_for_an_hour_is_not_waited_for(
    server: Server, client: Client
) -> None:
    server.api.faults.add(Fault(TooMany(3600)))
    with pytest.raises(TooManyRequests) as caught:
        await client.create(CONFIGMAPS, configmap("t-a"))
    assert caught.value.retry_after == 3600


async def test_a_call_that_hangs_ends_and_its_connection_does_not_block_the_next(
    server: Server, config: ClusterConfig
) -> None:
    server.api.faults.add(Fault(Hangs(), times=3))
    async with Client(config.transport(), timeout=0.2) as client:
        for _ in range(3):
            with pytest.raises(CallTimedOut):
                await client.create(CONFIGMAPS, configmap("t-a"))
        with pytest.raises(NotFound):
            await client.get(CONFIGMAPS, Key("default", "t-a"))


async def test_a_broken_read_is_repeated_and_a_broken_write_is_not(
    server: Server, client: Client
) -> None:
    await server.put("t-a")
    broken = server.api.faults.add(Fault(Resets()))
    assert await client.get(CONFIGMAPS, Key("default", "t-a"))
    broken.seen = 0
    with pytest.raises(ConnectionFailed):
        await client.create(CONFIGMAPS, configmap("t-b"))
    with pytest.raises(NotFound):
        await client.get(CONFIGMAPS, Key("default", "t-b"))


async def test_a_stale_version_is_a_conflict(client: Client) -> None:
    created = await client.create(CONFIGMAPS, configmap("t-a"))
    await client.update(CONFIGMAPS, {**created, "data": {"x": "1"}})
    with pytest.raises(Conflict):
        await client.update(CONFIGMAPS, {**created, "data": {"x": "2"}})


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app in (a,b)", {"t-a", "t-b"}),
        ("app in (a,b),tier!=front", {"t-b"}),
        ("app=a", {"t-a"}),
        ("!app", {"t-none"}),
    ],
)
async def test_selectors_arrive_as_they_were_written(
    client: Client, selector: str, expected: set[str]
) -> None:
    for name, labels in (
        ("t-a", {"app": "a", "tier": "front"}),
        ("t-b", {"app": "b"}),
        ("t-none", {}),
    ):
        made = configmap(name)
        made["metadata"]["labels"] = labels
        await client.create(CONFIGMAPS, made)
    listing = await client.list(CONFIGMAPS, namespace="default", labels=selector)
    assert {item["metadata"]["name"] for item in listing.items} - {"kube-root-ca.crt"} == expected


async def test_a_list_comes_in_pages_of_five_hundred(server: Server, client: Client) -> None:
    names = {f"t-{number:04}" for number in range(501)}
    for name in names:
        await server.put(name)
    asked: list[str] = []
    server.api.faults.add(
        Fault(Fails(), match=lambda request: bool(asked.append(request.query)), times=None)
    )
    listing = await client.list(CONFIGMAPS, namespace="default")
    assert names <= {item["metadata"]["name"] for item in listing.items}
    assert len(asked) == 2


async def test_a_rotated_token_costs_one_refused_call(
    server: Server, config: ClusterConfig, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("outdated")
    transport = HttpTransport(config.server, TokenFile(token, SystemClock()), tls=config.tls)
    async with Client(transport) as client:
        with pytest.raises(Unauthorized):
            await client.list(CONFIGMAPS)
        token.write_text(TOKEN)
        assert await client.list(CONFIGMAPS)


async def test_a_server_that_we_have_no_reason_to_trust_is_not_talked_to(
    config: ClusterConfig,
) -> None:
    transport = HttpTransport(config.server, config.credentials)
    async with Client(transport, clock=SystemClock()) as client:
        with pytest.raises(ConnectionFailed, match="certificate"):
            await client.send(Call(method="POST", path="/version"))


# Controllers


async def test_a_create_whose_answer_was_lost_is_not_made_twice(
    server: Server, client: Client
) -> None:
    lost = Fault(Resets(after=True), match=lambda request: b"t-child" in request.body)
    made: list[str] = []

    async def reconcile(key: Key) -> None:
        if key.name == "t-child":
            return
        try:
            await client.create(CONFIGMAPS, configmap("t-child"))
            made.append("created")
        except AlreadyExists:
            made.append("there already")

    with capture_logs():
        async with managing(client, reconcile) as (_, follower, _):
            server.api.faults.add(lost)
            await server.put("t-a")
            await follower.until(lambda: bool(made))
    assert lost.seen == 1
    assert made == ["there already"]


async def test_writers_in_conflict_lose_no_update(server: Server, client: Client) -> None:
    """Four controllers, one counter: each conflict is read again and recomputed."""
    await server.put("t-counter", value="0")
    key = Key("default", "t-counter")
    rounds = 5
    left = dict.fromkeys(("one", "two", "three", "four"), rounds)

    async def count(name: str) -> None:
        while left[name]:
            current = await client.get(CONFIGMAPS, key)
            current["data"]["value"] = str(int(current["data"]["value"]) + 1)
            try:
                await client.update(CONFIGMAPS, current)
            except Conflict:
                continue
            left[name] -= 1

    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        for name in left:
            tasks.create_task(count(name))
    assert (await server.do("GET", "t-counter"))["data"]["value"] == str(4 * rounds)


async def test_row_7_every_object_is_reconciled_whatever_breaks_meanwhile(
    server: Server, config: ClusterConfig
) -> None:
    names = {f"t-{number}" for number in range(30)}

    async def reconcile(key: Key) -> Again | None:
        obj = follower.informer.store.object(key)
        if obj is not None and obj.get("data", {}).get("done") != "yes":
            await client.patch(CONFIGMAPS, key, {"data": {"done": "yes"}})
        return None

    def all_done() -> bool:
        store = follower.informer.store
        done = {
            key.name
            for key in store
            if (store.object(key) or {}).get("data", {}).get("done") == "yes"
        }
        return names <= done

    is_patch = lambda request: request.method == "PATCH"  # noqa: E731 - a name for the table
    with capture_logs():
        async with (
            Client(config.transport(), timeout=0.5) as client,
            managing(client, reconcile) as (_, follower, task),
        ):
            for answer in (Fails(), Hangs(), Resets(), Resets(after=True), Fails(409, "Conflict")):
                server.api.faults.add(Fault(answer, match=is_patch, times=3))
            for number, name in enumerate(sorted(names)):
                await server.put(name)
                if number == 10:
                    server.api.cut_watches()
                if number == 20:
                    await server.close()
                    server.api.compact()
                    await server.open()
            await follower.until(all_done)
            assert not task.done()


async def test_what_was_applied_is_not_sent_again_and_a_removal_is(client: Client) -> None:
    desired: Object = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "default", "labels": {"app": "x"}},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {
                    "containers": [
                        {
                            "name": "main",
                            "image": "app:1",
                            "ports": [
                                {"containerPort": 80},
                                {"containerPort": 80, "protocol": "UDP"},
                            ],
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        }
                    ]
                },
            },
        },
    }
    from kaito.runtime import Informer

    informer = Informer(client, DEPLOYMENTS)
    task = asyncio.create_task(informer.run())
    applier = Applier(client)
    key = Key("default", "d")

    async def apply() -> bool:
        sent = await applier.apply(informer.store, desired)
        await informer.refresh(key)
        return sent

    async with asyncio.timeout(PATIENCE):
        await informer.wait_synced()
        assert await apply() is True
        assert await apply() is False
        container = desired["spec"]["template"]["spec"]["containers"][0]
        container["env"].pop()
        assert await apply() is True
        assert await apply() is False
        current = await client.get(DEPLOYMENTS, key)
        assert current["spec"]["template"]["spec"]["containers"][0]["env"] == [
            {"name": "A", "value": "1"}
        ]
        container["ports"].pop()
        assert await apply() is True
        assert await apply() is False
    task.cancel()
    await asyncio.wait([task])


# Two managers


def lease(identity: str) -> LeaseSettings:
    return LeaseSettings(
        name="l",
        namespace="default",
        identity=identity,
        duration=1.0,
        renew_deadline=0.7,
        retry=0.1,
    )


class Deputy:
    """One of two managers, and what it has reconciled."""

    def __init__(self, config: ClusterConfig, name: str) -> None:
        self.name = name
        self.seen: set[str] = set()
        self.client = Client(config.transport())
        self.settings = {
            "lease": lease(name),
            "connect": lambda timeout: Client(config.transport(), timeout=timeout),
        }

    async def reconcile(self, key: Key) -> None:
        self.seen.add(key.name)


@pytest.mark.parametrize("death", ["crash", "stop"])
async def test_of_two_managers_one_works_and_the_other_takes_over(
    server: Server, config: ClusterConfig, death: str
) -> None:
    one, two = Deputy(config, "one"), Deputy(config, "two")
    await server.put("t-a")
    with capture_logs():
        async with (
            one.client,
            two.client,
            managing(one.client, one.reconcile, **one.settings) as (first, first_sees, first_task),
        ):
            await first_sees.until(lambda: one.seen == {"t-a"})
            async with managing(two.client, two.reconcile, **two.settings) as (
                second, second_sees, second_task,
            ):  # fmt: skip
                await second_sees.until_equal({"t-a"})
                await server.put("t-b")
                await first_sees.until(lambda: one.seen == {"t-a", "t-b"})
                assert two.seen == set()
                if death == "crash":
                    first_task.cancel()
                else:
                    first.stop()
                await asyncio.wait([first_task])
                await server.put("t-c")
                await second_sees.until(lambda: two.seen == {"t-a", "t-b", "t-c"})
                assert not second_task.done()
                assert second.leading.is_set()
    assert one.seen == {"t-a", "t-b"}


async def test_a_leader_that_cannot_reach_its_lease_ends_and_the_other_goes_on(
    server: Server, config: ClusterConfig
) -> None:
    one, two = Deputy(config, "one"), Deputy(config, "two")
    await server.put("t-a")

    def of_the_first(request: Request) -> bool:
        return "/leases/" in request.path and b'"one"' in request.body

    with capture_logs():
        async with (
            one.client,
            two.client,
            managing(one.client, one.reconcile, **one.settings) as (_, first_sees, first_task),
        ):
            await first_sees.until(lambda: one.seen == {"t-a"})
            async with managing(two.client, two.reconcile, **two.settings) as (_, sees, _):
                server.api.faults.add(Fault(Hangs(), match=of_the_first, times=None))
                await sees.until(lambda: two.seen == {"t-a"})
                async with asyncio.timeout(PATIENCE):
                    await asyncio.wait([first_task])
                assert isinstance(first_task.exception(), LeaseLost)
