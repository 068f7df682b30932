"""Changes become keys, keys become reconciles, outcomes become the next wake-up."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from kaito.runtime import (
    Again,
    AlreadyExists,
    Backoff,
    Call,
    Client,
    Conflict,
    Controller,
    Informer,
    Key,
    Metrics,
    Object,
    Resource,
    RetryRate,
    Scope,
    ServerError,
    Status,
    Terminal,
    TooManyRequests,
    generation_changed,
    reconcile_id,
    watch,
)
from kaito.runtime.ledgers import FENCE_SECONDS, SLACK
from kaito.runtime.queue import INITIAL
from kaito.testing import FakeApi, ScriptedReply, VirtualClock

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
JOBS: Resource[Object] = Resource("batch", "v1", "jobs", "Job")
A, B = Key("ns", "a"), Key("ns", "b")

Outcome = Again | None | BaseException


class Scene:
    """A server, informers of pods and jobs, and room for one controller."""

    def __init__(self, api: FakeApi, clock: VirtualClock) -> None:
        self.api = api
        self.clock = clock
        self.metrics = Metrics()
        self.client = Client(api, field_manager="us", clock=clock)
        self.pods = Informer(self.client, PODS, clock=clock)
        self.jobs = Informer(self.client, JOBS, clock=clock)
        self.runs: list[tuple[Key, float]] = []
        self.outcomes: list[Outcome] = []
        self.stop = asyncio.Event()
        self.lead: asyncio.Event | None = None
        self._woken: list[Key] = []

    def queue_up(self, key: Key) -> None:
        """Have the controller woken for `key` as soon as it runs."""
        self._woken.append(key)

    async def reconcile(self, key: Key) -> Again | None:
        """Write the run down and end as the test says."""
        self.runs.append((key, self.clock.monotonic()))
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    @property
    def keys(self) -> list[Key]:
        return [key for key, _ in self.runs]

    @property
    def gaps(self) -> list[float]:
        times = [at for _, at in self.runs]
        return [round(later - at, 3) for at, later in itertools.pairwise(times)]

    @asynccontextmanager
    async def running(
        self, reconcile: Callable[[Key], Awaitable[Again | None]] | None = None, **settings: Any
    ) -> AsyncIterator[asyncio.Task[None]]:
        settings.setdefault("primary", watch(self.pods))
        controller = Controller("pods", reconcile or self.reconcile, **settings)
        self.controller = controller
        feeds = [asyncio.create_task(feed.run()) for feed in (self.pods, self.jobs)]
        await self.clock.settle()
        task = asyncio.create_task(
            controller.run(
                informers=[self.pods, self.jobs],
                clock=self.clock,
                metrics=self.metrics,
                stop=self.stop,
                lead=self.lead,
            )
        )
        await asyncio.sleep(0)
        for key in self._woken:
            controller.wake(key)
        await self.clock.settle()
        try:
            yield task
        finally:
            for each in (*feeds, task):
                each.cancel()
            await asyncio.wait([*feeds, task])

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"controller": "pods", **labels})

    def result(self, result: str) -> float | None:
        return self.sample("controller_runtime_reconcile_total", result=result)


@pytest.fixture
async def scene(api: FakeApi, clock: VirtualClock) -> Scene:
    return Scene(api, clock)


# Changes become keys


async def test_what_is_there_already_is_reconciled_and_then_each_change(scene: Scene) -> None:
    scene.api.put(PODS, "a", "ns")
    async with scene.running():
        assert scene.keys == [A]
        scene.api.put(PODS, "b", "ns")
        await scene.clock.settle()
        scene.api.remove(PODS, "a", "ns")
        await scene.clock.settle()
    assert scene.keys == [A, B, A]


async def test_row_13_a_status_write_of_our_own_wakes_nobody(scene: Scene) -> None:
    async def reconcile(key: Key) -> None:
        await scene.reconcile(key)
        await scene.client.patch(PODS, key, {"status": {"seen": True}}, subresource="status")

    scene.api.put(PODS, "a", "ns")
    async with scene.running(reconcile, primary=watch(scene.pods, when=generation_changed)):
        await scene.clock.advance(60)
    assert scene.keys == [A]


async def test_an_owned_object_wakes_the_controller_that_owns_it(scene: Scene) -> None:
    def owned_by(kind: str, name: str, *, controller: bool) -> dict[str, Any]:
        return {"ownerReferences": [{"kind": kind, "name": name, "controller": controller}]}

    async with scene.running(owned=[watch(scene.jobs)]):
        scene.api.put(JOBS, "j1", "ns", metadata=owned_by("Pod", "a", controller=True))
        scene.api.put(JOBS, "j2", "ns", metadata=owned_by("Pod", "x", controller=False))
        scene.api.put(JOBS, "j3", "ns", metadata=owned_by("Other", "y", controller=True))
        await scene.clock.settle()
    assert scene.keys == [A]


async def test_another_kind_wakes_whom_the_mapper_names(scene: Scene) -> None:
    async with scene.running(watches=[watch(scene.jobs, to=lambda change: [A, B])]):
        scene.api.put(JOBS, "j", "ns")
        await scene.clock.settle()
    assert scene.keys == [A, B]


def test_a_watch_of_another_kind_without_a_mapper_is_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="each of `watches` needs `to`"):
        Controller("x", scene.reconcile, primary=watch(scene.pods), watches=[watch(scene.jobs)])


async def test_a_mapper_that_fails_on_what_is_there_already_does_not_stop_the_start(
    scene: Scene,
) -> None:
    def mapper(change: Any) -> list[Key]:
        if change.key.name == "bad":
            raise ValueError("cannot map this one")
        return [A]

    scene.api.put(JOBS, "bad", "ns")
    scene.api.put(JOBS, "good", "ns")
    async with scene.running(watches=[watch(scene.jobs, to=mapper)]):
        assert scene.keys == [A]


async def test_rows_12_15_objects_are_reconciled_without_being_written_to(scene: Scene) -> None:
    scene.outcomes = [Again.after(5), RuntimeError("x"), Again.now()]
    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running():
            await scene.clock.advance(60)
    assert len(scene.runs) == 4
    assert scene.api.writes() == []


# One key, one worker


async def test_one_key_is_never_worked_on_twice_at_once_and_others_do_not_wait(
    scene: Scene,
) -> None:
    working: set[Key] = set()
    gate = asyncio.Event()
    most = 0

    async def reconcile(key: Key) -> None:
        nonlocal most
        assert key not in working
        working.add(key)
        most = max(most, len(working))
        scene.runs.append((key, 0))
        await gate.wait()
        working.remove(key)

    scene.api.put(PODS, "a", "ns")
    scene.api.put(PODS, "b", "ns")
    async with scene.running(reconcile, workers=4):
        for size in range(5):
            scene.api.put(PODS, "a", "ns", spec={"x": size})
        await scene.clock.settle()
        assert sorted(scene.keys) == [A, B]
        assert scene.sample("controller_runtime_active_workers") == 2
        gate.set()
        await scene.clock.settle()
    assert most == 2
    assert scene.keys.count(A) == 2


async def test_rows_16_17_no_more_reconciles_run_at_once_than_there_are_workers(
    scene: Scene,
) -> None:
    gate = asyncio.Event()

    async def reconcile(key: Key) -> None:
        scene.runs.append((key, 0))
        await gate.wait()

    for number in range(10):
        scene.api.put(PODS, f"p{number}", "ns")
    async with scene.running(reconcile, workers=3):
        assert len(scene.runs) == 3
        assert scene.sample("controller_runtime_max_concurrent_reconciles") == 3
        gate.set()
        await scene.clock.settle()
        assert len(scene.runs) == 10


async def test_row_17_reconciles_that_never_wait_do_not_starve_everybody_else(
    scene: Scene,
) -> None:
    """Else the loop would never turn again, and this test would never end."""
    for number in range(100_000):
        scene.queue_up(Key("ns", f"k{number}"))
    async with scene.running(workers=1) as task:
        assert 0 < len(scene.runs) < 100_000
        scene.stop.set()
        await task


# The table of outcomes


async def test_success_is_followed_by_nothing(scene: Scene) -> None:
    scene.api.put(PODS, "a", "ns")
    async with scene.running():
        await scene.clock.advance(3600)
    assert len(scene.runs) == 1
    assert scene.result("success") == 1


async def test_again_after_comes_back_after_that_time(scene: Scene) -> None:
    scene.outcomes = [Again.after(30), Again.after(10)]
    scene.api.put(PODS, "a", "ns")
    async with scene.running():
        await scene.clock.advance(3600)
    assert scene.gaps == [30, 10]
    assert scene.result("requeue_after") == 2


async def test_again_now_comes_back_behind_those_who_wait(scene: Scene) -> None:
    scene.outcomes = [Again.now()]
    scene.api.put(PODS, "a", "ns")
    scene.api.put(PODS, "b", "ns")
    async with scene.running(workers=1):
        pass
    assert scene.keys == [A, B, A]
    assert scene.result("requeue") == 1


async def test_again_now_without_end_comes_back_ever_more_rarely(scene: Scene) -> None:
    scene.outcomes = [Again.now()] * 1000
    scene.api.put(PODS, "a", "ns")
    async with scene.running():
        await scene.clock.advance(3600)
    assert scene.gaps[:5] == [0, 0.01, 0.02, 0.04, 0.08]
    assert scene.gaps[-1] == 10
    assert len(scene.runs) < 400


@pytest.mark.parametrize("outcome", [None, Again.after(1), RuntimeError("x"), Terminal("x")])
async def test_any_other_answer_lets_again_now_be_now_again(scene: Scene, outcome: Outcome) -> None:
    scene.outcomes = [Again.now(), Again.now(), outcome, Again.now(), None]
    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running():
            await scene.clock.advance(10)
            if len(scene.runs) == 3:
                scene.api.put(PODS, "a", "ns", spec={"x": 2})
            await scene.clock.advance(10)
    assert scene.gaps[-1] == 0
    assert len(scene.runs) == 5


@pytest.mark.parametrize("seconds", [0, -1])
async def test_again_after_no_time_is_again_now(scene: Scene, seconds: float) -> None:
    scene.outcomes = [Again.after(seconds)] * 100
    scene.api.put(PODS, "a", "ns")
    async with scene.running():
        await scene.clock.advance(1)
    assert len(scene.runs) < 10
    assert scene.result("requeue") == len(scene.runs)


async def test_a_change_comes_before_a_booked_time_and_replaces_it(scene: Scene) -> None:
    scene.outcomes = [Again.after(30)]
    scene.api.put(PODS, "a", "ns")
    async with scene.running():
        await scene.clock.advance(10)
        scene.api.put(PODS, "a", "ns", spec={"x": 2})
        await scene.clock.advance(3600)
    assert scene.gaps == [10]


async def test_errors_are_retried_with_growing_delays_and_success_forgets_them(
    scene: Scene,
) -> None:
    scene.outcomes = [RuntimeError("x")] * 4 + [None, RuntimeError("x")]
    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running():
            await scene.clock.advance(10)
            scene.api.put(PODS, "a", "ns", spec={"x": 2})
            await scene.clock.advance(10)
    assert scene.gaps[:4] == [0.005, 0.01, 0.02, 0.04]
    assert scene.gaps[-1] == 0.005
    assert scene.result("error") == 5
    assert scene.sample("controller_runtime_reconcile_errors_total") == 5
    assert scene.sample("controller_runtime_reconcile_panics_total") == 5


async def test_an_api_failure_is_no_crash_and_a_conflict_is_not_even_a_warning(
    scene: Scene,
) -> None:
    scene.outcomes = [
        ServerError(Status(503)),
        Conflict(Status(409)),
        AlreadyExists(Status(409)),
    ]
    scene.api.put(PODS, "a", "ns")
    with capture_logs() as logs:
        async with scene.running():
            await scene.clock.advance(10)
    assert [log["log_level"] for log in logs] == ["warning", "debug", "debug"]
    assert scene.sample("controller_runtime_reconcile_panics_total") == 0


async def test_a_server_that_names_a_time_is_left_alone_until_then(scene: Scene) -> None:
    scene.outcomes = [TooManyRequests(Status(429), retry_after=120)]
    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running():
            await scene.clock.advance(3600)
    assert scene.gaps == [120]


async def test_many_failing_keys_are_retried_at_a_common_rate(scene: Scene) -> None:
    def down(key: Key) -> None:
        scene.runs.append((key, scene.clock.monotonic()))
        raise ServerError(Status(503))

    async def reconcile(key: Key) -> None:
        down(key)

    for number in range(200):
        scene.api.put(PODS, f"p{number}", "ns")
    rate = RetryRate(per_second=10, burst=20)
    with capture_logs():
        async with scene.running(reconcile, retry_rate=rate, backoff=Backoff(first=0.5, jitter=0)):
            await scene.clock.advance(10)
    # Each key's first run is no retry; then the burst, then ten in each second.
    assert len(scene.runs) == pytest.approx(200 + 20 + 10 * 10, abs=2)


async def test_without_a_rate_each_key_is_retried_by_itself(scene: Scene) -> None:
    for number in range(200):
        scene.api.put(PODS, f"p{number}", "ns")
    scene.outcomes = [ServerError(Status(503))] * 200
    with capture_logs():
        async with scene.running(retry_rate=None):
            await scene.clock.advance(0.1)
    assert len(scene.runs) == 400


async def test_conflicts_say_nothing_of_trouble_and_take_no_turn(scene: Scene) -> None:
    for number in range(200):
        scene.api.put(PODS, f"p{number}", "ns")
    scene.outcomes = [Conflict(Status(409))] * 200
    with capture_logs():
        async with scene.running(retry_rate=RetryRate(per_second=1, burst=1)):
            await scene.clock.advance(0.1)
    assert len(scene.runs) == 400


async def test_an_answer_that_is_none_of_the_allowed_is_a_crash_that_says_so(scene: Scene) -> None:
    async def reconcile(key: Key) -> Any:
        await scene.reconcile(key)
        return 30 if len(scene.runs) == 1 else None

    scene.api.put(PODS, "a", "ns")
    with capture_logs() as logs:
        async with scene.running(reconcile) as task:
            await scene.clock.advance(1)
            assert not task.done()
    assert logs[0]["error"] == (
        "The reconcile returned 30; return None, Again.now() or Again.after(seconds)."
    )
    assert len(scene.runs) == 2


async def test_terminal_is_not_retried_until_something_changes(scene: Scene) -> None:
    scene.outcomes = [RuntimeError("x"), Terminal("no such model")]
    scene.api.put(PODS, "a", "ns")
    with capture_logs() as logs:
        async with scene.running():
            await scene.clock.advance(3600)
            assert len(scene.runs) == 2
            scene.outcomes = [RuntimeError("x")]
            scene.api.put(PODS, "a", "ns", spec={"x": 2})
            await scene.clock.advance(3600)
    assert scene.gaps[-1] == 0.005, "the failures before the verdict are forgotten"
    assert logs[1]["error"] == "no such model"
    assert scene.sample("controller_runtime_terminal_reconcile_errors_total") == 1
    assert scene.result("error") == 3


async def test_row_34_a_key_that_waits_for_its_retry_is_not_counted_as_waiting(
    scene: Scene,
) -> None:
    scene.outcomes = [ServerError(Status(503))]
    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running(backoff=Backoff(first=5, jitter=0)):
            depth = {"name": "pods", "controller": "pods", "priority": ""}
            read = scene.metrics.registry.get_sample_value
            assert read("workqueue_depth", depth) == 0
            assert scene.controller.queues[0].delayed == 1


async def test_row_32_what_failed_in_the_first_list_stays_behind_what_changes(
    scene: Scene,
) -> None:
    scene.outcomes = [ServerError(Status(503))]
    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running(workers=1, backoff=Backoff(first=5, jitter=0)):
            queue = scene.controller.queues[0]
            for number in range(3):
                queue.add_after(Key("ns", f"late-{number}"), 5, priority=INITIAL)
            await scene.clock.advance(4)
            queue.add_after(B, 1)
            scene.runs.clear()
            await scene.clock.advance(2)
    assert scene.keys[0] == B


async def test_a_crash_concerns_its_key_alone(scene: Scene) -> None:
    async def reconcile(key: Key) -> None:
        scene.runs.append((key, 0))
        if key == A:
            raise ZeroDivisionError

    scene.api.put(PODS, "a", "ns")
    scene.api.put(PODS, "b", "ns")
    with capture_logs():
        async with scene.running(reconcile, workers=1) as task:
            await scene.clock.settle()
            assert B in scene.keys
            assert not task.done()


async def test_row_1_a_cancellation_from_within_does_not_silence_the_worker(scene: Scene) -> None:
    async def reconcile(key: Key) -> None:
        scene.runs.append((key, 0))
        if len(scene.runs) <= 3:
            inner = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner

    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running(reconcile, workers=1):
            await scene.clock.advance(1)
    assert len(scene.runs) == 4


async def test_a_reconcile_has_the_controllers_own_deadline(scene: Scene) -> None:
    ended: list[str] = []

    async def reconcile(key: Key) -> None:
        scene.runs.append((key, scene.clock.monotonic()))
        if len(scene.runs) > 1:
            return
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    scene.api.put(PODS, "a", "ns")
    with capture_logs() as logs:
        async with scene.running(reconcile, timeout=20):
            await scene.clock.advance(60)
    assert ended == ["cleaned up"]
    assert scene.gaps == [20.005]
    assert scene.sample("controller_runtime_reconcile_timeouts_total") == 1
    assert logs[0]["log_level"] == "warning"


async def test_a_timeout_of_something_else_is_not_counted_as_the_controllers(
    scene: Scene,
) -> None:
    scene.outcomes = [TimeoutError("somebody else's")]
    scene.api.put(PODS, "a", "ns")
    with capture_logs():
        async with scene.running(timeout=20):
            await scene.clock.advance(60)
    assert scene.sample("controller_runtime_reconcile_timeouts_total") == 0


async def test_counters_are_there_before_anything_happened(scene: Scene) -> None:
    async with scene.running():
        pass
    for name in ("reconcile_errors", "terminal_reconcile_errors", "reconcile_panics"):
        assert scene.sample(f"controller_runtime_{name}_total") == 0
    assert [scene.result(r) for r in ("success", "error", "requeue", "requeue_after")] == [0] * 4


async def test_row_33_the_depth_has_no_label_that_grows(scene: Scene) -> None:
    for number in range(50):
        scene.api.put(PODS, f"p{number}", "ns")
    async with scene.running():
        pass
    [depth] = [
        family for family in scene.metrics.registry.collect() if family.name == "workqueue_depth"
    ]
    assert [sample.labels for sample in depth.samples] == [
        {"name": "pods", "controller": "pods", "priority": ""}
    ]


# Who said it


@pytest.fixture
def log_lines() -> Iterator[list[Any]]:
    """Every line logged, with what its context adds."""
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        yield lines


async def test_lines_of_the_reconcile_and_of_its_tasks_name_their_reconcile(
    scene: Scene, log_lines: list[Any]
) -> None:
    users = structlog.get_logger("user")

    async def helper(key: Key) -> None:
        users.info("helping", object=key.name)

    async def reconcile(key: Key) -> Again | None:
        await scene.reconcile(key)
        users.info("working")
        await asyncio.create_task(helper(key))
        users.info("sent along", header=reconcile_id())
        if len(scene.runs) == 1:
            raise RuntimeError("x")
        return None

    scene.api.put(PODS, "a", "ns")
    async with scene.running(reconcile):
        await scene.clock.advance(1)
    assert {(line["controller"], line["key"]) for line in log_lines} == {("pods", "ns/a")}
    first, second = log_lines[:4], log_lines[4:]
    assert [line["event"] for line in first] == [
        "working", "helping", "sent along", "reconcile crashed",
    ]  # fmt: skip
    assert len({line["reconcile_id"] for line in first}) == 1
    assert len({line["reconcile_id"] for line in (first[0], second[0])}) == 2
    assert first[2]["header"] == first[0]["reconcile_id"]


def test_outside_of_a_reconcile_there_is_no_id() -> None:
    assert reconcile_id() == ""


async def test_a_worker_is_named_by_the_key_it_works_on(scene: Scene) -> None:
    names: list[str] = []

    async def reconcile(key: Key) -> None:
        task = asyncio.current_task()
        assert task is not None
        names.append(task.get_name())

    scene.api.put(PODS, "a", "ns")
    async with scene.running(reconcile, workers=1):
        assert names == ["pods/worker-0 ns/a"]
        assert "pods/worker-0" in {task.get_name() for task in asyncio.all_tasks()}


# Standing by


async def test_a_standby_gathers_keys_and_works_on_them_when_it_leads(scene: Scene) -> None:
    scene.lead = asyncio.Event()
    scene.api.put(PODS, "a", "ns")
    async with scene.running():
        scene.api.put(PODS, "b", "ns")
        await scene.clock.settle()
        assert scene.runs == []
        assert scene.controller.queues[0].depth == 2
        scene.lead.set()
        await scene.clock.settle()
    assert scene.keys == [B, A], "what has changed comes before what was there"


async def test_a_standby_that_is_stopped_has_worked_on_nothing(scene: Scene) -> None:
    scene.lead = asyncio.Event()
    scene.api.put(PODS, "a", "ns")
    async with scene.running() as task:
        scene.stop.set()
        await task
    assert scene.runs == []


# Stopping


async def test_a_controller_that_has_ended_hears_nothing_more(scene: Scene) -> None:
    async with scene.running() as task:
        assert len(scene.pods._cache.listeners) == 1
        scene.stop.set()
        await task
    assert len(scene.pods._cache.listeners) == 0


async def test_stop_waits_for_what_runs_and_starts_nothing_more(scene: Scene) -> None:
    gate = asyncio.Event()

    async def reconcile(key: Key) -> None:
        scene.runs.append((key, 0))
        await gate.wait()
        scene.runs.append((key, 1))

    scene.api.put(PODS, "a", "ns")
    scene.api.put(PODS, "b", "ns")
    async with scene.running(reconcile, workers=1) as task:
        scene.stop.set()
        await scene.clock.settle()
        assert not task.done()
        gate.set()
        await task
    assert scene.runs == [(A, 0), (A, 1)]


async def test_cancellation_ends_what_runs_where_it_waits(scene: Scene) -> None:
    ended: list[str] = []

    async def reconcile(_: Key) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    scene.api.put(PODS, "a", "ns")
    async with scene.running(reconcile) as task:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert ended == ["cleaned up"]


# Read your own writes


async def test_row_30_a_reconcile_sees_what_its_last_run_wrote(scene: Scene) -> None:
    """A cache from before our own write would have us create a second node."""
    created = 0

    async def reconcile(key: Key) -> Again | None:
        nonlocal created
        scene.runs.append((key, scene.clock.monotonic()))
        if Key("ns", "job") not in scene.jobs.store:
            created += 1
            await scene.client.create(JOBS, {"metadata": {"name": "job", "namespace": "ns"}})
            return Again.now()
        return None

    scene.api.put(PODS, "a", "ns")
    async with scene.running(reconcile):
        scene.api.remove(JOBS, "job", "ns")
        scene.runs.clear()
        created = 0
        await scene.clock.settle()
        scene.api.mute = True
        scene.api.put(PODS, "c", "ns")
        scene.api.unmute()
        scene.api.mute = True
        await scene.clock.advance(2)
        held = len(scene.runs)
        scene.api.unmute()
        await scene.clock.settle()
    assert (held, len(scene.runs)) == (1, 2)
    assert created == 1
    assert scene.sample("kaito_runtime_fence_holds_total", outcome="caught up") is not None


async def test_a_key_that_waits_for_a_cache_occupies_no_worker(scene: Scene) -> None:
    async def reconcile(key: Key) -> Again | None:
        scene.runs.append((key, scene.clock.monotonic()))
        if key.name.startswith("w") and Key("ns", key.name) not in scene.jobs.store:
            await scene.client.create(JOBS, {"metadata": {"name": key.name, "namespace": "ns"}})
            return Again.now()
        return None

    for number in range(10):
        scene.api.put(PODS, f"w-{number}", "ns")
    async with scene.running(reconcile, workers=2):
        scene.runs.clear()
        for number in range(10):
            scene.api.remove(JOBS, f"w-{number}", "ns")
        await scene.clock.settle()
        scene.api.mute = True
        for number in range(10):
            scene.controller.wake(Key("ns", f"w-{number}"))
        await scene.clock.advance(1)
        assert len(scene.runs) == 10, "each has written, and waits for its write to be seen"
        scene.controller.wake(Key("ns", "other"))
        await scene.clock.settle()
        assert scene.runs[-1][0].name == "other"
        scene.controller.wake(Key("ns", "w-0"))
        await scene.clock.settle()
        assert len(scene.runs) == 11
        scene.api.unmute()
        await scene.clock.settle()
        assert len(scene.runs) == 21


async def test_stop_does_not_wait_for_keys_that_wait_for_a_cache(scene: Scene) -> None:
    async def reconcile(key: Key) -> Again | None:
        scene.runs.append((key, scene.clock.monotonic()))
        await scene.client.create(JOBS, {"metadata": {"name": "job", "namespace": "ns"}})
        return Again.now()

    scene.api.put(PODS, "a", "ns")
    scene.api.mute = True
    async with scene.running(reconcile) as task:
        await scene.clock.advance(1)
        scene.stop.set()
        await task
    assert len(scene.runs) == 1


async def test_when_the_bound_passes_the_object_is_read_live(scene: Scene) -> None:
    found: list[bool] = []

    async def reconcile(key: Key) -> Again | None:
        scene.runs.append((key, scene.clock.monotonic()))
        found.append(Key("ns", "job") in scene.jobs.store)
        if not found[-1]:
            await scene.client.create(JOBS, {"metadata": {"name": "job", "namespace": "ns"}})
            return Again.now()
        return None

    scene.api.put(PODS, "a", "ns")
    scene.api.mute = True
    with capture_logs() as logs:
        async with scene.running(reconcile):
            await scene.clock.advance(FENCE_SECONDS + 1)
    assert found == [False, True]
    assert scene.gaps == [FENCE_SECONDS]
    assert logs[0]["event"] == "cache lags"
    assert scene.sample("kaito_runtime_fence_holds_total", outcome="read live") == 1


async def test_when_the_live_read_fails_the_key_is_retried_and_not_let_through(
    scene: Scene,
) -> None:
    found: list[bool] = []

    async def reconcile(_: Key) -> Again | None:
        found.append(Key("ns", "job") in scene.jobs.store)
        if not found[-1]:
            await scene.client.create(JOBS, {"metadata": {"name": "job", "namespace": "ns"}})
            return Again.now()
        return None

    def down(call: Call) -> ScriptedReply | None:
        live = "metadata.name=job" in call.query.get("fieldSelector", "")
        return ScriptedReply.refusal(500, "InternalError") if live else None

    scene.api.put(PODS, "a", "ns")
    scene.api.mute = True
    scene.api.fault = down
    with capture_logs():
        async with scene.running(reconcile):
            await scene.clock.advance(3 * FENCE_SECONDS)
            assert found == [False]
            scene.api.fault = None
            await scene.clock.advance(2 * FENCE_SECONDS)
    assert found == [False, True]


async def test_writes_of_keys_that_never_come_back_are_forgotten(scene: Scene) -> None:
    async def reconcile(key: Key) -> None:
        job = {"metadata": {"name": key.name, "namespace": "ns"}}
        await scene.client.create(JOBS, job)

    count = 20 * SLACK
    async with scene.running(reconcile) as task:
        del task
        [crew] = scene.controller._crews
        for number in range(count):
            scene.controller.wake(Key("ns", f"gone-{number}"))
            if number % 100 == 0:
                await scene.clock.settle()
        await scene.clock.settle()
        assert len(scene.api.writes()) == count
        assert len(crew._ledgers) <= 2 * SLACK


async def test_writes_that_no_informer_will_ever_show_hold_nothing(
    scene: Scene, clock: VirtualClock
) -> None:
    scene.jobs = Informer(scene.client, JOBS, clock=clock, scope=Scope(namespaces=("elsewhere",)))

    async def reconcile(key: Key) -> Again | None:
        scene.runs.append((key, clock.monotonic()))
        if len(scene.runs) > 1:
            return None
        await scene.client.create(JOBS, {"metadata": {"name": "job", "namespace": "ns"}})
        return Again.now()

    scene.api.put(PODS, "a", "ns")
    async with scene.running(reconcile):
        pass
    assert scene.gaps == [0]


async def test_no_timer_and_no_waiter_is_left_by_a_key_that_was_held(scene: Scene) -> None:
    async def reconcile(key: Key) -> Again | None:
        scene.runs.append((key, 0))
        await scene.client.patch(PODS, key, {"status": {"n": len(scene.runs)}})
        return Again.now() if len(scene.runs) < 3 else None

    scene.api.put(PODS, "a", "ns")
    async with scene.running(reconcile, primary=watch(scene.pods, when=generation_changed)):
        await scene.clock.advance(1)
        watchdogs = 2
        assert scene.clock.pending == watchdogs
        assert not scene.pods._awaited


def owned_by_a(api_version: str, kind: str) -> dict[str, Any]:
    reference = {"apiVersion": api_version, "kind": kind, "name": "a", "controller": True}
    return {"ownerReferences": [reference]}


async def test_an_owner_without_a_namespace_is_woken_by_what_it_owns_in_one(scene: Scene) -> None:
    sites = Informer(
        scene.client, Resource("x.io", "v1", "sites", "Site", namespaced=False), clock=scene.clock
    )
    async with scene.running(primary=watch(sites), owned=[watch(scene.jobs)]):
        scene.api.put(JOBS, "j", "ns", metadata=owned_by_a("x.io/v2", "Site"))
        await scene.clock.settle()
    assert scene.keys == [Key("", "a")]


async def test_an_owner_of_the_same_kind_in_another_group_wakes_nobody(scene: Scene) -> None:
    async with scene.running(owned=[watch(scene.jobs)]):
        scene.api.put(JOBS, "j", "ns", metadata=owned_by_a("x.io/v1", "Pod"))
        await scene.clock.settle()
    assert scene.keys == []


async def test_an_owner_that_was_left_is_woken(scene: Scene) -> None:
    async with scene.running(owned=[watch(scene.jobs)]):
        scene.api.put(JOBS, "j", "ns", metadata=owned_by_a("v1", "Pod"))
        await scene.clock.settle()
        scene.api.put(JOBS, "j", "ns", metadata={"ownerReferences": []})
        await scene.clock.settle()
    assert scene.keys == [A, A]


class Moody(Exception):
    """Of somebody else's library."""

    retry_after = "tomorrow"


@pytest.mark.parametrize(
    "bad",
    [
        lambda: Again.after(float("nan")),
        lambda: Again.after("5"),  # type: ignore[arg-type]  # that is the point
        Moody,
    ],
)
async def test_an_answer_that_is_no_time_concerns_its_key_alone(
    scene: Scene, bad: Callable[[], Any]
) -> None:
    async def reconcile(key: Key) -> Again | None:
        scene.runs.append((key, 0))
        if key == A and scene.keys.count(A) == 1:
            answer: Again | Exception = bad()
            if isinstance(answer, Exception):
                raise answer
            return answer
        return None

    scene.api.put(PODS, "a", "ns")
    scene.api.put(PODS, "b", "ns")
    with capture_logs():
        async with scene.running(reconcile, workers=1) as run:
            await scene.clock.advance(1)
            assert not run.done()
    assert sorted(scene.keys) == [A, A, B]


def writing_once(scene: Scene) -> Callable[[Key], Awaitable[Again | None]]:
    """A reconcile that writes in its first run, and comes back at once."""

    async def reconcile(key: Key) -> Again | None:
        scene.runs.append((key, 0))
        if len(scene.runs) == 1:
            await scene.client.create(JOBS, {"metadata": {"name": "job", "namespace": "ns"}})
            return Again.now()
        return None

    return reconcile


async def test_a_cancellation_within_a_live_read_does_not_lose_its_key(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Key] = []
    refresh = scene.jobs.refresh

    async def cancelled_once(key: Key) -> None:
        reads.append(key)
        if len(reads) == 1:
            inner = asyncio.get_running_loop().create_future()
            inner.cancel()
            await inner
        await refresh(key)

    monkeypatch.setattr(scene.jobs, "refresh", cancelled_once)
    scene.api.put(PODS, "a", "ns")
    scene.api.mute = True
    with capture_logs():
        async with scene.running(writing_once(scene)):
            await scene.clock.advance(3 * FENCE_SECONDS)
    assert scene.keys == [A, A]


async def test_a_live_read_is_not_logged_as_part_of_another_reconcile(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids: list[str] = []
    refresh = scene.jobs.refresh

    async def asked(key: Key) -> None:
        ids.append(reconcile_id())
        await refresh(key)

    monkeypatch.setattr(scene.jobs, "refresh", asked)
    scene.api.put(PODS, "a", "ns")
    scene.api.mute = True
    with capture_logs():
        async with scene.running(writing_once(scene), workers=1):
            await scene.clock.advance(2 * FENCE_SECONDS)
    assert ids == [""]
