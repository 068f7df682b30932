"""`python -m test.benchmark [NAME ...]`: run the scenarios, all of them by default."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from test.benchmark import apiserver, churn, ingest, latency, lists, provisioner, scale, writes
from test.benchmark.servers import sites
from test.benchmark.settings import Settings
from test.benchmark.workspaces import Site

Results: TypeAlias = list[dict[str, Any]]

# Against each server there is, ours beside kopf.
COMPARED: dict[str, Callable[[Site, Settings], Awaitable[Results]]] = {
    "list": lists.run,
    "write": writes.run,
    "latency": latency.run,
}
# These bring what they need.
ALONE: dict[str, Callable[[Settings], Awaitable[Results]]] = {
    "ingest": ingest.run,
    "churn": churn.run,
    "apiserver": lambda _: apiserver.run(),
    "scale": scale.run,
    "provisioner": provisioner.run,
}


async def main(names: list[str], settings: Settings, wanted: set[str]) -> int:
    missed: list[str] = []

    def report(results: Results) -> None:
        for result in results:
            print(json.dumps(result), flush=True)
            where = f"{result['scenario']} on {result['server']}" if "server" in result else ""
            missed.extend(
                f"{where or result['scenario']}: {bar}" for bar in result.get("missed", ())
            )

    compared = [name for name in names if name in COMPARED]
    if compared:
        async with sites(wanted) as found:
            for name in compared:
                for server in found:
                    results = await COMPARED[name](server, settings)
                    report([{"server": server.name, **result} for result in results])
    for name in names:
        if name in ALONE:
            report(await ALONE[name](settings))
    for line in missed:
        print(f"bench: below the bar: {line}", file=sys.stderr)
    return 1 if missed else 0


def arguments() -> argparse.Namespace:
    every = [*COMPARED, *ALONE]
    parser = argparse.ArgumentParser(prog="python -m test.benchmark", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(every)}")
    parser.add_argument("--runs", type=int, default=3, help="runs of each contender (default 3)")
    parser.add_argument("--full", action="store_true", help="20,000 objects instead of 5,000")
    parser.add_argument(
        "--server",
        choices=("local", "real", "both"),
        default="both",
        help="the local server, the one of KUBECONFIG, or both where KUBECONFIG is set (default)",
    )
    parsed = parser.parse_args()
    parsed.names = parsed.names or every
    unknown = [name for name in parsed.names if name not in every]
    if unknown:
        parser.error(f"no scenario {', '.join(unknown)}; there are {', '.join(every)}")
    return parsed


if __name__ == "__main__":
    given = arguments()
    on = {"local", "real"} if given.server == "both" else {given.server}
    sys.exit(asyncio.run(main(given.names, Settings(given.runs, given.full), on)))
