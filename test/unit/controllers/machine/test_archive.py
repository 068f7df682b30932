"""The ledger is kept in a ConfigMap: seldom written, never torn, and never in anybody's way."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.machine.archive import ENTRIES, LEDGER, Archive, read_ledger
from kaito.controllers.machine.ledger import Entry, Ledger, Outcome, decode
from kaito.runtime import AlreadyExists, Client, Object, Resource
from kaito.testing import Cluster, Faults, VirtualClock

NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)


def entry(name: str, changed: int = 0, **more: object) -> Entry:
    told = {"outcome": Outcome.READY, **more}
    return Entry(pool=name, size="s", asked=0, changed=changed, **told)  # type: ignore[arg-type]


@pytest.fixture
async def client(kube: Cluster) -> AsyncIterator[Client]:
    async with kube.client(field_manager="kaito-provisioner") as client:
        with contextlib.suppress(AlreadyExists):
            await client.create(NAMESPACES, {"metadata": {"name": LEDGER.namespace}})
        yield client


def archive(client: Client, *entries: Entry) -> tuple[Archive, Ledger]:
    ledger = Ledger()
    for each in entries:
        ledger.put(each)
    return Archive(client, ledger, clock=VirtualClock(), poll_seconds=1.0), ledger


async def pools(client: Client) -> list[str]:
    return [each.pool for each in (await read_ledger(client)).entries()]


async def test_it_is_written_and_read_by_the_next_process(client: Client) -> None:
    first, _ = archive(client, entry("a"))
    await first.sync()
    second, ledger = archive(client)
    await second.sync()
    assert [each.pool for each in ledger.entries()] == ["a"]


async def test_nothing_is_written_where_nothing_has_changed(client: Client) -> None:
    keeper, ledger = archive(client, entry("a"))
    await keeper.sync()
    version = (await client.get(CONFIG_MAPS, LEDGER))["metadata"]["resourceVersion"]
    await keeper.sync()
    again, _ = archive(client)
    await again.sync()
    assert (await client.get(CONFIG_MAPS, LEDGER))["metadata"]["resourceVersion"] == version
    assert not ledger.changed


async def test_two_daemons_do_not_tear_it(client: Client) -> None:
    one, _ = archive(client, entry("a"))
    two, theirs = archive(client, entry("b"))
    await one.sync()
    await two.sync()
    theirs.put(entry("c"))
    await two.sync()
    mine, ledger = archive(client)
    await mine.sync()
    await two.sync()
    theirs.put(entry("d"))
    await two.sync()
    ledger.put(entry("e"))
    for _ in range(2):  # the first is refused
        await mine.sync()
    assert await pools(client) == ["a", "b", "c", "d", "e"]


async def test_a_server_that_refuses_is_survived(client: Client, kube_faults: Faults) -> None:
    keeper, ledger = archive(client, entry("a"))
    kube_faults.on("create", CONFIG_MAPS).fails(503)
    await keeper.sync()
    assert ledger.changed
    await keeper.sync()
    assert await pools(client) == ["a"]


async def test_an_answer_that_is_lost_costs_nothing(client: Client, kube_faults: Faults) -> None:
    keeper, ledger = archive(client, entry("a"))
    kube_faults.on("create", CONFIG_MAPS).loses_the_answer()
    for _ in range(3):
        await keeper.sync()
    assert await pools(client) == ["a"]
    ledger.put(entry("b"))
    await keeper.sync()
    assert await pools(client) == ["a", "b"]


async def test_it_is_made_again_when_somebody_deletes_it(client: Client) -> None:
    keeper, ledger = archive(client, entry("a"))
    await keeper.sync()
    await client.delete(CONFIG_MAPS, LEDGER)
    ledger.put(entry("b"))
    for _ in range(2):
        await keeper.sync()
    assert await pools(client) == ["a", "b"]


async def test_what_people_write_into_it_does_no_harm(client: Client) -> None:
    keeper, _ = archive(client, entry("a"))
    await keeper.sync()
    await client.patch(CONFIG_MAPS, LEDGER, {"data": {ENTRIES: "rubbish\n{}\n[1]"}})
    again, ledger = archive(client, entry("b"))
    await again.sync()
    assert [each.pool for each in ledger.entries()] == ["b"]
    found = await client.get(CONFIG_MAPS, LEDGER)
    assert [each.pool for each in decode(found["data"][ENTRIES])] == ["b"]
