"""Listening to trainers: what is heard, from whom, and how much of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kaito.controllers.workspace.following import MOST_BYTES, MOST_SECONDS, PAUSE, Following
from kaito.runtime import Client, ConnectionFailed, Key
from kaito.testing import Script, ScriptedReply, Stream, VirtualClock

W, OTHER = Key("default", "w"), Key("default", "other")
POD, NEXT = Key("default", "w-1"), Key("default", "w-2")


class Ear:
    """Somebody who listens, to a script."""

    def __init__(self, *answers: ScriptedReply | Stream | Exception) -> None:
        self.clock = VirtualClock()
        self.script = Script(*answers)
        self.following = Following(Client(self.script, clock=self.clock), self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.following.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def step(self, workspace: Key = W) -> int | None:
        found = self.following.heard(workspace)
        return found.step if found else None


def line(step: int) -> bytes:
    return b'KAITO_TUNING {"step": %d, "steps": 9}\n' % step


async def test_the_log_of_the_trainer_alone_is_followed() -> None:
    stream = Stream()
    ear = Ear(stream)
    async with ear.running():
        ear.following.listen(W, POD)
        stream.raw(b"Loading ...\n" + line(1) + line(2)[:20])
        await ear.clock.settle()
        assert ear.step() == 1
        stream.raw(line(2)[20:])
        await ear.clock.settle()
        assert ear.step() == 2
    (call,) = ear.script.calls
    assert call.path == "/api/v1/namespaces/default/pods/w-1/log"
    assert (call.query["container"], call.query["follow"]) == ("trainer", "true")
    assert stream.closed


async def test_whom_to_follow_may_be_said_before_it_listens() -> None:
    stream = Stream()
    ear = Ear(stream)
    ear.following.listen(W, POD)
    stream.raw(line(3))
    async with ear.running():
        await ear.clock.settle()
        assert ear.step() == 3


async def test_a_log_that_ends_or_breaks_or_is_refused_is_followed_again_after_a_pause() -> None:
    first, last = Stream(), Stream()
    ear = Ear(
        first, ConnectionFailed("no"), ScriptedReply.refusal(403, "Forbidden"), Stream(), last
    )
    async with ear.running():
        ear.following.listen(W, POD)
        first.raw(line(4))
        first.end()
        await ear.clock.settle()
        assert len(ear.script.calls) == 1
        await ear.clock.advance(PAUSE)
        await ear.clock.advance(2 * PAUSE)
        assert ear.step() == 4
        last.raw(line(5))
        await ear.clock.advance(MOST_SECONDS + 3 * PAUSE)
        assert ear.step() == 5


async def test_another_pod_is_another_log_and_what_the_first_said_is_forgotten() -> None:
    first, second = Stream(), Stream()
    ear = Ear(first, second)
    async with ear.running():
        ear.following.listen(W, POD)
        first.raw(line(6))
        await ear.clock.settle()
        ear.following.listen(W, NEXT)
        await ear.clock.settle()
        assert ear.step() is None
        assert first.closed
        second.raw(line(1))
        await ear.clock.settle()
        assert ear.step() == 1
        ear.following.listen(W, None)
        await ear.clock.settle()
        assert ear.step() is None
        assert second.closed


async def test_who_says_the_same_again_is_not_followed_twice() -> None:
    ear = Ear(Stream())
    async with ear.running():
        for _ in range(3):
            ear.following.listen(W, POD)
            await ear.clock.settle()
    assert len(ear.script.calls) == 1


async def test_who_talks_without_end_is_heard_again_after_a_pause() -> None:
    flood, after = Stream(), Stream()
    ear = Ear(flood, after)
    async with ear.running():
        ear.following.listen(W, POD)
        for _ in range(3):
            flood.raw(b"x" * MOST_BYTES)
        await ear.clock.settle()
        assert flood.closed
        assert len(ear.script.calls) == 1
        after.raw(line(7))
        await ear.clock.advance(PAUSE)
        assert ear.step() == 7


async def test_one_that_fails_disturbs_no_other() -> None:
    stream = Stream()
    ear = Ear(ConnectionFailed("no"), stream)
    async with ear.running():
        ear.following.listen(W, POD)
        await ear.clock.settle()
        ear.following.listen(OTHER, NEXT)
        stream.raw(line(8))
        await ear.clock.settle()
        assert (ear.step(), ear.step(OTHER)) == (None, 8)
