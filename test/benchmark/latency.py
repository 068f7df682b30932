"""How long after its creation a Workspace is reconciled, at 50 creations a second.

The time runs from before the call that creates it, so that no clock but this machine's monotonic
one is needed; `create` says how much of it is the server's answer to that call.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from typing import Any

from test.benchmark.contest import Bar, Figures, alternate, contender, judged, medians, rounded
from test.benchmark.kinds import WORKSPACES
from test.benchmark.settings import Settings
from test.benchmark.workspaces import Site, workspace

RATE = 50  # creations a second
SECONDS = 10
WARM_UP = 25  # creations that are not counted: connections open, caches fill
BARS = [Bar("p99_of_kopf", 1.2)]


async def run(server: Site, settings: Settings) -> list[dict[str, Any]]:
    figures = await alternate(
        {
            "ours": lambda: _latencies(server, "ours_latency"),
            "kopf": lambda: _latencies(server, "kopf_latency"),
        },
        settings.runs,
    )
    middle = medians(figures)
    values = {
        "p50_of_kopf": middle["ours"]["p50_ms"] / middle["kopf"]["p50_ms"],
        "p99_of_kopf": middle["ours"]["p99_ms"] / middle["kopf"]["p99_ms"],
    }
    result: dict[str, Any] = {
        "scenario": "latency",
        "events_per_second": RATE,
        "runs": settings.runs,
    }
    for name, runs in figures.items():
        result[name] = {what: rounded(value) for what, value in middle[name].items()}
        result[name]["p99_ms_of_each_run"] = [rounded(run["p99_ms"]) for run in runs]
    return [judged(result, values, BARS)]


async def _latencies(server: Site, name: str) -> Figures:
    count = WARM_UP + RATE * SECONDS
    sent: dict[str, float] = {}
    answered: dict[str, float] = {}

    async def create(name: str) -> None:
        sent[name] = time.monotonic()
        await server.client.create(WORKSPACES, workspace(namespace, name))
        answered[name] = time.monotonic()

    # The one that is there from the start is seen as soon as the contender is up.
    namespace = await server.new_namespace(1)
    # A stop of our own collector would be taken for one of the contender's.
    gc.collect()
    gc.freeze()
    given = (namespace, str(count + 1))
    async with contender(name, *given, kubeconfig=server.kubeconfig) as running:
        await running.line()
        started = time.monotonic()
        async with asyncio.TaskGroup() as creations:
            for number in range(count):
                await asyncio.sleep(started + number / RATE - time.monotonic())
                creations.create_task(create(f"l-{number}"))
        seen: dict[str, float] = (await running.rest())["seen"]
    counted = [f"l-{number}" for number in range(WARM_UP, count)]
    took = [(seen[each] - sent[each]) * 1000 for each in counted]
    called = [(answered[each] - sent[each]) * 1000 for each in counted]
    percentiles = statistics.quantiles(took, n=100)
    return {
        "p50_ms": percentiles[49],
        "p99_ms": percentiles[98],
        "create_p50_ms": statistics.median(called),
    }
