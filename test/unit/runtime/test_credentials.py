"""Tokens rotate under us, and a burst of refusals does not throw a fresh one away."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kaito.runtime import ConnectionFailed, SystemClock
from kaito.runtime.credentials import Anonymous, Refreshed, TokenFile
from kaito.testing import VirtualClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("one\n")
    return file


async def test_row_27_a_token_file_is_read_again_each_minute(
    path: Path, clock: VirtualClock
) -> None:
    tokens = TokenFile(path, clock)
    assert await tokens.authorization() == "Bearer one"
    path.write_text("two")
    await clock.advance(59)
    assert await tokens.authorization() == "Bearer one"
    await clock.advance(1)
    assert await tokens.authorization() == "Bearer two"


async def test_row_26_a_refused_token_is_read_again_at_once(
    path: Path, clock: VirtualClock
) -> None:
    tokens = TokenFile(path, clock)
    await tokens.authorization()
    path.write_text("two")
    tokens.refused("Bearer one")
    assert await tokens.authorization() == "Bearer two"


async def test_row_26_a_late_refusal_of_an_old_token_does_not_discard_the_fresh_one(
    path: Path, clock: VirtualClock
) -> None:
    tokens = TokenFile(path, clock)
    await tokens.authorization()
    path.write_text("two")
    tokens.refused("Bearer one")
    await tokens.authorization()
    path.write_text("three")
    tokens.refused("Bearer one")
    assert await tokens.authorization() == "Bearer two"


async def test_an_unreadable_file_keeps_the_old_token(path: Path, clock: VirtualClock) -> None:
    tokens = TokenFile(path, clock)
    await tokens.authorization()
    path.unlink()
    await clock.advance(60)
    with capture_logs() as logs:
        assert await tokens.authorization() == "Bearer one"
    assert logs[0]["event"] == "token kept"


async def test_a_file_that_was_never_readable_is_a_failed_call_and_not_the_end(
    tmp_path: Path, clock: VirtualClock
) -> None:
    with pytest.raises(ConnectionFailed, match="unreadable"):
        await TokenFile(tmp_path / "none", clock).authorization()


class Plugin:
    """A source of tokens that counts how often it is asked."""

    def __init__(self, lasts: float | None = None) -> None:
        self.calls = 0
        self.lasts = lasts
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> tuple[str | None, float | None]:
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return f"Bearer {number}", self.lasts


async def test_row_28_a_plugin_runs_again_when_its_token_ends(clock: VirtualClock) -> None:
    plugin = Plugin(lasts=300)
    tokens = Refreshed(plugin, clock)
    assert await tokens.authorization() == "Bearer 1"
    await clock.advance(299)
    assert await tokens.authorization() == "Bearer 1"
    await clock.advance(1)
    assert await tokens.authorization() == "Bearer 2"


async def test_row_28_a_plugin_runs_alone_however_many_calls_wait_for_it(
    clock: VirtualClock,
) -> None:
    plugin = Plugin()
    plugin.gate.clear()
    tokens = Refreshed(plugin, clock)
    waiting = [asyncio.create_task(tokens.authorization()) for _ in range(20)]
    await clock.settle()
    plugin.gate.set()
    assert set(await asyncio.gather(*waiting)) == {"Bearer 1"}
    assert plugin.calls == 1


async def test_a_plugin_runs_again_only_when_the_token_in_use_was_refused(
    clock: VirtualClock,
) -> None:
    plugin = Plugin()
    tokens = Refreshed(plugin, clock)
    await tokens.authorization()
    tokens.refused("Bearer 1")
    assert await tokens.authorization() == "Bearer 2"
    tokens.refused("Bearer 1")
    assert await tokens.authorization() == "Bearer 2"


async def test_a_plugin_that_fails_is_a_failed_call_and_not_the_end(clock: VirtualClock) -> None:
    plugin = Plugin()
    plugin.fault = RuntimeError("no network")
    tokens = Refreshed(plugin, clock)
    with pytest.raises(ConnectionFailed, match="No credentials: no network"):
        await tokens.authorization()
    plugin.fault = None
    assert await tokens.authorization() == "Bearer 2"


async def test_a_token_that_ends_before_it_arrives_does_not_run_the_plugin_on_every_call(
    clock: VirtualClock,
) -> None:
    plugin = Plugin(lasts=-5)
    tokens = Refreshed(plugin, clock)
    for _ in range(10):
        await tokens.authorization()
    assert plugin.calls == 1


async def test_anonymous_says_nothing() -> None:
    assert await Anonymous().authorization() is None
    Anonymous().refused(None)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b"one\ntwo"])
async def test_a_file_that_holds_no_token_keeps_the_one_before(
    tmp_path: Path, clock: VirtualClock, content: bytes
) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    tokens = TokenFile(path, clock)
    await tokens.authorization()
    path.write_bytes(content)
    await clock.advance(60)
    with capture_logs() as logs:
        assert await tokens.authorization() == "Bearer one"
    assert logs[0]["event"] == "token kept"


async def test_a_plugin_that_fails_runs_once_for_all_who_waited_for_it(
    clock: VirtualClock,
) -> None:
    plugin = Plugin()
    plugin.gate.clear()
    plugin.fault = RuntimeError("no network")
    tokens = Refreshed(plugin, clock)
    waiting = [asyncio.create_task(tokens.authorization()) for _ in range(20)]
    await clock.settle()
    plugin.gate.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert {str(end) for end in ends} == {"No credentials: no network"}
    assert plugin.calls == 1


async def test_a_call_that_gives_up_leaves_the_plugin_to_the_others(clock: VirtualClock) -> None:
    plugin = Plugin()
    plugin.gate.clear()
    tokens = Refreshed(plugin, clock)
    first, second, third = (asyncio.create_task(tokens.authorization()) for _ in range(3))
    await clock.settle()
    second.cancel()
    await clock.settle()
    assert not third.done()
    first.cancel()
    await clock.settle()
    plugin.gate.set()
    assert await third == "Bearer 2"


async def test_the_loop_of_the_lease_may_wait_for_a_plugin_that_another_loop_runs() -> None:
    plugin = Plugin()
    plugin.gate.clear()
    tokens = Refreshed(plugin, SystemClock())
    first = asyncio.create_task(tokens.authorization())
    await asyncio.sleep(0)
    waits = threading.Event()

    async def elsewhere() -> str | None:
        asyncio.get_running_loop().call_soon(waits.set)
        return await asyncio.wait_for(tokens.authorization(), 10)

    second = asyncio.create_task(asyncio.to_thread(asyncio.run, elsewhere()))
    await asyncio.to_thread(waits.wait, 10)
    third = asyncio.create_task(tokens.authorization())
    await asyncio.sleep(0)
    plugin.gate.set()
    assert await asyncio.gather(first, second, third) == ["Bearer 1"] * 3
