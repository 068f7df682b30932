"""At most one leads, whatever its clock says and however its calls hang."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest
import structlog
from structlog.testing import capture_logs

from kaito.runtime import (
    Call,
    Client,
    ConnectionFailed,
    Leadership,
    LeaseLost,
    LeaseSettings,
    Metrics,
    Object,
)
from kaito.runtime.lease import LEASES, Elector
from kaito.testing import FakeApi, ScriptedReply, VirtualClock

SETTINGS = LeaseSettings(name="l", namespace="ns", identity="us")
THEM = LeaseSettings(name="l", namespace="ns", identity="them")


def elector(
    api: FakeApi, clock: VirtualClock, settings: LeaseSettings = SETTINGS
) -> tuple[Elector, Metrics]:
    metrics = Metrics()
    client = Client(api, clock=clock, timeout=settings.call_timeout)
    return Elector(client, settings, clock=clock, metrics=metrics, draw=lambda: 0.0), metrics


def spec(api: FakeApi) -> Object:
    lease = api.object(LEASES, "l", "ns")
    assert lease is not None
    found: Object = lease["spec"]
    return found


@asynccontextmanager
async def leading(
    api: FakeApi, clock: VirtualClock, settings: LeaseSettings = SETTINGS
) -> AsyncIterator[tuple[Elector, asyncio.Task[None]]]:
    ours, _ = elector(api, clock, settings)
    await ours.acquire()
    task = asyncio.create_task(ours.hold())
    await clock.settle()
    yield ours, task
    task.cancel()
    await asyncio.wait([task])


# The settings


@pytest.mark.parametrize("times", [(15, 15, 2), (15, 10, 9), (15, 10, 0), (10, 15, 2)])
def test_times_that_do_not_fit_together_are_refused(times: tuple[float, float, float]) -> None:
    duration, deadline, retry = times
    with pytest.raises(ValueError, match="duration > renew deadline"):
        LeaseSettings(
            name="l", namespace="ns", duration=duration, renew_deadline=deadline, retry=retry
        )


def test_a_lease_needs_an_identity() -> None:
    with pytest.raises(ValueError, match="identity"):
        LeaseSettings(name="l", namespace="ns", identity="")


def test_two_processes_of_one_host_differ() -> None:
    one, two = (LeaseSettings(name="l", namespace="ns") for _ in range(2))
    assert one.identity != two.identity


@pytest.mark.parametrize("seconds", [0.5, 1, 3, 15, 60])
def test_a_lease_of_any_length_keeps_client_gos_proportions(seconds: float) -> None:
    settings = LeaseSettings.lasting(seconds, name="l", namespace="ns")
    assert settings.duration == seconds
    assert 0 < settings.call_timeout <= settings.renew_deadline


# Acquiring


async def test_a_lease_that_is_not_there_is_made(api: FakeApi, clock: VirtualClock) -> None:
    ours, metrics = elector(api, clock)
    await ours.acquire()
    assert spec(api)["holderIdentity"] == "us"
    assert spec(api)["leaseDurationSeconds"] == 15
    assert spec(api)["leaseTransitions"] == 0
    assert metrics.registry.get_sample_value("leader_election_slowpath_total", {"name": "l"}) == 1


async def test_a_lease_that_was_given_back_is_taken_at_once(
    api: FakeApi, clock: VirtualClock
) -> None:
    theirs, _ = elector(api, clock, THEM)
    await theirs.acquire()
    await theirs.release()
    assert spec(api)["holderIdentity"] == ""
    ours, _ = elector(api, clock)
    await ours.acquire()
    assert spec(api)["holderIdentity"] == "us"
    assert spec(api)["leaseTransitions"] == 1


@pytest.mark.parametrize("skew", [-86400, -60, 0, 60, 86400])
async def test_a_dead_leaders_lease_is_taken_after_its_duration_whatever_the_clocks_say(
    api: FakeApi, clock: VirtualClock, skew: float
) -> None:
    theirs, _ = elector(api, clock, THEM)
    await theirs.acquire()
    clock.step(skew)
    ours, _ = elector(api, clock)
    with capture_logs():
        task = asyncio.create_task(ours.acquire())
        await clock.advance(14)
        assert not task.done()
        await clock.advance(3)
        assert task.done()
    assert spec(api)["holderIdentity"] == "us"


async def test_the_duration_is_the_records_own_and_not_ours(
    api: FakeApi, clock: VirtualClock
) -> None:
    patient = LeaseSettings(name="l", namespace="ns", identity="them", duration=60)
    theirs, _ = elector(api, clock, patient)
    await theirs.acquire()
    ours, _ = elector(api, clock)
    task = asyncio.create_task(ours.acquire())
    await clock.advance(58)
    assert not task.done()
    await clock.advance(5)
    assert task.done()


async def test_a_living_leader_is_never_deposed(api: FakeApi, clock: VirtualClock) -> None:
    async with leading(api, clock, THEM) as (_, theirs):
        ours, _ = elector(api, clock)
        task = asyncio.create_task(ours.acquire())
        await clock.advance(600)
        assert not task.done()
        assert not theirs.done()
        task.cancel()
        await asyncio.wait([task])


async def test_of_two_who_take_a_free_lease_at_once_one_wins(
    api: FakeApi, clock: VirtualClock
) -> None:
    electors = [elector(api, clock, settings)[0] for settings in (SETTINGS, THEM)]
    with capture_logs():
        tasks = [asyncio.create_task(each.acquire()) for each in electors]
        await clock.advance(10)
        assert sum(task.done() for task in tasks) == 1
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


# Holding


async def test_a_renewal_is_one_call(api: FakeApi, clock: VirtualClock) -> None:
    async with leading(api, clock):
        api.calls.clear()
        acquired = spec(api)["acquireTime"]
        await clock.advance(20)
        assert [call.method for call in api.calls] == ["PUT"] * 10
        assert spec(api)["acquireTime"] == acquired
        assert spec(api)["renewTime"] > acquired


async def test_somebodys_harmless_write_to_the_lease_is_survived(
    api: FakeApi, clock: VirtualClock
) -> None:
    async with leading(api, clock) as (_, task):
        api.put(LEASES, "l", "ns", spec=dict(spec(api)), metadata={"labels": {"seen": "yes"}})
        await clock.advance(5)
        assert not task.done()
        assert spec(api)["holderIdentity"] == "us"


async def test_a_lease_that_was_deleted_under_us_is_made_again(
    api: FakeApi, clock: VirtualClock
) -> None:
    async with leading(api, clock) as (_, task):
        api.remove(LEASES, "l", "ns")
        await clock.advance(3)
        assert not task.done()
        assert spec(api)["holderIdentity"] == "us"


async def test_a_lease_that_somebody_else_took_is_lost_at_once(
    api: FakeApi, clock: VirtualClock
) -> None:
    async with leading(api, clock) as (_, task):
        api.put(LEASES, "l", "ns", spec={**spec(api), "holderIdentity": "them"})
        await clock.advance(2.1)
        with pytest.raises(LeaseLost, match="names them as its holder"):
            await task


@pytest.mark.parametrize("fault", ["refused", "hung", "failing", "busy", "garbled"])
async def test_a_lease_that_cannot_be_renewed_is_lost_before_others_may_take_it(
    api: FakeApi, clock: VirtualClock, fault: str
) -> None:
    async with leading(api, clock) as (ours, task):
        await clock.advance(3)
        if fault == "hung":
            api.hang = lambda call: True
        api.fault = {
            "refused": lambda call: ConnectionFailed("refused"),
            "failing": lambda call: ScriptedReply.refusal(500, "InternalError"),
            "busy": lambda call: ScriptedReply.refusal(
                429, "TooManyRequests", headers={"retry-after": "4"}
            ),
            "garbled": lambda call: ScriptedReply(200, b"<html>"),
            "hung": None,
        }[fault]
        with capture_logs():
            await clock.run_until(task.done)
        assert clock.monotonic() - ours.renewed_at <= SETTINGS.renew_deadline
        with pytest.raises(LeaseLost):
            await task


async def test_one_hung_call_does_not_cost_the_lease(api: FakeApi, clock: VirtualClock) -> None:
    async with leading(api, clock) as (_, task):
        hung: list[Call] = []

        def first(call: Call) -> bool:
            hung.append(call)
            return len(hung) == 1

        api.hang = first
        with capture_logs():
            await clock.advance(60)
        assert not task.done()


async def test_a_renewal_counts_from_when_it_was_sent(api: FakeApi, clock: VirtualClock) -> None:
    """Whoever waits may have seen it from that moment on."""
    ours, _ = elector(api, clock)
    await ours.acquire()
    sent = clock.monotonic()
    gate = asyncio.Event()

    class Slow(FakeApi):
        async def send(self, call: Call):  # type: ignore[no-untyped-def,override]  # as FakeApi's
            reply = await api.send(call)
            await gate.wait()
            return reply

    slow = Slow()
    ours._client = Client(slow, clock=clock)
    task = asyncio.create_task(ours.hold())
    await clock.advance(SETTINGS.retry + 3)
    gate.set()
    await clock.settle()
    assert ours.renewed_at == sent + SETTINGS.retry
    task.cancel()
    await asyncio.wait([task])


# Giving back


async def test_only_our_own_lease_is_given_back(api: FakeApi, clock: VirtualClock) -> None:
    ours, _ = elector(api, clock)
    await ours.acquire()
    api.put(LEASES, "l", "ns", spec={**spec(api), "holderIdentity": "them"})
    await ours.release()
    assert spec(api)["holderIdentity"] == "them"


async def test_a_release_that_hangs_gives_up(api: FakeApi, clock: VirtualClock) -> None:
    ours, _ = elector(api, clock)
    await ours.acquire()
    api.hang = lambda call: True
    with capture_logs() as logs:
        task = asyncio.create_task(ours.release())
        await clock.run_until(task.done, limit=SETTINGS.renew_deadline)
    assert logs[0]["event"] == "lease not released"


# The thread

SHORT = LeaseSettings(
    name="l", namespace="ns", identity="us", duration=30, renew_deadline=0.2, retry=0.02
)


class Guarded:
    """A Leadership on an API in memory, by the machine's clock: it lives in a thread."""

    def __init__(self, settings: LeaseSettings = SHORT) -> None:
        self.api = FakeApi()
        self.metrics = Metrics()
        self.abandoned = threading.Event()
        self.leadership = Leadership(
            settings,
            self.connect,
            metrics=self.metrics,
            abandon=self.abandoned.set,
        )
        self.connect_fault: Callable[[], None] = lambda: None

    def connect(self, timeout: float) -> Client:
        assert timeout == SHORT.call_timeout
        self.connect_fault()
        return Client(self.api, timeout=timeout)

    @property
    def status(self) -> float | None:
        return self.metrics.registry.get_sample_value(
            "leader_election_master_status", {"name": "l"}
        )

    def holder(self) -> str:
        return str(spec(self.api)["holderIdentity"])


@pytest.fixture
def guarded() -> Guarded:
    return Guarded()


async def wait(event: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await event.wait()


async def test_row_37_the_lease_is_given_back_when_the_work_has_ended(guarded: Guarded) -> None:
    async with guarded.leadership as leadership:
        await wait(leadership.acquired)
        assert guarded.status == 1
        assert guarded.holder() == "us"
    assert guarded.holder() == ""
    assert guarded.status == 0
    assert not guarded.abandoned.is_set()


async def test_row_37_after_work_that_ended_badly_the_lease_must_run_out(
    guarded: Guarded,
) -> None:
    async def work() -> None:
        async with guarded.leadership as leadership:
            await wait(leadership.acquired)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert guarded.holder() == "us"


async def test_row_38_an_ordinary_end_is_not_an_alarm(guarded: Guarded) -> None:
    with capture_logs() as logs:
        async with guarded.leadership as leadership:
            await wait(leadership.acquired)
    assert [log["log_level"] for log in logs] == ["info"]


async def test_a_lost_lease_is_told_to_the_main_loop(guarded: Guarded) -> None:
    with capture_logs():
        async with guarded.leadership as leadership:
            await wait(leadership.acquired)
            guarded.api.fault = lambda call: ConnectionFailed("refused")
            await wait(leadership.lost)
            assert guarded.status == 0
            assert isinstance(leadership.why, LeaseLost)
    assert not guarded.abandoned.is_set()


async def test_work_that_outlives_the_lease_is_abandoned_though_the_loop_is_blocked() -> None:
    guarded = Guarded(dataclasses.replace(SHORT, duration=0.3))
    with capture_logs() as logs:
        async with guarded.leadership as leadership:
            await wait(leadership.acquired)
            guarded.api.fault = lambda call: ConnectionFailed("refused")
            # Blocks the loop, as a reconcile without an await would.
            assert guarded.abandoned.wait(10)
    assert "guarded work outlived the lease" in [log["event"] for log in logs]


async def test_a_busy_main_loop_does_not_lose_the_lease(guarded: Guarded) -> None:
    async with guarded.leadership as leadership:
        await wait(leadership.acquired)
        renewed = threading.Event()
        before = spec(guarded.api)["renewTime"]

        def look(call: Call) -> None:
            if call.method == "PUT" and spec(guarded.api)["renewTime"] != before:
                renewed.set()

        guarded.api.fault = look
        assert renewed.wait(10), "the loop is blocked here, and the thread renews"
        assert not leadership.lost.is_set()


async def test_an_elector_that_fails_is_a_lost_lease_and_not_a_silent_thread(
    guarded: Guarded,
) -> None:
    async with guarded.leadership as leadership:
        await wait(leadership.acquired)
        with capture_logs():
            guarded.api.fault = lambda call: ZeroDivisionError("a defect")
            await wait(leadership.lost)
        assert "ZeroDivisionError" in str(leadership.why)


async def test_an_elector_that_cannot_even_start_says_so(guarded: Guarded) -> None:
    def broken() -> None:
        raise OSError("no such certificate")

    guarded.connect_fault = broken
    with capture_logs():
        async with guarded.leadership as leadership:
            await wait(leadership.lost)
    assert "no such certificate" in str(leadership.why)
    assert not guarded.abandoned.is_set()


async def test_leaving_before_being_elected_ends_the_thread_and_takes_no_lease(
    guarded: Guarded,
) -> None:
    held = {"holderIdentity": "them", "leaseDurationSeconds": 60}
    guarded.api.put(LEASES, "l", "ns", spec=held)
    async with guarded.leadership as leadership:
        assert not leadership.acquired.is_set()
    assert guarded.holder() == "them"
    assert not any(thread.name == "lease" for thread in threading.enumerate())


@pytest.fixture
def broken_log() -> Iterator[None]:
    """Every line of the log fails, as it does when standard error was closed by its reader."""

    def fails(*_: object) -> NoReturn:
        raise BrokenPipeError

    before = structlog.get_config()
    structlog.configure(processors=[fails], cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("broken_log")
async def test_a_loss_is_told_and_acted_upon_though_the_log_cannot_be_written() -> None:
    guarded = Guarded(dataclasses.replace(SHORT, duration=0.3))
    async with guarded.leadership as leadership:
        await wait(leadership.acquired)
        guarded.api.fault = lambda call: ConnectionFailed("refused")
        await wait(leadership.lost)
        assert isinstance(leadership.why, LeaseLost)
        assert await asyncio.to_thread(guarded.abandoned.wait, 10)


async def test_a_loss_is_told_before_the_connection_is_closed(guarded: Guarded) -> None:
    class Stuck(FakeApi):
        closing = threading.Event()
        closed = threading.Event()

        async def aclose(self) -> None:
            # Blocks its loop, which is the thread's: the main one goes on.
            self.closing.set()
            self.closed.wait(10)

    guarded.api = stuck = Stuck()
    with capture_logs():
        async with guarded.leadership as leadership:
            await wait(leadership.acquired)
            stuck.fault = lambda call: ConnectionFailed("refused")
            await wait(leadership.lost)
            assert not stuck.closing.is_set()
            stuck.closed.set()


async def test_a_thread_that_hangs_is_a_lost_lease_before_others_may_take_it() -> None:
    guarded = Guarded(dataclasses.replace(SHORT, duration=0.6))
    ends = threading.Event()

    def hangs(_: Call) -> None:
        ends.wait(10)

    with capture_logs():
        async with guarded.leadership as leadership:
            await wait(leadership.acquired)
            guarded.api.fault = hangs
            await wait(leadership.lost)
            assert "silent" in str(leadership.why)
            ends.set()
