"""What starts in which order, what stops in which, and that nothing is ever silently idle."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from structlog.testing import capture_logs

from kaito.local.pki import ensure_pki
from kaito.runtime import (
    Address,
    Again,
    Call,
    Certificate,
    Client,
    Clock,
    ConnectionFailed,
    Controller,
    Informer,
    Key,
    LeaseLost,
    LeaseSettings,
    Manager,
    Metrics,
    Object,
    Resource,
    Site,
    SyncTimeout,
    SystemClock,
    UnfinishedWork,
    View,
    watch,
)
from kaito.runtime.lease import LEASES
from kaito.runtime.manager import Ended
from kaito.testing import FakeApi, ScriptedReply, VirtualClock, running

PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")
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
            said = scene.manager.checks.ready["caches"]()
            assert said.startswith("waiting for the first list of pods (list failed: 503")
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
            with pytest.raises(SyncTimeout, match="No first list of pods within 120 s: list fail"):
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


async def test_a_manager_runs_once(scene: Scene) -> None:
    async with scene.running() as task:
        scene.manager.stop()
        await task
    with pytest.raises(ValueError, match="Another run comes too late"):
        await scene.manager.run()


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


# Looking in from outside


async def ask(address: Address, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}{path}") as reply:
        return reply.status, await reply.text()


ANYWHERE = Address("127.0.0.1", 0)


async def test_where_it_is_served_can_be_asked(api: FakeApi, clock: VirtualClock) -> None:
    scene = Scene(api, clock, probes=ANYWHERE, metrics_address=ANYWHERE)
    assert scene.manager.addresses == {}
    async with scene.running():
        await within(scene.manager.leading.wait())
        addresses = scene.manager.addresses
        assert await ask(addresses["probes"], "/readyz/caches") == (200, "ok")
        status, text = await ask(addresses["metrics"], "/metrics")
        assert status == 200
        assert "kaito_runtime_loop_lag_seconds_count" in text


async def test_metrics_of_the_client_are_the_managers_unless_others_are_given(
    api: FakeApi,
) -> None:
    metrics = Metrics()
    client = Client(api, metrics=metrics)
    assert Manager(client, name="m").metrics is metrics
    other = Metrics()
    assert Manager(client, name="m", metrics=other).metrics is other


async def test_the_debug_page_shows_what_goes_on(api: FakeApi, clock: VirtualClock) -> None:
    api.put(PODS, "a", "ns")
    scene = Scene(api, clock, debug=ANYWHERE)
    scene.gate.clear()
    async with scene.running():
        await within(scene.began.wait())
        status, text = await ask(scene.manager.addresses["debug"], "/debug")
        scene.gate.set()
    assert status == 200
    _, *parts = re.split(r"^# (\w+)\n\n", text, flags=re.M)
    pages = dict(zip(parts[::2], parts[1::2], strict=True))
    assert pages["loop"].startswith("lag 0.")
    assert pages["queues"].splitlines() == [
        "pods: 0 ready (oldest for 0.0 s), 0 delayed, 1 worked on",
        "    ns/a for 0.0 s",
        "",
    ]
    assert pages["informers"].startswith("pods: synced, 1 objects, heard of 0.0 s ago, at version")
    assert pages["lease"].startswith("none")
    assert "pods/worker-0 ns/a" in pages["tasks"]
    assert "in Scene.reconcile" in pages["tasks"], "the whole chain of awaits is shown"
    assert "await self.gate.wait()" in pages["tasks"]


@pytest.mark.parametrize("host", ["", "0.0.0.0", "10.1.2.3"])
def test_the_debug_page_is_not_for_the_network(api: FakeApi, host: str) -> None:
    with pytest.raises(ValueError, match="not on loopback"):
        Manager(Client(api), name="m", debug=Address(host, 6060))


async def test_metrics_are_served_over_tls_when_there_is_a_certificate(
    api: FakeApi, clock: VirtualClock, tmp_path: Path
) -> None:
    pki = ensure_pki(tmp_path, SystemClock().now())
    certificate = Certificate(pki.certificate, pki.key)
    scene = Scene(api, clock, probes=ANYWHERE, metrics_address=ANYWHERE, certificate=certificate)
    trust = ssl.create_default_context(cafile=str(pki.ca))
    async with scene.running():
        await within(scene.manager.leading.wait())
        addresses = scene.manager.addresses
        url = f"https://{addresses['metrics']}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url, ssl=trust) as reply:
            assert reply.status == 200
        assert await ask(addresses["probes"], "/healthz") == (200, "ok"), "as kubelets ask"


async def test_a_certificate_that_is_none_ends_the_start(
    api: FakeApi, clock: VirtualClock, tmp_path: Path
) -> None:
    missing = Certificate(tmp_path / "tls.crt", tmp_path / "tls.key")
    scene = Scene(api, clock, metrics_address=ANYWHERE, certificate=missing)
    with pytest.raises(FileNotFoundError):
        await scene.manager.run()
    assert api.calls == []


async def test_a_reconcile_that_blocks_the_loop_is_named_with_its_key(
    api: FakeApi, clock: VirtualClock
) -> None:
    api.put(PODS, "a", "ns")
    heard = threading.Event()
    lines: list[Any] = []

    def hear(_: Any, __: str, line: Any) -> Any:
        if line["event"] == "event loop blocked":
            lines.append(line)
            heard.set()
        raise structlog.DropEvent

    async def blocking(_: Key) -> None:
        assert heard.wait(10), "nobody noticed"

    manager = Manager(Client(api, clock=clock), name="m", clock=clock, blocked_after=0.02)
    manager.add(Controller("blocking", blocking, primary=watch(manager.informer(PODS))))
    configured = structlog.get_config()
    structlog.configure(processors=[hear])
    try:
        async with running(manager):
            await clock.settle()
    finally:
        structlog.configure(**configured)
    assert lines[0]["task"].startswith("blocking/worker-")
    assert lines[0]["task"].endswith(" ns/a")
    assert "in blocking" in lines[0]["stack"]


# Signals


async def test_a_signal_stops_it_in_order(scene: Scene) -> None:
    scene.gate.clear()
    task = asyncio.create_task(scene.manager.run(signals=True))
    await within(scene.began.wait())
    os.kill(os.getpid(), signal.SIGTERM)
    await scene.clock.settle()
    assert not task.done()
    scene.gate.set()
    await finished(task)
    assert task.exception() is None
    assert scene.ended == 1


async def test_signals_are_left_alone_unless_asked_for(scene: Scene) -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with scene.running():
        assert signal.getsignal(signal.SIGTERM) is before


# Events


async def test_events_recorded_last_are_still_written(scene: Scene) -> None:
    async def task() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            pod = {"kind": "Pod", "namespace": "ns", "name": "a"}
            scene.manager.recorder.event(pod, reason="Ended", message="m")

    scene.manager.add_task("t", task)
    async with scene.running() as run:
        scene.manager.stop()
        await run
    assert [event["reason"] for event in scene.api.objects(EVENTS)] == ["Ended"]


async def test_events_that_cannot_be_written_hold_the_end_up_no_longer_than_a_bound(
    scene: Scene,
) -> None:
    async with scene.running() as run:
        scene.api.hang = lambda call: call.method == "POST"
        pod = {"kind": "Pod", "namespace": "ns", "name": "a"}
        scene.manager.recorder.event(pod, reason="Lost", message="m")
        scene.manager.stop()
        with capture_logs():
            await scene.clock.advance(4.9)
            assert not run.done()
            await scene.clock.advance(0.2)
            await run


# The heap


@pytest.fixture
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("thawed")
async def test_what_lives_long_is_exempt_from_collection_once_the_caches_are_full(
    api: FakeApi, clock: VirtualClock
) -> None:
    holding = True
    api.hang = lambda call: holding
    scene = Scene(api, clock)
    async with scene.running():
        at_start = gc.get_freeze_count()
        assert at_start > 0
        holding = False
        api.cut()
    assert gc.get_freeze_count() == 0, "what a manager leaves behind can be collected"


@pytest.mark.usefixtures("thawed")
async def test_a_heap_that_somebody_else_has_frozen_stays_as_it_is(
    api: FakeApi, clock: VirtualClock
) -> None:
    gc.freeze()
    frozen = gc.get_freeze_count()
    async with Scene(api, clock).running():
        assert gc.get_freeze_count() <= frozen
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("thawed")
async def test_who_looks_after_the_heap_himself_is_left_alone(
    api: FakeApi, clock: VirtualClock
) -> None:
    async with Scene(api, clock, freeze_heap=False).running():
        assert gc.get_freeze_count() == 0


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


async def test_a_warm_standby_has_its_keys_and_starts_no_reconcile(led: Led) -> None:
    led = Led(warm=True)
    held = {"holderIdentity": "them", "leaseDurationSeconds": 1}
    led.leases.put(LEASES, "l", "ns", spec=held)
    gathered = asyncio.Event()
    on_change = led.pods.on_change

    def noticed(handler: Any) -> Any:
        end = on_change(handler)
        gathered.set()
        return end

    led.pods.on_change = noticed  # type: ignore[method-assign]  # to hear of it
    async with led.running() as task:
        await within(gathered.wait())
        assert led.manager._controllers[0].queues[0].depth == 1
        assert led.runs == []
        assert not led.manager.leading.is_set()
        with capture_logs():
            await within(led.began.wait())
        assert led.holder() == "us"
        led.manager.stop()
        await finished(task)
        assert task.exception() is None
    assert led.holder() == ""


async def test_row_36_a_warm_standby_that_is_stopped_has_started_nothing() -> None:
    led = Led(warm=True)
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


async def test_a_warm_standby_whose_elector_fails_ends() -> None:
    led = Led(warm=True)
    led.leases.fault = lambda call: ZeroDivisionError("a defect")
    with capture_logs():
        async with led.running() as task:
            await finished(task)
            assert isinstance(task.exception(), LeaseLost)
    assert led.runs == []


async def test_the_debug_page_tells_of_the_lease() -> None:
    led = Led(debug=ANYWHERE)
    async with led.running():
        await within(led.began.wait())
        _, text = await ask(led.manager.addresses["debug"], "/debug/lease")
    assert "ns/l, we are us: held, renewed 0." in text


async def test_row_3_processes_of_other_names_do_not_hold_each_other_up(led: Led) -> None:
    held = {"holderIdentity": "them", "leaseDurationSeconds": 3600}
    led.leases.put(LEASES, "another", "ns", spec=held)
    async with led.running() as task:
        await within(led.began.wait())
        led.manager.stop()
        await finished(task)


async def test_row_38_a_stop_in_order_is_no_alarm(led: Led) -> None:
    with capture_logs() as logs:
        async with led.running() as task:
            await within(led.began.wait())
            led.manager.stop()
            await finished(task)
    assert {log["log_level"] for log in logs} == {"info"}


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


# What else is served


async def test_a_site_of_ones_own_is_served_while_others_lead(clock: VirtualClock) -> None:
    scene = Scene(FakeApi(), clock)

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    site = Site(address=Address("127.0.0.1", 0), routes=[web.get("/", hello)])
    began = asyncio.Event()

    async def beside() -> None:
        began.set()
        await asyncio.get_running_loop().create_future()

    scene.manager.serve("greeting", site, beside=beside, ready=lambda: "shy")
    async with running(scene.manager), aiohttp.ClientSession() as session:
        await began.wait()
        url = f"http://{scene.manager.addresses['greeting']}/"
        async with session.get(url) as answer:
            assert await answer.text() == "hello"
        assert scene.manager.checks.ready["greeting"]() == "shy"


async def test_the_name_of_a_site_is_taken_once(clock: VirtualClock) -> None:
    manager = Scene(FakeApi(), clock).manager
    site = Site(address=Address("127.0.0.1", 0), routes=[])
    manager.serve("greeting", site)
    for name in ("greeting", "metrics"):
        with pytest.raises(ValueError, match="There is a site"):
            manager.serve(name, site)
