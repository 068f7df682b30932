"""Whatever happens to watches, and in whatever order, a cache ends up equal to the server."""

from __future__ import annotations

import asyncio

from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kaito.runtime import Client, Informer, Key, NotFound, Object, Resource
from kaito.testing import Cluster, Faults, VirtualClock

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
WRITES = ("write", "remove")
# Seconds: longer than a reflector ever pauses, shorter than it takes silence for a dead connection.
MENDED = 100
HARDSHIPS = (
    "behind",
    "clear",
    "cut_watches",
    "expire_watches",
    "forget_history",
    "send_bookmarks",
)

steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(WRITES), st.sampled_from("abc")),
        st.tuples(st.sampled_from(HARDSHIPS), st.just("")),
        st.just(("time", "")),
    ),
    max_size=12,
)


@given(steps)
@example([("behind", ""), ("write", "a"), ("time", ""), ("behind", "")])
@settings(max_examples=40)
async def test_a_cache_ends_up_equal_to_the_server(happening: list[tuple[str, str]]) -> None:
    clock = VirtualClock()
    async with Cluster(clock=clock) as kube:
        client = kube.client()
        informer = Informer(client, CONFIG_MAPS, clock=clock)
        with capture_logs():
            running = asyncio.create_task(informer.run())
            for number, (what, name) in enumerate(happening):
                match what:
                    case "write":
                        await write(client, name, str(number))
                    case "remove":
                        await remove(client, name)
                    case "time":
                        await clock.advance(1)
                    case _:
                        getattr(Faults(kube.server), what)()
            kube.faults.clear()
            await clock.advance(MENDED)
            running.cancel()
            await asyncio.wait({running})
        held = {(obj["metadata"]["name"], obj["data"]["n"]) for obj in informer.store.list()}
        there = {
            (obj["metadata"]["name"], obj["data"]["n"])
            for obj in (await client.list(CONFIG_MAPS)).items
        }
    assert held == there


async def write(client: Client, name: str, number: str) -> None:
    metadata = {"name": name, "namespace": "default"}
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    await client.apply(CONFIG_MAPS, {**kind, "metadata": metadata, "data": {"n": number}})


async def remove(client: Client, name: str) -> None:
    try:
        await client.delete(CONFIG_MAPS, Key("default", name))
    except NotFound:
        return
