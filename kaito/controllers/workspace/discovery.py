"""Which kinds that ask for nodes the API server has. Not every cluster has all of them."""

from __future__ import annotations

import structlog

from kaito.controllers.discovery import has
from kaito.controllers.workspace.order import ORDERS, Order
from kaito.runtime import Call, Client, Forbidden, NotFound, Resource

log = structlog.get_logger("kaito.controllers.workspace")


async def readable_kinds(client: Client) -> tuple[str, ...]:
    """The kinds that ask for nodes, of whichever way, that the API server has and lets us read.

    Those of ways that are not chosen are nothing to wait for: what cannot be read is left alone.
    Raises what Client.send raises, save NotFound and Forbidden.
    """
    found = [each for each in ORDERS.values() if await has(client, each.api_version, each.plural)]
    return tuple([each.kind for each in found if await _readable(client, each)])


async def _readable(client: Client, resource: Resource[Order]) -> bool:
    one = Call(method="GET", path=resource.path(), query={"limit": "1"})
    try:
        await client.send(one)
    except NotFound:
        return False
    except Forbidden:
        log.info("kind not read", kind=resource.kind, hint="see config/rbac/node-requests.yaml")
        return False
    return True
