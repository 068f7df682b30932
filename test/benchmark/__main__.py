"""`python -m test.benchmark [NAME ...]`: run the scenarios, all of them by default."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from test.benchmark import apiserver

SCENARIOS: dict[str, Callable[[], Awaitable[list[dict[str, Any]]]]] = {
    "apiserver": apiserver.run,
}


async def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        print(f"bench: no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)}")
        return 2
    missed = []
    for name in names or SCENARIOS:
        for result in await SCENARIOS[name]():
            print(json.dumps(result), flush=True)
            if result.get("missed"):
                missed.append(result["scenario"])
    if missed:
        print(f"bench: below the bar: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
