"""kopf: list Workspaces and hand each once to a bare event handler."""

from __future__ import annotations

import sys
from typing import Any

import kopf

from test.benchmark.contenders import kopf_setup
from test.benchmark.names import GROUP, PLURAL, VERSION, done

NAMESPACE, COUNT = sys.argv[1], int(sys.argv[2])
seen: set[str] = set()


@kopf.on.event(GROUP, VERSION, PLURAL)
async def reconcile(name: str, **_: Any) -> None:
    seen.add(name)
    if len(seen) == COUNT:
        done()


assert kopf_setup
kopf.run(standalone=True, namespaces=[NAMESPACE])
