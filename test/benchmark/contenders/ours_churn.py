"""kaito.runtime: a stream of changes of the same keys for ever, and what it leaves in memory.

Objects are changed, deleted and made anew; reconciles write, fail and record events by turns, so
that rate limiter, fences, series and metrics all have something to forget.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import Iterator

from kaito.runtime import Backoff, Client, ConnectionFailed, Controller, Key, Manager, watch
from test.benchmark.contenders.memory import resident
from test.benchmark.contenders.ours_setup import quiet
from test.benchmark.kinds import WORKSPACES
from test.benchmark.names import done
from test.benchmark.stream import StreamTransport, event

KEYS = 1_000
VERSION = "7777777"  # stands for the version in the prepared lines
EVENTS_IN_CHUNK = 20


def changes(count: int, sizes: list[int]) -> Iterator[bytes]:
    """`count` events over KEYS keys; resident memory goes to `sizes` after each tenth of them."""
    lines = {
        kind: [event(kind, f"w-{number}", int(VERSION)) for number in range(KEYS)]
        for kind in ("ADDED", "MODIFIED", "DELETED")
    }
    for first in range(0, count, EVENTS_IN_CHUNK):
        chunk = []
        for position in range(first, first + EVENTS_IN_CHUNK):
            turn, number = divmod(position, KEYS)
            # Each key is deleted in one turn of eight, and is made anew in the next.
            kind = {0: "ADDED", 7: "DELETED"}.get((turn + number) % 8, "MODIFIED")
            version = str(position + 2)
            chunk.append(lines[kind][number].replace(VERSION.encode(), version.encode()))
        yield b"".join(chunk)
        if (first + EVENTS_IN_CHUNK) % (count // 10) == 0:
            sizes.append(resident())


async def main(count: int) -> None:
    sizes: list[int] = []
    transport = StreamTransport(changes(count, sizes))
    async with Client(transport, field_manager="bench") as client:
        manager = Manager(client, name="bench")
        workspaces = manager.informer(WORKSPACES)
        turns = itertools.count()

        async def reconcile(key: Key) -> None:
            turn = next(turns)
            obj = workspaces.store.get(key)
            if obj is None:
                return
            if turn % 10 == 0:
                await client.patch(WORKSPACES, key, {"status": {}}, subresource="status")
            # Always another one: what the recorder remembers is full after a tenth of the run.
            manager.recorder.event(obj, type="Normal", reason="Turned", message=f"{turn}")
            if turn % 10 == 1:
                raise ConnectionFailed("The benchmark has this one fail.")

        manager.add(
            Controller(
                "workspace",
                reconcile,
                primary=watch(workspaces),
                backoff=Backoff(first=0.01, cap=0.1),
            )
        )
        running = asyncio.ensure_future(manager.run())
        await transport.finished.wait()
        assert not running.done()
        done(
            reconciles=next(turns),
            warm_bytes=sizes[0],
            end_bytes=sizes[-1],
            memory_of_warm=sizes[-1] / sizes[0],
        )


quiet(logging.CRITICAL)  # one reconcile in ten fails on purpose
asyncio.run(main(int(sys.argv[1])))
