"""An event loop whose time passes only when nothing is left to do now, and then at once.

It makes a run the same each time: no socket, no thread and no process has a say in what happens
next. Code that waits for one of these is refused.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from kaito.runtime.clock import Timer

T = TypeVar("T")

EPOCH = 1_750_000_000.0  # an arbitrary day in 2025
INSTANT = 1e-9  # seconds that a turn of the loop takes: what is due now is then past, never early
BEGINNING = 1000.0  # seconds; what was "long ago" on a monotonic clock stays above zero


class Stuck(Exception):
    """Nothing is left to do, now or ever, and the end has not been reached."""


class _Passing(selectors.BaseSelector):
    """Where a loop would sleep, time passes instead."""

    def __init__(self) -> None:
        self.now = BEGINNING
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck("Everything waits, and no timer is booked: nothing will ever happen again.")
        self.now += timeout + INSTANT
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self._keys:  # the first is the loop's own, by which threads would wake it
            raise RuntimeError("A perturbed scenario has no sockets: time would not wait for them.")
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, 0, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. What is given to an executor runs at once, in this thread."""

    virtual = True
    """For who watches over loops."""

    def __init__(self) -> None:
        self._passing = _Passing()
        super().__init__(self._passing)
        self._clock_resolution = 0.0  # see INSTANT

    def time(self) -> float:
        """Seconds since an arbitrary beginning, as far as time has passed here."""
        return self._passing.now

    # Any: the arguments and the result of whatever is run.
    def run_in_executor(  # type: ignore[override]  # the same call, without the thread
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        done: asyncio.Future[T] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            done.set_exception(error)
        return done


class LoopClock:
    """The time of the running loop, as a kaito.runtime Clock."""

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return asyncio.get_running_loop().call_later(seconds, callback)


def run(main: Callable[[], Coroutine[Any, Any, T]], *, seed: int = 0) -> T:
    """Run to its end in a loop of its own, with the dice of this process set to `seed`.

    RuntimeError where a loop runs already.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(
            "A scenario runs in an event loop of its own: call this where none is running, from a "
            "test that is a plain function."
        )
    dice = random.getstate()
    random.seed(seed)
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main())
    finally:
        random.setstate(dice)
