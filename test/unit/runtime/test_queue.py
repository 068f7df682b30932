"""Each key goes to at most one worker, nothing is lost, nothing is invented."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kaito.runtime import QueueClosed, WorkQueue
from kaito.runtime.queue import INITIAL, NORMAL
from kaito.testing import VirtualClock


@pytest.fixture
def queue(clock: VirtualClock) -> WorkQueue[str]:
    return WorkQueue(clock)


async def drain(queue: WorkQueue[str]) -> list[str]:
    keys = []
    while queue.depth:
        key = await queue.get()
        keys.append(key)
        queue.done(key)
    return keys


async def test_a_key_added_many_times_is_handed_out_once(queue: WorkQueue[str]) -> None:
    for key in "aabab":
        queue.add(key)
    assert await drain(queue) == ["a", "b"]


async def test_row_11_a_key_added_while_it_is_worked_on_comes_once_more_afterwards(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert queue.depth == 0
    queue.done("a")
    assert await drain(queue) == ["a"]


async def test_a_waiting_worker_is_woken(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await worker == "a"


async def test_a_worker_cancelled_as_it_is_woken_passes_the_wake_up_on(
    queue: WorkQueue[str],
) -> None:
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    first.cancel()
    async with asyncio.timeout(5):
        assert await second == "a"
    assert first.cancelled()


async def test_a_cancelled_worker_takes_no_key_with_it(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    worker.cancel()
    await asyncio.wait([worker])
    assert await queue.get() == "a"


async def test_a_delayed_key_comes_when_its_time_has_come(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    queue.add_after("a", 10)
    await clock.advance(9.9)
    assert (queue.depth, queue.delayed) == (0, 1)
    await clock.advance(0.1)
    assert (queue.depth, queue.delayed) == (1, 0)


@pytest.mark.parametrize("delays", [(10, 5, 20), (5, 10), (20, 10, 5)])
async def test_of_several_times_the_earliest_holds(
    queue: WorkQueue[str], clock: VirtualClock, delays: tuple[float, ...]
) -> None:
    for delay in delays:
        queue.add_after("a", delay)
    await clock.advance(4.9)
    assert queue.depth == 0
    await clock.advance(0.1)
    assert await drain(queue) == ["a"]
    await clock.advance(60)
    assert queue.depth == 0


async def test_a_key_added_now_comes_now_and_its_later_time_is_forgotten(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    queue.add_after("a", 10)
    queue.add("a")
    assert await drain(queue) == ["a"]
    await clock.advance(60)
    assert queue.depth == 0


async def test_a_time_that_comes_while_the_key_is_worked_on_is_not_lost(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    queue.add("a")
    await queue.get()
    queue.add_after("a", 1)
    await clock.advance(2)
    assert queue.depth == 0
    queue.done("a")
    assert await drain(queue) == ["a"]


async def test_no_delay_is_now(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0)
    queue.add_after("b", -1)
    assert queue.depth == 2


async def test_row_32_a_low_priority_yields_for_as_many_seconds_and_never_starves(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    queue.add("initial", priority=INITIAL)
    for second in range(99):
        queue.add(f"hot-{second}")
        assert await queue.get() == f"hot-{second}"
        await clock.advance(1)
    await clock.advance(1.5)
    queue.add("hot")
    assert await queue.get() == "initial"


async def test_equal_priorities_are_served_in_order_of_becoming_ready(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    queue.add_after("late", 1)
    queue.add("a")
    queue.add("b")
    await clock.advance(1)
    queue.add("c")
    assert await drain(queue) == ["a", "b", "late", "c"]


async def test_a_waiting_key_keeps_the_higher_priority(queue: WorkQueue[str]) -> None:
    queue.add("a", priority=INITIAL)
    queue.add("b", priority=INITIAL)
    queue.add("b", priority=NORMAL)
    queue.add("b", priority=INITIAL)
    assert await drain(queue) == ["b", "a"]


async def test_a_closed_queue_hands_out_what_is_ready_and_takes_no_more(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    queue.add("a")
    queue.add_after("b", 1)
    queue.close()
    queue.add("c")
    await clock.advance(5)
    assert await queue.get() == "a"
    queue.add("a")
    queue.done("a")
    with pytest.raises(QueueClosed):
        await queue.get()
    assert clock.pending == 0


async def test_closing_wakes_every_waiting_worker(queue: WorkQueue[str]) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.close()
    ends = await asyncio.gather(*workers, return_exceptions=True)
    assert [type(end) for end in ends] == [QueueClosed] * 3


async def test_only_keys_that_were_handed_out_can_be_done(queue: WorkQueue[str]) -> None:
    queue.add("a")
    with pytest.raises(KeyError):
        queue.done("a")


async def test_overtaken_bookings_do_not_pile_up(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    for _ in range(1000):
        queue.add_after("a", 3600)
        queue.add("a")
        queue.done(await queue.get())
    for _ in range(1000):
        queue.add_after("b", 3600)
    assert len(queue._schedule) < 100
    assert len(queue._heap) == 0
    await clock.advance(3600)
    assert await drain(queue) == ["b"]


async def test_what_waits_and_what_is_worked_on_can_be_looked_at(
    queue: WorkQueue[str], clock: VirtualClock
) -> None:
    assert (queue.oldest, queue.working) == (0.0, {})
    queue.add("a")
    await clock.advance(2)
    queue.add("b")
    assert queue.oldest == 2
    await queue.get()
    await clock.advance(3)
    assert (queue.oldest, queue.working) == (3, {"a": 3})


class Reports:
    def __init__(self) -> None:
        self.depths: list[int] = []
        self.retries = 0
        self.waits: list[float] = []
        self.works: list[float] = []

    def ready(self, depth: int) -> None:
        self.depths.append(depth)

    def retried(self) -> None:
        self.retries += 1

    def handed_out(self, depth: int, waited: float) -> None:
        self.depths.append(depth)
        self.waits.append(waited)

    def done(self, worked: float) -> None:
        self.works.append(worked)


async def test_row_34_depth_counts_ready_keys_only_and_never_runs_below_zero(
    clock: VirtualClock,
) -> None:
    reports = Reports()
    queue: WorkQueue[str] = WorkQueue(clock, reports)
    queue.add_after("a", 5)
    assert (reports.depths, reports.retries) == ([], 1)
    await clock.advance(5)
    assert reports.depths == [1]
    await clock.advance(2)
    await queue.get()
    queue.add("a")
    await clock.advance(3)
    assert queue.ages() == [3.0]
    queue.done("a")
    assert reports.depths == [1, 0, 1]
    assert (reports.waits, reports.works) == ([2.0], [3.0])


class Model(RuleBasedStateMachine):
    """A queue beside three sets and a table of times, which is what it promises to be."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = VirtualClock()
        self.queue: WorkQueue[str] = WorkQueue(self.clock)
        self.ready: set[str] = set()
        self.working: set[str] = set()
        self.dirty: set[str] = set()
        self.booked: dict[str, float] = {}

    def teardown(self) -> None:
        self.loop.close()

    KEYS = st.sampled_from("abc")

    def _added(self, key: str) -> None:
        if key in self.working:
            self.dirty.add(key)
        else:
            self.booked.pop(key, None)
            self.ready.add(key)

    @rule(key=KEYS, priority=st.sampled_from([INITIAL, NORMAL, 50]))
    def add(self, key: str, priority: int) -> None:
        self.queue.add(key, priority=priority)
        self._added(key)

    @rule(key=KEYS, seconds=st.integers(1, 5))
    def add_after(self, key: str, seconds: int) -> None:
        self.queue.add_after(key, seconds)
        if key not in self.ready:
            at = self.clock.monotonic() + seconds
            self.booked[key] = min(at, self.booked.get(key, at))

    @rule(seconds=st.integers(1, 5))
    def pass_time(self, seconds: int) -> None:
        self.loop.run_until_complete(self.clock.advance(seconds))
        for key, at in sorted(self.booked.items()):
            if at <= self.clock.monotonic():
                del self.booked[key]
                self._added(key)

    @precondition(lambda self: self.ready)
    @rule()
    def take(self) -> None:
        key = self.loop.run_until_complete(self.queue.get())
        assert key in self.ready
        assert key not in self.working
        self.ready.remove(key)
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.queue.done(key)
        self.working.remove(key)
        if key in self.dirty:
            self.dirty.remove(key)
            self._added(key)

    @invariant()
    def agree(self) -> None:
        assert self.queue.depth == len(self.ready)
        assert self.queue.delayed == len(self.booked)
        assert len(self.queue.ages()) == len(self.working)


TestTheQueueAgainstItsModel = Model.TestCase
TestTheQueueAgainstItsModel.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None
)
