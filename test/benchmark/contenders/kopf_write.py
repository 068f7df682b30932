"""kopf: each Workspace gets a ConfigMap, by server-side apply, and a status, by kopf's patch.

`create`: a handler of creation and resumption, as kopf's documentation teaches. kopf then notes
in an annotation what it has handled. `event`: a bare event handler that does nothing where the
status is there already, the least that kopf can do for this work.
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
import kopf
import msgspec

from test.benchmark.contenders import kopf_setup
from test.benchmark.contenders.access import session
from test.benchmark.names import GROUP, PLURAL, READY, VERSION, child, done

NAMESPACE, COUNT, STYLE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
APPLY = {"Content-Type": "application/apply-patch+yaml"}
http: list[aiohttp.ClientSession] = []
seen: set[str] = set()


@kopf.on.startup()
async def connect(**_: Any) -> None:
    http.append(session())


async def apply_child(namespace: str, name: str, uid: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}?fieldManager=bench&force=true"
    body = msgspec.json.encode(child(namespace, name, uid))
    async with http[0].patch(path, data=body, headers=APPLY) as answer:
        answer.raise_for_status()
        await answer.read()


async def handle(namespace: str, name: str, uid: str, patch: kopf.Patch, **_: Any) -> None:
    await apply_child(namespace, name, uid)
    patch.status["state"] = READY


def count(name: str, status: kopf.Status) -> bool:
    """Whether this Workspace is complete; ends the process when all of them are."""
    if status.get("state") != READY:
        return False
    seen.add(name)
    if len(seen) == COUNT:
        done()
    return True


if STYLE == "create":

    @kopf.on.resume(GROUP, VERSION, PLURAL)
    @kopf.on.create(GROUP, VERSION, PLURAL)
    async def created(**context: Any) -> None:
        await handle(**context)

    @kopf.on.event(GROUP, VERSION, PLURAL)
    async def changed(name: str, status: kopf.Status, **_: Any) -> None:
        count(name, status)

else:

    @kopf.on.event(GROUP, VERSION, PLURAL)
    async def happened(name: str, status: kopf.Status, **context: Any) -> None:
        if not count(name, status):
            await handle(name=name, **context)


assert kopf_setup
kopf.run(standalone=True, namespaces=[NAMESPACE])
