"""Waiting for something to become true: asked again at each change, never after a blind sleep."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar, overload

from kaito.runtime import Informer, NotFound

T = TypeVar("T")

WITHIN = 10.0  # seconds; more than a healthy test takes on a busy machine
# Metrics and plain variables announce nothing. What is asked about them is asked this often.
HEARTBEAT = 0.05


class Changes(Protocol):
    """Something that says when it has changed. A Cluster is one, and so is a Pulse."""

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after each change, from any thread. What is returned ends that."""


class Pulse:
    """Changes that a test announces itself, from a fake of the outside world for one."""

    def __init__(self) -> None:
        self._wakes: list[Callable[[], None]] = []

    def beat(self) -> None:
        """Say that something has changed."""
        for wake in tuple(self._wakes):
            wake()

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """See Changes."""
        self._wakes.append(wake)
        return lambda: self._wakes.remove(wake)


def changes_of(informer: Informer[Any]) -> Pulse:
    """The changes of an informer's cache, for as long as the informer lives."""
    pulse = Pulse()
    informer.on_change(lambda _: pulse.beat())
    return pulse


@overload
async def eventually(
    check: Callable[[], Awaitable[T]],
    *sources: Changes,
    within: float = WITHIN,
    heartbeat: float = HEARTBEAT,
) -> T: ...


@overload
async def eventually(
    check: Callable[[], T],
    *sources: Changes,
    within: float = WITHIN,
    heartbeat: float = HEARTBEAT,
) -> T: ...


# Any: either a T or a coroutine of one, which the overloads tell apart.
async def eventually(
    check: Callable[[], Any],
    *sources: Changes,
    within: float = WITHIN,
    heartbeat: float = HEARTBEAT,
) -> Any:
    """What `check` returns, as soon as that is truthy.

    `check` may be a coroutine function. It is asked at once, after each change of a source, and
    every `heartbeat` seconds for the sake of what no source tells of. NotFound and AssertionError
    mean "not yet"; any other exception is raised at once. AssertionError when `within` seconds
    have passed: the last one that `check` raised, or one that names the last answer.
    """
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def wake() -> None:
        loop.call_soon_threadsafe(changed.set)

    endings = [source.subscribe(wake) for source in sources]
    last: str | Exception = "it was never asked"
    end = loop.time() + within
    try:
        while True:
            changed.clear()
            try:
                answer = await _ask(check, end - loop.time())
                if answer:
                    return answer
                last = f"the last answer was {answer!r}"
            except (AssertionError, NotFound) as error:
                last = error
            except TimeoutError:
                last = "the check itself did not come back"
            left = end - loop.time()
            if left <= 0:
                break
            await _first(changed, min(heartbeat, left))
    finally:
        for stop in endings:
            stop()
    if isinstance(last, AssertionError):
        last.add_note(f"Still so after {within:g} s.")
        raise last
    raise AssertionError(f"Not within {within:g} s: {last}.")


async def _ask(check: Callable[[], Any], seconds: float) -> Any:
    answer = check()
    if not inspect.isawaitable(answer):
        return answer
    task = asyncio.ensure_future(answer)
    done, _ = await asyncio.wait({task}, timeout=max(seconds, 0.0))
    if not done:
        task.cancel()
        await asyncio.wait({task})
        raise TimeoutError
    return task.result()


async def _first(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        pass
