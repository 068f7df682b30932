"""How fast the local API server answers, over HTTPS, from another process.

With KUBECONFIG set the same client runs against that cluster, too, in a namespace of its own that
is deleted afterwards; then the ratio is printed. A real kube-apiserver with etcd on two cores did
630 creates a second and listed 5,000 objects (15 MB) in 0.3 s; half of either is the aim.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from kaito.runtime import Client, Key, Object, Resource, from_kubeconfig
from test.benchmark.servers import local_server, resident

CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)

OBJECTS = 5_000
BYTES = 3_000
APPLIES = 1_000
CALLERS = 16
WATCHES = 100

REAL_CREATES = 630.0
REAL_LIST_SECONDS = 0.3


async def run() -> list[dict[str, Any]]:
    """Every scenario, on the local server and where KUBECONFIG points to."""
    async with local_server() as (kubeconfig, process):
        results = await measure("local", kubeconfig, lambda: resident(process))
    real = os.environ.get("KUBECONFIG")
    if real:
        results += await measure("real", real, None)
        creates = {r["server"]: r["per_second"] for r in results if r["scenario"] == "creates"}
        lists = {r["server"]: r["seconds"] for r in results if r["scenario"] == "list"}
        results.append(
            {
                "scenario": "local against real",
                "creates": round(creates["local"] / creates["real"], 2),
                "list": round(lists["real"] / lists["local"], 2),
            }
        )
    return results


async def measure(
    server: str, kubeconfig: str, memory: Callable[[], int] | None
) -> list[dict[str, Any]]:
    """All scenarios against one server."""
    config = await from_kubeconfig(kubeconfig)
    namespace = f"kaito-bench-{secrets.token_hex(4)}"
    async with Client(config.transport("bench"), field_manager="bench") as client:
        await client.create(NAMESPACES, {"metadata": {"name": namespace}})
        try:
            before = memory() if memory else 0
            results = [await creates(client, namespace)]
            if memory:
                each = (memory() - before) / OBJECTS
                results.append({"scenario": "memory", "bytes_per_object": round(each)})
            results += [
                await lists(client, namespace),
                await applies(client, namespace),
                await fan_out(client, namespace),
            ]
        finally:
            await client.delete(NAMESPACES, Key("", namespace))
    return [{"server": server, **result} for result in results]


async def creates(client: Client, namespace: str) -> dict[str, Any]:
    async def create(number: int) -> None:
        await client.create(CONFIG_MAPS, config_map(namespace, f"c-{number}", "x"))

    seconds = await spread(OBJECTS, create)
    rate = OBJECTS / seconds
    return {
        "scenario": "creates",
        "per_second": round(rate),
        "of_real": round(rate / REAL_CREATES, 2),
    }


async def applies(client: Client, namespace: str) -> dict[str, Any]:
    async def apply(number: int) -> None:
        await client.apply(CONFIG_MAPS, config_map(namespace, f"c-{number}", "y"))

    return {"scenario": "applies", "per_second": round(APPLIES / await spread(APPLIES, apply))}


async def lists(client: Client, namespace: str) -> dict[str, Any]:
    path = CONFIG_MAPS.path(namespace)
    started = time.perf_counter()
    size = 0
    async for page in client.pages(CONFIG_MAPS, namespace=namespace, page_size=0):
        size += sum(len(bytes(item)) for item in page.items)
    seconds = time.perf_counter() - started
    return {
        "scenario": "list",
        "path": path,
        "objects": OBJECTS,
        "megabytes": round(size / 1e6, 1),
        "seconds": round(seconds, 3),
        "of_real": round(REAL_LIST_SECONDS / seconds, 2),
    }


async def fan_out(client: Client, namespace: str) -> dict[str, Any]:
    """One change until each of many watches has it."""
    listing = await client.list(CONFIG_MAPS, namespace=namespace, fields="metadata.name=c-0")
    version = listing.resource_version
    watches = [
        await client.open_watch(
            CONFIG_MAPS, namespace=namespace, resource_version=version, timeout_seconds=60
        )
        for _ in range(WATCHES)
    ]

    async def first(number: int) -> float:
        async for _ in watches[number].chunks():
            return time.perf_counter()
        raise AssertionError("the watch ended without an event")

    waiting = [asyncio.ensure_future(first(number)) for number in range(WATCHES)]
    await asyncio.sleep(0)
    started = time.perf_counter()
    await client.patch(CONFIG_MAPS, Key(namespace, "c-1"), {"data": {"changed": "yes"}})
    seen = await asyncio.gather(*waiting)
    for watch in watches:
        await watch.aclose()
    return {
        "scenario": "fan-out",
        "watches": WATCHES,
        "milliseconds": round((max(seen) - started) * 1000, 1),
    }


async def spread(count: int, work: Callable[[int], Awaitable[None]]) -> float:
    """Seconds that CALLERS concurrent callers take for `count` pieces of work."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await work(number)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(caller())
    return time.perf_counter() - started


def config_map(namespace: str, name: str, letter: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name},
        "data": {f"key-{number}": letter * (BYTES // 10) for number in range(10)},
    }
