"""What starts in which order, what stops in which, and that nothing is ever silently idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from kaito.runtime import (
    Address,
    Again,
    Call,
    Client,
    Clock,
    ConnectionFailed,
    Controller,
    Informer,
    Key,
    LeaseLost,
    LeaseSettings,
    Manager,
    Object,
    Resource,
    SyncTimeout,
    SystemClock,
    UnfinishedWork,
    View,
    watch,
)
from kaito.runtime.lease import LEASES
from kaito.runtime.manager import Ended
from kaito.testing import FakeApi, ScriptedReply, VirtualClock

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
LEASE = LeaseSettings(
    name="l", namespace="ns", identity="us", duration=30, renew_deadline=0.2, retry=0.02
)


class Scene:
    """A manager of one controller of pods."""

    def __init__(self, api: FakeApi, clock: Clock, **settings: Any) -> None:
        self.api = api
        self.clock = clock
        self.client = Client(api, field_manager="us", clock=clock)
        self.manager = Manager(self.client, name="m", clock=clock, **settings)
        self.pods = self.manager.informer(PODS)
        self.runs: list[Key] = []
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.ended = 0
        self.manager.add(Controller("pods", self.reconcile, primary=watch(self.pods)))

    async def reconcile(self, key: Key) -> Again | None:
        self.runs.append(key)
        self.began.set()
        try:
            await self.gate.wait()
        finally:
            self.ended += 1
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.manager.run())
        await self.clock.settle()
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def scene(api: FakeApi, clock: VirtualClock) -> Scene:
    api.put(PODS, "a", "ns")
    return Scene(api, clock)


async def within(what: Awaitable[object]) -> None:
    async with asyncio.timeout(10):
        await what


async def finished(task: asyncio.Task[None]) -> None:
    await within(asyncio.wait([task]))


# Starting


async def test_controllers_start_when_the_caches_are_full(scene: Scene) -> None:
    holding = True

    def slow(call: Call) -> ScriptedReply | None:
        return ScriptedReply.refusal(503, "ServiceUnavailable") if holding else None

    scene.api.fault = slow
    with capture_logs():
        async with scene.running():
            assert scene.runs == []
            assert not scene.manager.leading.is_set()
            assert scene.manager.checks.ready["caches"]() == "waiting for the first list of pods"
            holding = False
            await scene.clock.advance(5)
            assert scene.runs == [Key("ns", "a")]
            assert scene.manager.leading.is_set()
            assert scene.manager.checks.ready["caches"]() == ""


async def test_caches_that_never_fill_end_the_process_with_their_names(scene: Scene) -> None:
    scene.api.fault = lambda call: ScriptedReply.refusal(404, "NotFound")
    with capture_logs() as logs:
        async with scene.running() as task:
            await scene.clock.advance(121)
            with pytest.raises(SyncTimeout, match="No first list of pods within 120 s"):
                await task
    assert any("install the definition of pods" in log.get("hint", "") for log in logs)
    assert scene.runs == []


async def test_a_kind_that_is_installed_late_is_no_failure(scene: Scene) -> None:
    scene.api.fault = lambda call: ScriptedReply.refusal(404, "NotFound")
    with capture_logs():
        async with scene.running():
            await scene.clock.advance(60)
            scene.api.fault = None
            await scene.clock.advance(61)
            assert scene.runs == [Key("ns", "a")]


async def test_tasks_run_beside_the_controllers_and_end_with_them(scene: Scene) -> None:
    said: list[str] = []

    async def task() -> None:
        said.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            said.append("ended")

    async def brief() -> None:
        said.append("brief")

    scene.manager.add_task("t", task)
    scene.manager.add_task("b", brief)
    async with scene.running() as run:
        assert said == ["began", "brief"]
        scene.manager.stop()
        await run
    assert said == ["began", "brief", "ended"]


# Asked for too late, twice or from elsewhere


async def test_the_same_informer_serves_all_who_ask_for_it(scene: Scene) -> None:
    assert scene.manager.informer(PODS) is scene.pods
    assert scene.manager.informer(PODS, labels="x") is not scene.pods
    with pytest.raises(ValueError, match="exists already"):
        scene.manager.informer(PODS, indexes={"x": lambda view: ()})


async def test_the_managers_namespaces_hold_for_namespaced_kinds(
    api: FakeApi, clock: VirtualClock
) -> None:
    manager = Manager(Client(api), name="m", namespaces=("b", "a", "b"), clock=clock)
    assert manager.informer(PODS).scope.namespaces == ("a", "b")
    assert manager.informer(NODES).scope.namespaces == ()
    assert manager.informer(PODS, namespaces=()).scope.namespaces == ()


async def test_a_controller_on_an_informer_that_nobody_runs_is_refused(scene: Scene) -> None:
    stray = Informer(scene.client, NODES, clock=scene.clock)
    with pytest.raises(ValueError, match=r"watches nodes .* manager\.informer"):
        scene.manager.add(Controller("x", scene.reconcile, primary=watch(stray)))


async def test_two_controllers_of_one_name_are_refused(scene: Scene) -> None:
    with pytest.raises(ValueError, match="a controller 'pods' already"):
        scene.manager.add(Controller("pods", scene.reconcile, primary=watch(scene.pods)))


async def test_what_comes_after_the_start_is_refused_and_not_forgotten(scene: Scene) -> None:
    async with scene.running():
        with pytest.raises(ValueError, match="comes too late"):
            scene.manager.informer(NODES)
        with pytest.raises(ValueError, match="comes too late"):
            scene.manager.add(Controller("x", scene.reconcile, primary=watch(scene.pods)))
        with pytest.raises(ValueError, match="comes too late"):
            scene.manager.add_task("x", asyncio.Event().wait)  # type: ignore[arg-type]  # any task
        assert scene.manager.informer(PODS) is scene.pods


# Dying


async def test_row_1_an_informer_that_dies_takes_the_process_with_it(
    api: FakeApi, clock: VirtualClock
) -> None:
    def broken(_: View) -> list[str]:
        raise KeyError("a defect")

    scene = Scene(api, clock)
    scene.manager.informer(NODES, indexes={"broken": broken})
    async with scene.running() as task:
        assert scene.manager.leading.is_set()
        api.put(NODES, "n")
        await clock.settle()
        with pytest.raises(ExceptionGroup) as caught:
            await task
        assert caught.group_contains(KeyError, match="a defect")
    assert not scene.manager.leading.is_set()


@pytest.mark.parametrize("end", [None, asyncio.CancelledError()])
async def test_row_1_an_informer_that_ends_without_a_word_is_a_failure(
    scene: Scene, end: BaseException | None
) -> None:
    async def run() -> None:
        if end is not None:
            raise end

    scene.pods.run = run  # type: ignore[method-assign]  # the defect
    async with scene.running() as task:
        with pytest.raises(ExceptionGroup) as caught:
            await task
        assert caught.group_contains(Ended, match="informer/pods ended")


async def test_a_task_that_fails_ends_the_process(scene: Scene) -> None:
    async def task() -> None:
        raise ZeroDivisionError

    scene.manager.add_task("t", task)
    async with scene.running() as run:
        with pytest.raises(ExceptionGroup) as caught:
            await run
        assert caught.group_contains(ZeroDivisionError)


async def test_an_address_in_use_is_said_before_anything_starts(
    api: FakeApi, clock: VirtualClock
) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        scene = Scene(api, clock, probes=Address("127.0.0.1", port))
        with pytest.raises(OSError, match="address"):
            await scene.manager.run()
    assert api.calls == []


# Stopping


async def test_stop_waits_for_running_reconciles(scene: Scene) -> None:
    scene.gate.clear()
    async with scene.running() as task:
        scene.manager.stop()
        scene.manager.stop()
        await scene.clock.advance(29)
        assert not task.done()
        scene.gate.set()
        await task
    assert scene.ended == 1
    assert scene.clock.pending == 0


async def test_reconciles_that_outlast_the_grace_period_are_cancelled_and_told_of(
    scene: Scene,
) -> None:
    scene.gate.clear()
    with capture_logs():
        async with scene.running() as task:
            scene.manager.stop()
            await scene.clock.advance(31)
            with pytest.raises(UnfinishedWork, match="30 s after the stop"):
                await task
    assert scene.ended == 1


async def test_a_stop_before_the_caches_are_full_starts_nothing(scene: Scene) -> None:
    scene.api.hang = lambda call: True
    async with scene.running() as task:
        scene.manager.stop()
        await task
    assert scene.runs == []


async def test_cancellation_ends_everything(scene: Scene) -> None:
    scene.gate.clear()
    async with scene.running() as task:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    assert scene.ended == 1
    assert scene.clock.pending == 0
    assert scene.api.watches == 0


# Leading. The elector lives in a thread, so these run by the machine's clock.


def test_a_lease_needs_a_way_to_connect(api: FakeApi) -> None:
    with pytest.raises(ValueError, match="needs `connect`"):
        Manager(Client(api), name="m", lease=LEASE)


class Led(Scene):
    """A manager with a lease, which is kept on a server of its own."""

    def __init__(self, **settings: Any) -> None:
        self.leases = FakeApi()
        super().__init__(
            FakeApi(),
            SystemClock(),
            lease=LEASE,
            connect=lambda timeout: Client(self.leases, timeout=timeout),
            **settings,
        )
        self.api.put(PODS, "a", "ns")

    def holder(self) -> str:
        lease = self.leases.object(LEASES, "l", "ns")
        return "" if lease is None else str(lease["spec"]["holderIdentity"])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.manager.run())
        try:
            yield task
        finally:
            task.cancel()
            await finished(task)


@pytest.fixture
async def led() -> Led:
    return Led()


async def test_controllers_start_when_this_process_leads(led: Led) -> None:
    async with led.running() as task:
        await within(led.began.wait())
        assert led.holder() == "us"
        led.manager.stop()
        await finished(task)
        assert task.exception() is None
    assert led.holder() == ""


async def test_row_36_a_manager_that_was_never_elected_starts_nothing_while_it_stops(
    led: Led,
) -> None:
    held = {"holderIdentity": "them", "leaseDurationSeconds": 3600}
    led.leases.put(LEASES, "l", "ns", spec=held)
    began: list[str] = []

    async def task() -> None:
        began.append("task")

    led.manager.add_task("t", task)
    with capture_logs():
        async with led.running() as run:
            await within(led.pods.wait_synced())
            led.manager.stop()
            await finished(run)
            assert run.exception() is None
    assert (led.runs, began, led.holder()) == ([], [], "them")


async def test_a_deposed_manager_ends_with_lease_lost_itself(led: Led) -> None:
    with capture_logs():
        async with led.running() as task:
            await within(led.began.wait())
            led.leases.fault = lambda call: ConnectionFailed("refused")
            await finished(task)
            assert isinstance(task.exception(), LeaseLost)
    assert not led.manager.leading.is_set()


async def test_a_deposed_managers_reconciles_end_at_once(led: Led) -> None:
    led.gate.clear()
    with capture_logs():
        async with led.running() as task:
            await within(led.began.wait())
            led.leases.fault = lambda call: ConnectionFailed("refused")
            await finished(task)
    assert led.ended == 1


async def test_row_37_the_lease_is_kept_until_the_last_reconcile_has_ended(led: Led) -> None:
    led.gate.clear()
    async with led.running() as task:
        await within(led.began.wait())
        led.manager.stop()
        for _ in range(100):
            await asyncio.sleep(0)
        assert led.holder() == "us"
        led.gate.set()
        await finished(task)
    assert led.holder() == ""


async def test_row_37_after_unfinished_work_the_lease_is_left_to_run_out() -> None:
    led = Led(grace=0.01)
    led.gate.clear()
    with capture_logs():
        async with led.running() as task:
            await within(led.began.wait())
            led.manager.stop()
            await finished(task)
            assert isinstance(task.exception(), UnfinishedWork)
    assert led.holder() == "us"


async def test_an_elector_that_cannot_start_ends_the_manager(led: Led) -> None:
    led.leases.fault = lambda call: ZeroDivisionError("a defect")
    with capture_logs():
        async with led.running() as task:
            await finished(task)
            assert isinstance(task.exception(), LeaseLost)
    assert led.runs == []
