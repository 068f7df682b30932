"""Which kinds of claim the API server has. Not every cluster has both."""

from __future__ import annotations

import msgspec
import structlog

from kaito.provisioner.claim import DIALECTS, Dialect
from kaito.runtime import Call, Client, NotFound

log = structlog.get_logger("kaito.controllers.machine")


class _Named(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: tuple[_Named, ...] = ()


async def served_kinds(client: Client) -> tuple[Dialect, ...]:
    """The kinds to serve; all of them when there is none yet, for then they are on their way.

    Raises what Client.send raises, save NotFound.
    """
    found = tuple([dialect for dialect in DIALECTS.values() if await _serves(client, dialect)])
    for dialect in DIALECTS.values():
        if found and dialect not in found:
            log.info(
                "kind not served",
                kind=dialect.kind,
                hint=f"install the definition of {dialect.plural}.karpenter.sh and restart",
            )
    return found or tuple(DIALECTS.values())


async def _serves(client: Client, dialect: Dialect) -> bool:
    call = Call(
        method="GET",
        path=f"/apis/{dialect.api_version}",
        headers={"Accept": "application/json"},
    )
    try:
        answer = msgspec.json.decode(await client.send(call), type=_Resources)
    except NotFound:
        return False
    return any(resource.name == dialect.plural for resource in answer.resources)
