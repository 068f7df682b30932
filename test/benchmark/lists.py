"""Start, list and reconcile N Workspaces once, without doing anything, against kopf's bare handler.

The floor is a script that does no more than it must.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from test.benchmark.contest import Bar, alternate, judged, medians, run_alone, shown
from test.benchmark.settings import Settings
from test.benchmark.workspaces import Site

OBJECTS = 5_000
OBJECTS_FULL = 20_000
BARS = [Bar("wall_of_kopf", 0.3), Bar("cpu_of_kopf", 0.2), Bar("memory_of_kopf", 0.45)]


async def run(server: Site, settings: Settings) -> list[dict[str, Any]]:
    count = OBJECTS_FULL if settings.full else OBJECTS
    namespace = await server.new_namespace(count)
    figures = await alternate(
        {
            name: partial(
                run_alone, f"{name}_list", namespace, str(count), kubeconfig=server.kubeconfig
            )
            for name in ("ours", "kopf", "floor")
        },
        settings.runs,
    )
    middle = medians(figures)
    ours, kopf, floor = middle["ours"], middle["kopf"], middle["floor"]
    values = {
        "wall_of_kopf": ours["seconds"] / kopf["seconds"],
        "cpu_of_kopf": ours["cpu_seconds"] / kopf["cpu_seconds"],
        "memory_of_kopf": ours["peak_bytes"] / kopf["peak_bytes"],
        "wall_of_floor": ours["seconds"] / floor["seconds"],
        "cpu_of_floor": ours["cpu_seconds"] / floor["cpu_seconds"],
    }
    result = {"scenario": "list", "objects": count, "runs": settings.runs, **shown(middle)}
    return [judged(result, values, BARS)]
