"""However a cache is filled, it holds what the server holds: over HTTPS, with all that breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from kaito.local.apiserver import Fails, Fault, Hangs, Request, Resets, Response
from kaito.runtime import Client, Fill, Informer, Key, PartialObject, Scope
from kaito.testing import eventually
from test.integration.runtime.conftest import CONFIGMAPS, PATIENCE, Follower, Server

MANY = 40
A = Key("default", "t-a")


@asynccontextmanager
async def filled(client: Client, **settings: Any) -> AsyncIterator[Follower]:
    """Follow the ConfigMaps of the default namespace, filled in some way."""
    informer = Informer(client, CONFIGMAPS, scope=Scope(namespaces=("default",)), **settings)
    follower = Follower(informer)
    task = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await informer.wait_synced()
        yield follower
    finally:
        task.cancel()
        await asyncio.wait([task])


class Asked:
    """A fault that is none: it writes down what is asked for."""

    def __init__(self, server: Server) -> None:
        self.queries: list[str] = []
        server.api.faults.add(Fault(Fails(), match=self._note, times=None))

    def _note(self, request: Request) -> bool:
        if request.method == "GET" and "configmaps" in request.path:
            self.queries.append(request.query)
        return False


@pytest.mark.parametrize("fill", get_args(Fill))
async def test_row_24_each_way_to_fill_a_cache_fills_it_and_goes_on(
    server: Server, client: Client, fill: Fill
) -> None:
    names = {f"t-{number}" for number in range(MANY)}
    for name in names:
        await server.put(name, text="x" * 500)
    async with filled(client, fill=fill) as follower:
        assert follower.names == names
        assert all(change.startswith("added") for change in follower.changes)
        await server.put("t-new")
        await server.do("DELETE", "t-0")
        await follower.until_equal(names - {"t-0"} | {"t-new"})


@pytest.mark.parametrize("fill", get_args(Fill))
async def test_each_way_notices_deletions_during_an_outage_that_ends_in_410(
    server: Server, client: Client, fill: Fill
) -> None:
    for name in ("t-a", "t-b"):
        await server.put(name)
    with capture_logs():
        async with filled(client, fill=fill) as follower:
            await server.close()
            await server.do("DELETE", "t-a")
            await server.put("t-c")
            server.api.compact()
            await server.open()
            await follower.until_equal({"t-b", "t-c"})
            assert "deleted t-a" in follower.changes
            assert follower.changes.count("added t-b") == 1


async def test_a_streamed_list_is_one_request(server: Server, client: Client) -> None:
    await server.put("t-a")
    asked = Asked(server)
    async with filled(client, fill="stream") as follower:
        await server.put("t-b")
        await follower.until_equal({"t-a", "t-b"})
    assert len(asked.queries) == 1
    assert "sendInitialEvents=true" in asked.queries[0]


@pytest.mark.parametrize("code", [400, 403, 405, 422])
async def test_where_lists_cannot_be_streamed_they_are_asked_for(
    server: Server, client: Client, code: int
) -> None:
    await server.put("t-a")
    refused = server.api.faults.add(
        Fault(Fails(code, "Invalid"), match=lambda r: "sendInitialEvents" in r.query, times=None)
    )
    with capture_logs() as logs:
        async with filled(client, fill="stream") as follower:
            assert follower.names == {"t-a"}
            server.api.compact()
            server.api.cut_watches()
            await server.put("t-b")
            await follower.until_equal({"t-a", "t-b"})
    assert refused.seen == 1
    assert [log["event"] for log in logs][:1] == ["lists are not streamed here"]


@pytest.mark.parametrize("fill", get_args(Fill))
async def test_nothing_is_followed_between_two_watches(
    server: Server, client: Client, fill: Fill
) -> None:
    informer = Informer(client, CONFIGMAPS, scope=Scope(namespaces=("default",)), fill=fill)
    assert not informer.following
    task = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await informer.wait_synced()
        assert informer.following
        server.api.faults.add(Fault(Resets(), match=lambda r: "watch" in r.query, times=None))
        server.api.cut_watches()
        await eventually(lambda: not informer.following)
        server.api.faults.clear()
        await eventually(lambda: informer.following)
    finally:
        task.cancel()
        await asyncio.wait([task])


class Answers:
    """Gives one body, whatever was asked for."""

    def __init__(self, body: bytes, content_type: str = "application/json") -> None:
        self._response = Response(200, {"content-type": content_type}, body)

    async def act(self, request: Request, clock: object) -> Response:
        return self._response


@pytest.mark.parametrize(
    "body",
    [
        b"<html>502, says the proxy</html>",
        b'{"kind":"Status","apiVersion":"v1","status":"Success"}',
        b'{"kind":"ConfigMapList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"na',
        b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"rows":[]}',
    ],
)
@pytest.mark.parametrize("what", ["list", "watch"])
async def test_a_success_that_is_none_delays_and_loses_nothing(
    server: Server, client: Client, body: bytes, what: str
) -> None:
    await server.put("t-a")
    garbled = server.api.faults.add(
        Fault(
            Answers(body + b"\n"),
            match=lambda r: (
                "configmaps" in r.path and ("watch=true" in r.query) == (what == "watch")
            ),
        )
    )
    with capture_logs() as logs:
        async with filled(client) as follower:
            await server.put("t-b")
            await follower.until_equal({"t-a", "t-b"})
            await eventually(lambda: not follower.informer.trouble)
    assert garbled.seen == 1
    assert any(log["event"] == f"{what} failed" for log in logs)


async def test_a_list_that_stalls_half_way_is_read_anew(server: Server, config: Any) -> None:
    await server.put("t-a")
    server.api.faults.add(Fault(Hangs(), match=lambda r: "resourceVersion=0" in r.query))
    with capture_logs():
        async with (
            Client(config.transport(), timeout=0.3) as client,
            filled(client) as follower,
        ):
            assert follower.names == {"t-a"}


async def test_an_object_of_a_megabyte_comes_by_list_and_by_watch(
    server: Server, client: Client
) -> None:
    await server.put("t-a", text="x" * 1_000_000)
    async with filled(client) as follower:
        await server.put("t-b", text="y" * 1_000_000)
        await follower.until_equal({"t-a", "t-b"})
        for name in ("t-a", "t-b"):
            body = follower.informer.store.body(Key("default", name))
            assert body is not None
            assert len(body) > 1_000_000


@pytest.mark.parametrize("fill", get_args(Fill))
async def test_metadata_alone_is_cached_whichever_way(
    server: Server, client: Client, fill: Fill
) -> None:
    await server.put("t-a", secret="s" * 10_000)
    resource = CONFIGMAPS.metadata_only()
    informer = Informer(client, resource, scope=Scope(namespaces=("default",)), fill=fill)
    heard = asyncio.Event()
    task = asyncio.create_task(informer.run())
    try:
        async with asyncio.timeout(PATIENCE):
            await informer.wait_synced()
            informer.on_change(lambda change: heard.set() if change.key.name == "t-b" else None)
            await server.put("t-b", secret="s" * 10_000)
            await heard.wait()
        for name in ("t-a", "t-b"):
            key = Key("default", name)
            found = informer.store.get(key)
            assert isinstance(found, PartialObject)
            assert found.metadata.name == name
            body = informer.store.body(key)
            assert body is not None
            assert len(body) < 1_000
        assert (await client.get(resource, A)).metadata.uid
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_watch_that_is_forbidden_says_what_to_grant_and_leaves_the_cache_filled(
    server: Server, client: Client
) -> None:
    await server.put("t-a")
    server.api.faults.add(
        Fault(Fails(403, "Forbidden"), match=lambda r: "watch=true" in r.query, times=None)
    )
    with capture_logs() as logs:
        async with filled(client) as follower:
            await eventually(lambda: bool(follower.informer.trouble))
            assert follower.names == {"t-a"}
    hints = [log["hint"] for log in logs if log["event"] == "watch failed"]
    assert hints[0].startswith("to let us watch configmaps of namespace default")
    assert '{apiGroups: [""], resources: ["configmaps"], verbs: ["list", "watch"]}' in hints[0]
