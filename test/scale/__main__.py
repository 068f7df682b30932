"""`python -m test.scale [--count N]`: N Workspaces at once, a new manager, and their end.

Four processes: a local cluster (API server, and simulated nodes, Pods and Azure), `kaito manager`
and `kaito provisioner` with the rights that config/rbac gives them, and this one, which creates the
Workspaces, watches them, and reads what the others take of the machine. One JSON object is printed;
--plot FILE writes the course of processor time and memory as Mermaid charts. Exit code 1 on a
missed bar.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from test.scale.plot import charts
from test.scale.run import Run

COUNT = 10_000


async def main(count: int, chart: Path | None) -> int:
    """The exit code."""
    with tempfile.TemporaryDirectory(prefix="kaito-scale-") as scratch:
        run = Run(Path(scratch), count)
        result = await run.whole()
    if chart is not None:
        chart.write_text(charts(run.programs, run.marks))
    print(json.dumps(result, indent=1), flush=True)
    for bar in result.get("missed", ()):
        print(f"scale: below the bar: {bar}", file=sys.stderr)
    return 1 if result.get("missed") else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m test.scale", description=__doc__)
    parser.add_argument("--count", type=int, default=COUNT, help=f"Workspaces (default {COUNT})")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="where to write the charts")
    return parser.parse_args()


if __name__ == "__main__":
    given = arguments()
    sys.exit(asyncio.run(main(given.count, given.plot)))
