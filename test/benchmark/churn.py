"""200,000 events over 1,000 keys: memory after them is what it was after the first tenth."""

from __future__ import annotations

from typing import Any

from test.benchmark.contest import Bar, alternate, judged, medians, run_alone, shown
from test.benchmark.settings import Settings

EVENTS = 200_000
# What allocators keep in hand differs by this much between two looks.
BARS = [Bar("memory_of_warm", 1.05)]


async def run(settings: Settings) -> list[dict[str, Any]]:
    figures = await alternate(
        {"ours": lambda: run_alone("ours_churn", str(EVENTS))},
        settings.runs,
    )
    middle = medians(figures)
    result = {"scenario": "churn", "events": EVENTS, "runs": settings.runs, **shown(middle)}
    return [judged(result, {"memory_of_warm": middle["ours"]["memory_of_warm"]}, BARS)]
