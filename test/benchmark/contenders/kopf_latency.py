"""kopf: the time at which each Workspace was handed to a bare event handler first."""

from __future__ import annotations

import sys
import time
from typing import Any

import kopf

from test.benchmark.contenders import kopf_setup
from test.benchmark.names import GROUP, PLURAL, VERSION, done, say

NAMESPACE, COUNT = sys.argv[1], int(sys.argv[2])
seen: dict[str, float] = {}


@kopf.on.event(GROUP, VERSION, PLURAL)
async def reconcile(name: str, **_: Any) -> None:
    if name not in seen:
        seen[name] = time.monotonic()
    if len(seen) == 1:
        say(ready=True)
    if len(seen) == COUNT:
        done(seen=seen)


assert kopf_setup
kopf.run(standalone=True, namespaces=[NAMESPACE])
