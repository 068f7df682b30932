"""When the event loop is woken."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from kaito.engine.serving.outputs import APART, Outputs


async def test_tokens_wait_for_one_another_and_none_is_lost() -> None:
    now = 100.0
    told: list[Any] = []
    outputs = Outputs(clock=lambda: now)
    outputs.result_handlers["a"] = (told.append, asyncio.get_running_loop())

    async def deliver(count: int, *, finished: bool = False) -> int:
        outputs.deliver_batch(
            [SimpleNamespace(request_id="a", count=count, is_finished=lambda: finished)]
        )
        await asyncio.sleep(0)
        return told[-1].count if told else 0

    assert await deliver(1) == 1
    assert await deliver(2) == 1
    now += 2 * APART
    assert await deliver(3) == 3
    assert await deliver(4, finished=True) == 4
