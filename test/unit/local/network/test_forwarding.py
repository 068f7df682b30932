"""Local ports that lead to Services, in a cluster whose Services come and go."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager

from kaito.local.kinds import SERVICES
from kaito.local.network.forwarding import MOST, Forwarding
from kaito.local.network.indexes import by_namespace
from kaito.runtime import Object
from kaito.runtime.store import WritableStore
from kaito.runtime.wire import open_object


@asynccontextmanager
async def forwarding(
    names: Iterable[str], leading: Collection[str]
) -> AsyncIterator[Callable[[str, int], int | None]]:
    """What a program is told of Services, where some of them lead somewhere."""

    def resolve(_: str, __: str, name: str, ___: str) -> tuple[str, int] | None:
        return ("127.0.0.1", 1) if name in leading else None

    services: WritableStore[Object] = WritableStore(SERVICES, {"namespace": by_namespace})
    for name in names:
        service = {"metadata": {"namespace": "ns", "name": name, "uid": name}}
        services.put(*open_object(json.dumps(service).encode()))
    forwarding = Forwarding(resolve, services, 443)
    running, began = asyncio.create_task(forwarding.run()), asyncio.Event()
    asyncio.get_running_loop().call_soon(began.set)
    await began.wait()
    try:
        yield forwarding.in_namespace("ns")
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_ports_that_lead_nowhere_make_way_for_others() -> None:
    gone = [f"gone-{n}" for n in range(MOST - 1)]
    async with forwarding(["kept", *gone, "late"], {"kept", "late"}) as port_of:
        kept = port_of("kept", 80)
        assert None not in [port_of(name, 80) for name in gone]
        assert port_of("late", 80) is not None
        assert port_of("kept", 80) == kept


async def test_no_port_that_leads_somewhere_makes_way() -> None:
    names = [f"web-{n}" for n in range(MOST)]
    async with forwarding([*names, "late"], {*names, "late"}) as port_of:
        opened = [port_of(name, 80) for name in names]
        assert port_of("late", 80) is None
        assert [port_of(name, 80) for name in names] == opened
