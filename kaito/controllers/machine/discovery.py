"""Which kinds of claim the API server has. Not every cluster has both."""

from __future__ import annotations

import structlog

from kaito.controllers.discovery import has
from kaito.provisioner.claim import DIALECTS, Dialect
from kaito.runtime import Client

log = structlog.get_logger("kaito.controllers.machine")


async def served_kinds(client: Client) -> tuple[Dialect, ...]:
    """The kinds to serve; all of them when there is none yet, for then they are on their way.

    Raises what Client.send raises, save NotFound.
    """
    found = tuple(
        [each for each in DIALECTS.values() if await has(client, each.api_version, each.plural)]
    )
    for dialect in DIALECTS.values():
        if found and dialect not in found:
            log.info(
                "kind not served",
                kind=dialect.kind,
                hint=f"install the definition of {dialect.plural}.karpenter.sh and restart",
            )
    return found or tuple(DIALECTS.values())
