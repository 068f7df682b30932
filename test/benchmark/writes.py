"""1,000 reconciles that each apply one ConfigMap and one status, against kopf doing the same.

Two contenders use kopf: one the way its documentation teaches, one with the least that kopf can
do. The bars compare with the former; the ratios to the latter are printed, too.
"""

from __future__ import annotations

from typing import Any

from test.benchmark.contest import Bar, Figures, alternate, judged, medians, run_alone, shown
from test.benchmark.settings import Settings
from test.benchmark.workspaces import Site

OBJECTS = 1_000
BARS = [Bar("calls_each", 2.0), Bar("cpu_of_kopf", 0.33)]
# The local server and a contender share two cores, and the server would be what is measured.
RATE_BAR = Bar("rate_of_kopf", 1.8, at_least=True)


async def run(server: Site, settings: Settings) -> list[dict[str, Any]]:
    async def once(name: str, *style: str) -> Figures:
        # Workspaces that nobody has reconciled yet.
        namespace = await server.new_namespace(OBJECTS)
        given = (namespace, str(OBJECTS), *style)
        return await run_alone(name, *given, kubeconfig=server.kubeconfig)

    figures = await alternate(
        {
            "ours": lambda: once("ours_write"),
            "kopf": lambda: once("kopf_write", "create"),
            "kopf_bare": lambda: once("kopf_write", "event"),
        },
        settings.runs,
    )
    for runs in figures.values():
        for run in runs:
            run["per_second"] = OBJECTS / run["seconds"]
    middle = medians(figures)
    ours, kopf, bare = middle["ours"], middle["kopf"], middle["kopf_bare"]
    values = {
        "calls_each": ours["writes"] / OBJECTS,
        "cpu_of_kopf": ours["cpu_seconds"] / kopf["cpu_seconds"],
        "rate_of_kopf": ours["per_second"] / kopf["per_second"],
        "cpu_of_kopf_bare": ours["cpu_seconds"] / bare["cpu_seconds"],
        "rate_of_kopf_bare": ours["per_second"] / bare["per_second"],
    }
    result = {"scenario": "write", "objects": OBJECTS, "runs": settings.runs, **shown(middle)}
    bars = [*BARS, RATE_BAR] if server.name == "real" else BARS
    return [judged(result, values, bars)]
