"""A container as a local process: started, probed, restarted when it ends, stopped with grace.

This module knows processes and what may happen to them; it writes nothing to the cluster. What is
worth an Event is told to `say`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kaito.local.pods import events, guard
from kaito.local.pods.actions import Actor
from kaito.local.pods.containers import CREATING, REASON_COMPLETED, REASON_ERROR, ContainerState
from kaito.local.pods.environment import ConfigError
from kaito.local.pods.launch import Launch, end
from kaito.local.pods.logs import last_words
from kaito.local.pods.payload import VolumeError
from kaito.local.pods.probe import Belief, Prober, probe_of
from kaito.local.pods.simulation import restart_pause
from kaito.local.profile import Profile
from kaito.runtime import Clock

# What a kubelet resets the back-off after: a container that ran this long is well.
WELL_SECONDS = 600.0
LEAST_GRACE = 2.0  # seconds; a kubelet's, however long a hook has taken
MESSAGE_BYTES = 4096  # a kubelet's bound for a termination message
Say = Callable[[events.Type, str, str], None]
"""Type, reason and message of an Event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What stays the same from start to start. `prepare` gives one start, and raises ConfigError
    or VolumeError as long as something is missing."""

    container: Mapping[str, Any]
    pod: str
    """NAME_NAMESPACE(UID), as a kubelet names pods in messages."""
    address: str
    policy: str
    grace: float
    own_commands: bool
    """Whether commands of the pod mean something to the program."""
    prepare: Callable[[int], Awaitable[Launch]]

    @property
    def name(self) -> str:
        name: str = self.container["name"]
        return name


@dataclass(slots=True)
class ContainerProcess:
    """One container. `run` supervises it until cancelled; `on_change` is told of each new state."""

    plan: Plan
    profile: Profile
    clock: Clock
    on_change: Callable[[], None]
    say: Say
    restarts: int = 0
    state: ContainerState = CREATING
    launch: Launch | None = None
    """The start that runs, or ran last."""
    _process: Process | None = field(default=None)
    _last: ContainerState | None = None
    _stopping: bool = False

    @property
    def runs(self) -> bool:
        """Whether its program runs at this moment."""
        return self._process is not None and self._process.returncode is None

    async def run(self) -> None:
        """Start it, and start it again as its restart policy says. Cancelling kills it.

        Raises nothing: whatever else goes wrong, a full disk say, costs this container time and
        no other anything.
        """
        while not self._stopping:
            try:
                await self._live()
            except Exception as error:  # noqa: BLE001 - as the docstring says
                self._wait("RunContainerError", str(error))
                self.say("Warning", "Failed", f"Error: {error!r}")
                await self.clock.sleep(self.profile.restart_backoff)
            else:
                return

    async def _live(self) -> None:
        """From the image to the last end of the program."""
        self.state = replace(self.state, restarts=self.restarts)
        image, pull = self.plan.container.get("image", ""), self.profile.image_pull
        self.say(*events.pulling(image))
        await self.clock.sleep(pull)
        self.say(*events.pulled(image, pull))
        crashes = 0
        while True:
            self.launch = await self._prepared()
            began = self.clock.monotonic()
            ended = await self._run_once(self.launch)
            self._become(ended)
            if self._stopping or not restarts(self.plan.policy, ended.exit_code):
                return
            self._last = replace(ended, last=None)
            crashes = 0 if self.clock.monotonic() - began >= WELL_SECONDS else crashes
            if crashes:
                await self._back_off(restart_pause(crashes - 1, self.profile))
            crashes += 1
            self.restarts += 1
            self.say(*events.present(image))

    async def stop(self, grace: float) -> None:
        """Ask the program to end and do not start it again. Returns when nothing of it is left,
        or when it has not ended after `grace` seconds; who cancels `run` then kills it."""
        self._stopping = True
        if self.runs:
            self.say("Normal", "Killing", f"Stopping container {self.plan.name}")
            await self._halt(grace)

    async def _prepared(self) -> Launch:
        while True:
            try:
                return await self.plan.prepare(self.restarts)
            except VolumeError as error:
                self.say("Warning", "FailedMount", str(error))
            except ConfigError as error:
                self._wait("CreateContainerConfigError", str(error))
                self.say("Warning", "Failed", f"Error: {error}")
            await self.clock.sleep(self.profile.restart_backoff)

    async def _back_off(self, pause: float) -> None:
        name, pod = self.plan.name, self.plan.pod
        shown = events.duration(pause)
        message = f"back-off {shown} restarting failed container={name} pod={pod}"
        self._wait("CrashLoopBackOff", message)
        self.say(*events.backing_off(name, pod))
        await self.clock.sleep(pause)

    async def _run_once(self, launch: Launch) -> ContainerState:
        """One run from start to end; the terminated state."""
        started = self.clock.now()
        try:
            process = await launch.start()
        except (OSError, ValueError) as error:
            self.say("Warning", "Failed", f"Error: {error}")
            return self._ended(started, guard.NOT_RUNNABLE, "StartError", str(error))
        self._process = process
        try:
            self.say(*events.CREATED)
            self.say(*events.STARTED)
            async with asyncio.TaskGroup() as watch:
                watching = watch.create_task(
                    self._watch(launch, started), name=f"watch/{self.plan.name}"
                )
                status = await process.wait()
                watching.cancel()
            assert process.stdout is not None
            report = await process.stdout.read()
        finally:
            await end(process)
            self._process = None
        reason = REASON_ERROR if status else REASON_COMPLETED
        if guard.OUT_OF_MEMORY.encode() in report:
            reason = "OOMKilled"
        # A negative status is the guard's own, killed before it could run the program.
        code = 128 - status if status < 0 else status
        return self._ended(started, code, reason, self._message(launch, code))

    def _ended(self, started: float, code: int, reason: str, message: str) -> ContainerState:
        return ContainerState(
            is_="terminated",
            reason=reason,
            message=message,
            exit_code=code,
            started=started,
            ended=self.clock.now(),
            restarts=self.restarts,
            last=self._last,
        )

    def _message(self, launch: Launch, code: int) -> str:
        """What the program said of its end: in its file, else, where asked for, in its log."""
        said = _read(launch.message, MESSAGE_BYTES)
        policy = self.plan.container.get("terminationMessagePolicy")
        if not said and code and policy == "FallbackToLogsOnError":
            return last_words(launch.log)
        return said

    async def _watch(self, launch: Launch, started: float) -> None:
        """What is done to a program while it runs: its hook after the start, and its probes."""
        plan = self.plan
        actor = self._actor(launch)
        hook = (plan.container.get("lifecycle") or {}).get("postStart")
        if hook and not (await actor.act(hook, None)).well:
            self.say("Warning", "FailedPostStartHook", "PostStartHook failed")
            await self._fail("FailedPostStartHook", plan.grace)
            return
        startup = probe_of(plan.container, "Startup")
        readiness = probe_of(plan.container, "Readiness")
        running = ContainerState(
            is_="running", started=started, restarts=self.restarts, last=self._last
        )
        self._become(replace(running, passed=startup is None, ready=not (startup or readiness)))
        if startup is not None:
            prober = self._prober(startup, actor, self.profile.probe_period)
            if not await prober.settled(Belief(startup, holds=False)):
                await self._unwell("startup", startup.grace)
                return
            self._become(replace(self.state, passed=True, ready=readiness is None))
        async with asyncio.TaskGroup() as probing:
            probing.create_task(self._keep_ready(actor))
            probing.create_task(self._keep_alive(actor))

    async def _keep_ready(self, actor: Actor) -> None:
        probe = probe_of(self.plan.container, "Readiness")
        if probe is None:
            return
        prober = self._prober(probe, actor, self.profile.probe_period)
        belief = Belief(probe, holds=False)
        while True:
            ready = await prober.settled(belief)
            if ready != self.state.ready:
                self._become(replace(self.state, ready=ready))
            if ready:
                await prober.pause()

    async def _keep_alive(self, actor: Actor) -> None:
        probe = probe_of(self.plan.container, "Liveness")
        if probe is None:
            return
        # A kubelet's turn to ask comes within a period, too; the program has to begin to listen.
        await self.clock.sleep(max(probe.delay, probe.period))
        prober = self._prober(replace(probe, delay=0), actor, probe.period)
        belief = Belief(probe, holds=True)
        while await prober.settled(belief):
            await prober.pause()
        if not self._stopping:
            await self._unwell("liveness", probe.grace)

    def _actor(self, launch: Launch) -> Actor:
        return Actor(
            container=self.plan.container,
            address=self.plan.address,
            ports=launch.translation.ports,
            execute=launch.execute if self.plan.own_commands else None,
            clock=self.clock,
        )

    def _prober(self, probe: Any, actor: Actor, hurry: float) -> Prober:
        return Prober(
            probe, actor, self.clock, hurry, lambda text: self.say("Warning", "Unhealthy", text)
        )

    async def _unwell(self, probe: str, grace: float | None) -> None:
        text = f"Container {self.plan.name} failed {probe} probe, will be restarted"
        await self._fail(text, self.plan.grace if grace is None else grace)

    async def _fail(self, message: str, grace: float) -> None:
        """End the program because it is not well."""
        self.say("Normal", "Killing", message)
        process = self._process
        await self._halt(grace)
        if process is not None and process.stdin is not None:
            process.stdin.close()

    async def _halt(self, grace: float) -> None:
        """The hook, the signal, and time to follow it; a grace of 0 leaves no time for either."""
        process, launch = self._process, self.launch
        if process is None or launch is None or grace <= 0:
            return
        began = self.clock.monotonic()
        hook = (self.plan.container.get("lifecycle") or {}).get("preStop")
        if hook:
            outcome = await self._within(grace, self._actor(launch).act(hook, None))
            if outcome is not None and not outcome.well:
                self.say("Warning", "FailedPreStopHook", "PreStopHook failed")
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        left = max(grace - (self.clock.monotonic() - began), LEAST_GRACE)
        await self._within(left, process.wait())

    async def _within(self, seconds: float, doing: Awaitable[Any]) -> Any:
        """What it gives, None when it takes longer; time is the cluster's clock."""
        task = asyncio.ensure_future(doing)
        timer = self.clock.call_later(seconds, lambda: _cancel(task))
        try:
            await asyncio.wait([task])
        finally:
            timer.cancel()
            task.cancel()
        return None if task.cancelled() else task.result()

    def _wait(self, reason: str, message: str) -> None:
        state = ContainerState(
            is_="waiting",
            reason=reason,
            message=message,
            restarts=self.restarts,
            last=self._last,
        )
        self._become(state)

    def _become(self, state: ContainerState) -> None:
        self.state = state
        self.on_change()


def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()


def restarts(policy: str, exit_code: int) -> bool:
    """Whether a container that ended so is started again."""
    return policy == "Always" or (policy == "OnFailure" and exit_code != 0)


def _read(path: Path, most: int) -> str:
    """The end of a regular file that a program may have made anything of."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        size = os.fstat(file).st_size
        return os.pread(file, most, max(0, size - most)).decode(errors="replace")
    except OSError:
        return ""
    finally:
        os.close(file)
