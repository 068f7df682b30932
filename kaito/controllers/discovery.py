"""What the API server has: not every cluster has every kind that controllers could serve."""

from __future__ import annotations

import msgspec

from kaito.runtime import Call, Client, NotFound


class _Named(msgspec.Struct):
    name: str


class _Resources(msgspec.Struct):
    resources: tuple[_Named, ...] = ()


async def has(client: Client, api_version: str, plural: str) -> bool:
    """Whether the API server serves this resource. Raises what Client.send raises, save
    NotFound."""
    call = Call(method="GET", path=f"/apis/{api_version}", headers={"Accept": "application/json"})
    try:
        answer = msgspec.json.decode(await client.send(call), type=_Resources)
    except NotFound:
        return False
    return any(each.name == plural for each in answer.resources)
