"""Waiting is for changes, and says what it waited for in vain."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kaito.runtime import Client, Informer, Key, NotFound, Object, Resource, Status
from kaito.testing import FakeApi, Pulse, changes_of, eventually

NEVER = 60.0  # a heartbeat that no test here lives to see
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")


async def test_what_is_true_already_is_not_waited_for() -> None:
    assert await eventually(lambda: "yes", within=0.0) == "yes"


async def test_it_is_asked_again_at_each_change_and_not_in_between() -> None:
    pulse, asked = Pulse(), 0

    def check() -> bool:
        nonlocal asked
        asked += 1
        if asked < 3:
            asyncio.get_running_loop().call_soon(pulse.beat)
        return asked == 3

    assert await eventually(check, pulse, heartbeat=NEVER)
    assert asked == 3


async def test_a_change_may_come_from_another_thread() -> None:
    pulse, there = Pulse(), threading.Event()

    def change() -> None:
        there.set()
        pulse.beat()

    thread = threading.Thread(target=change)
    asyncio.get_running_loop().call_soon(thread.start)
    await eventually(there.is_set, pulse, heartbeat=NEVER)
    thread.join()


async def test_what_announces_nothing_is_asked_at_each_heartbeat() -> None:
    answers = iter([0, 0, 7])
    assert await eventually(lambda: next(answers), heartbeat=0.001) == 7


async def test_not_found_and_failed_assertions_mean_not_yet() -> None:
    errors = iter([NotFound(Status(404, "NotFound")), AssertionError("no")])

    async def check() -> str:
        for error in errors:
            raise error
        return "at last"

    assert await eventually(check, heartbeat=0.001) == "at last"


async def test_another_error_is_not_waited_out() -> None:
    def check() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await eventually(check)


async def test_in_vain_it_names_the_last_answer() -> None:
    with pytest.raises(AssertionError, match=r"Not within 0.01 s: the last answer was \[\]"):
        await eventually(list, within=0.01, heartbeat=0.001)


async def test_in_vain_it_raises_the_assertion_that_failed() -> None:
    def check() -> bool:
        raise AssertionError("two and two are five")

    with pytest.raises(AssertionError, match="two and two") as failure:
        await eventually(check, within=0.0)
    assert failure.value.__notes__ == ["Still so after 0 s."]


async def test_a_check_that_hangs_fails_the_test_and_not_the_session() -> None:
    async def check() -> bool:
        await asyncio.Event().wait()
        return True

    with pytest.raises(AssertionError, match="did not come back"):
        await eventually(check, within=0.01)


async def test_nobody_is_told_after_the_wait() -> None:
    pulse = Pulse()
    await eventually(lambda: True, pulse)
    assert pulse._wakes == []


async def test_the_cache_of_an_informer_is_a_source() -> None:
    api = FakeApi()
    informer = Informer(Client(api), PODS)
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    changes = changes_of(informer)
    asyncio.get_running_loop().call_soon(lambda: api.put(PODS, "a", "ns"))
    await eventually(lambda: Key("ns", "a") in informer.store, changes, heartbeat=NEVER)
    task.cancel()
    await asyncio.wait({task})
