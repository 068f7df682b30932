"""Watch events into a store: how fast, how small, and how long the collector stops the process.

Beside it json.loads on the same bytes: keeping what it made, and the parsing alone.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from test.benchmark.contest import Bar, alternate, judged, medians, run_alone, shown
from test.benchmark.settings import Settings
from test.benchmark.stream import event

OBJECTS = 20_000
BARS = [
    Bar("rate_of_json", 3.0, at_least=True),
    Bar("stored_of_wire", 1.4),
    Bar("pause_ms", 20.0),
]


async def run(settings: Settings) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="kaito-bench-") as scratch:
        path = Path(scratch) / "events"
        with path.open("wb") as file:
            for number in range(OBJECTS):
                file.write(event("ADDED", f"w-{number}", number + 2))
        size = path.stat().st_size
        given = (str(path), str(OBJECTS))
        figures = await alternate(
            {
                "ours": partial(run_alone, "ours_ingest", *given),
                "json": partial(run_alone, "json_ingest", *given, "store"),
                "json_alone": partial(run_alone, "json_ingest", *given, "drop"),
            },
            settings.runs,
        )
    middle = medians(figures)
    ours = middle["ours"]
    values = {
        "rate_of_json": ours["per_second"] / middle["json"]["per_second"],
        "rate_of_json_alone": ours["per_second"] / middle["json_alone"]["per_second"],
        "stored_of_wire": ours["stored_of_wire"],
        "pause_ms": ours["pause_ms"],
    }
    result = {
        "scenario": "ingest",
        "events": OBJECTS,
        "bytes_each": size // OBJECTS,
        "runs": settings.runs,
        **shown(middle),
    }
    return [judged(result, values, BARS)]
