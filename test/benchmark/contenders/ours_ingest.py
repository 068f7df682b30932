"""kaito.runtime: a file of watch events through client, reflector and informer into a store."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from kaito.runtime import Client, Manager
from test.benchmark.contenders.memory import Pauses, resident
from test.benchmark.contenders.ours_setup import quiet
from test.benchmark.kinds import WORKSPACES
from test.benchmark.names import done
from test.benchmark.stream import StreamTransport, from_file


async def main(path: Path, count: int) -> None:
    transport = StreamTransport(from_file(path))
    manager = Manager(Client(transport, field_manager="bench"), name="bench")
    informer = manager.informer(WORKSPACES)
    before, pauses = resident(), Pauses()
    started = time.process_time()
    running = asyncio.ensure_future(manager.run())
    await transport.finished.wait()
    seconds = time.process_time() - started
    assert len(informer.store) == count
    assert not running.done()
    stored = resident() - before
    done(
        per_second=count / seconds,
        stored_of_wire=stored / path.stat().st_size,
        pause_ms=pauses.longest * 1000,
    )


quiet()
asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
