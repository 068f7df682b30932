"""Which kinds that ask for nodes the API server has. Not every cluster has all of them."""

from __future__ import annotations

import msgspec
import structlog

from kaito.controllers.workspace.order import ORDERS, Order
from kaito.runtime import Call, Client, Forbidden, NotFound, Resource

log = structlog.get_logger("kaito.controllers.workspace")


class _Named(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: tuple[_Named, ...] = ()


async def readable_kinds(client: Client) -> tuple[str, ...]:
    """The kinds that ask for nodes, of whichever way, that the API server has and lets us read.

    Those of ways that are not chosen are nothing to wait for: what cannot be read is left alone.
    Raises what Client.send raises, save NotFound and Forbidden.
    """
    found = [kind for kind, each in ORDERS.items() if await _serves(client, each)]
    return tuple([kind for kind in found if await _readable(client, ORDERS[kind])])


async def _serves(client: Client, resource: Resource[Order]) -> bool:
    call = Call(
        method="GET",
        path=f"/apis/{resource.api_version}",
        headers={"Accept": "application/json"},
    )
    try:
        answer = msgspec.json.decode(await client.send(call), type=_Resources)
    except NotFound:
        return False
    return any(each.name == resource.plural for each in answer.resources)


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
