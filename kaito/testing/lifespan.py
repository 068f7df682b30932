"""A manager that runs for the length of a block, and whose death fails the test at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kaito.runtime import Manager


@asynccontextmanager
async def running(manager: Manager) -> AsyncIterator[Manager]:
    """Run `manager` while the block runs: caches filled and leading at its beginning, stopped and
    every reconcile ended after it.

    When the manager dies, the block is cancelled and what the manager died of is raised. A
    failure of the block is raised as it is.
    """
    block = asyncio.current_task()
    assert block is not None
    run = asyncio.create_task(manager.run(), name="manager")
    inside = False
    interrupted = False

    def died(_: asyncio.Task[None]) -> None:
        nonlocal interrupted
        if inside:
            interrupted = True
            block.cancel()

    try:
        await _started(manager, run)
        run.add_done_callback(died)
        inside = not run.done()
        yield manager
    except asyncio.CancelledError:
        if interrupted:
            block.uncancel()
            run.result()  # raises what it died of
        raise
    finally:
        inside = False
        manager.stop()
        if not run.done():
            await asyncio.wait({run})
    run.result()


async def _started(manager: Manager, run: asyncio.Task[None]) -> None:
    leading = asyncio.create_task(manager.leading.wait())
    try:
        await asyncio.wait({leading, run}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leading.cancel()
    if run.done():
        run.result()
