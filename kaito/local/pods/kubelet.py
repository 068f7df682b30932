"""The kubelet of every simulated Node: runs the pods bound to them and reports their status.

Pods on other Nodes are left alone. Containers whose image is a known program run as local
processes (process.py), the others are simulated (simulated.py); the pod's condition
`local.kaito.sh/Simulated` says which.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kaito.local.kinds import PODS
from kaito.local.nodes.eviction import OVERDUE, failure, overdue_in
from kaito.local.nodes.lifecycle import SILENT
from kaito.local.pods import events
from kaito.local.pods.accounts import Accounts
from kaito.local.pods.addresses import PodAddresses
from kaito.local.pods.conditions import simulated_condition
from kaito.local.pods.containers import (
    CREATING,
    INITIALIZING,
    ContainerState,
    PodFacts,
    all_containers,
    cut_short,
    is_sidecar,
    is_simulated,
    may_begin,
    pod_phase,
    pod_status,
)
from kaito.local.pods.images import Images, Program
from kaito.local.pods.launch import Launch, Ports
from kaito.local.pods.logs import NoPrevious, Source
from kaito.local.pods.objects import Objects
from kaito.local.pods.outfit import Outfitter, Wearer, own_ports, wanted
from kaito.local.pods.payload import VolumeError
from kaito.local.pods.process import ContainerProcess, Plan
from kaito.local.pods.reported import done_before, reported, restart_policy
from kaito.local.pods.run import PodRun
from kaito.local.pods.simulated import SimulatedContainer
from kaito.local.pods.simulation import Durations
from kaito.local.pods.usage import LOOK_SECONDS, exceeded, limits
from kaito.local.pods.volumes import named_by
from kaito.local.profile import Profile
from kaito.local.rehearsal import Rehearsal, asked_of_node
from kaito.runtime import (
    Again,
    Client,
    Clock,
    EventRecorder,
    Informer,
    Key,
    NotFound,
    Object,
)

RENEW_SECONDS = 1.0  # at least, between two tries to renew a token
DEFAULT_GRACE = 30.0  # seconds; the API's


class Kubelet:
    """The reconciler of pods. `run` must be running beside it: it owns the processes.

    `wake` is told of a pod whose processes changed.
    """

    def __init__(
        self,
        client: Client,
        pods: Informer[Object],
        nodes: Informer[Object],
        *,
        images: Images,
        objects: Objects,
        accounts: Accounts,
        outfitter: Outfitter,
        recorder: EventRecorder,
        profile: Profile,
        rehearsal: Rehearsal,
        clock: Clock,
        wake: Callable[[Key], None],
    ) -> None:
        self._client = client
        self._pods = pods.store
        self._nodes = nodes.store
        self._images = images
        self._objects = objects
        self._accounts = accounts
        self._outfitter = outfitter
        self._recorder = recorder
        self._profile = profile
        self._rehearsal = rehearsal
        self._clock = clock
        self._wake = wake
        self._runs: dict[Key, PodRun] = {}
        self._known: dict[Key, str] = {}
        """The uids of pods that an earlier run of the cluster may have begun."""
        self._addresses = PodAddresses()
        self._crew: asyncio.TaskGroup | None = None
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Own the processes until cancelled; then all of them are killed."""
        self._take_stock()
        async with asyncio.TaskGroup() as crew:
            self._crew = crew
            self._ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                # No pod is begun while those that run are being ended.
                self._crew = None

    def _take_stock(self) -> None:
        """Of an earlier run: addresses that are taken, and what is left of pods that have gone."""
        for key in self._pods:
            pod = self._pods.object(key) or {}
            self._known[key] = uid = pod["metadata"]["uid"]
            # Before any new pod could be given one of them.
            if address := pod.get("status", {}).get("podIP"):
                self._addresses.keep(uid, address)
        for home in {*self._outfitter.homes()} - {*map(self._outfitter.home, self._known.values())}:
            shutil.rmtree(home, ignore_errors=True)

    def local_port(self, key: Key, container_port: int) -> int | None:
        """Where a pod's port can be reached on this machine, None when nothing real runs there."""
        run = self._runs.get(key)
        if run is None or not any(process.runs for process in run.processes.values()):
            return None
        return run.ports.local.get(container_port)

    def log_source(self, key: Key, container: str, previous: bool) -> Source:
        """Where a container writes, or wrote before it was started again. Raises NoPrevious."""
        run = self._runs.get(key)
        process = run.processes.get(container) if run is not None else None
        if run is None or process is None:
            return Source(None, self._waits_for(key, container))
        state, number = process.state, process.restarts
        if previous:
            if state.last is None:
                raise NoPrevious
            number = state.last.restarts
        elif state.is_ == "waiting":
            if state.last is None:
                return Source(None, state.reason)
            number = state.last.restarts
        return Source(self._outfitter.log(run.uid, container, number))

    def _waits_for(self, key: Key, container: str) -> str:
        """Why a container that is to be a process has no log, "" for one that is simulated."""
        pod = self._pods.get(key)
        for each in all_containers(pod) if pod is not None else ():
            if each["name"] == container and self._program(each) is not None:
                return _waiting(pod or {}).reason
        return ""

    def _program(self, container: Mapping[str, Any]) -> Program | None:
        """What a container runs as; None when it is simulated."""
        return self._images.program(container) if self._profile.processes else None

    def has_ended(self, key: Key, container: str) -> bool:
        """Whether a container's process will write nothing more."""
        run = self._runs.get(key)
        task = run.tasks.get(container) if run is not None else None
        return task is None or task.done()

    def running(self, key: Key, container: str) -> Launch | None:
        """The start of a container that runs and understands commands of its pod, else None."""
        run = self._runs.get(key)
        process = run.processes.get(container) if run is not None else None
        if process is None or not process.runs or not process.plan.own_commands:
            return None
        return process.launch

    async def reconcile(self, key: Key) -> Again | None:
        await self._ready.wait()
        if self._crew is None:
            # The cluster is being stopped.
            return None
        pod = self._pods.get(key)
        run = self._runs.get(key)
        if run is not None and (pod is None or pod["metadata"]["uid"] != run.uid):
            self._forget(key, run)
            run = None
        if (uid := self._known.get(key)) and (pod is None or pod["metadata"]["uid"] != uid):
            self._release(self._known.pop(key))
        if pod is None:
            return None
        node = self._nodes.get(Key("", pod["spec"].get("nodeName") or "-"))
        if node is None or not is_simulated(node) or asked_of_node(node) in SILENT:
            return None
        if pod["metadata"].get("deletionTimestamp"):
            await self._stop(key, pod, node, run)
            return None
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            if run is not None and not run.ended:
                # Somebody else has decided that it is over, as when it is evicted.
                self._end_soon(key, run, 0)
            return None
        left = overdue_in(pod, self._clock.now())
        if left is not None and left <= 0:
            await self._end_overdue(key, pod)
            return None
        run = run or self._new_run(key, pod)
        again = await self._report(key, pod, node, run)
        if left is None or (again is not None and again.seconds <= left):
            return again
        return Again.after(left)

    async def _end_overdue(self, key: Key, pod: Object) -> None:
        failed = failure(pod, "DeadlineExceeded", OVERDUE, self._clock.now())
        with contextlib.suppress(NotFound):
            await self._client.patch(PODS, key, failed, subresource="status")
            self._say(pod, events.Told("Normal", "DeadlineExceeded", OVERDUE))

    def _new_run(self, key: Key, pod: Object) -> PodRun:
        numbers: set[int] = set()
        for container in all_containers(pod):
            program = self._program(container)
            if program is not None:
                numbers |= own_ports(container, program)
        run = PodRun(
            uid=pod["metadata"]["uid"],
            bound=self._clock.now(),
            ports=Ports(numbers),
            restored=done_before(pod),
        )
        self._runs[key] = run
        return run

    async def _report(self, key: Key, pod: Object, node: Object, run: PodRun) -> Again | None:
        run.mounted = run.mounted or await self._mount(key, pod, node)
        states, changes = self._states(pod, run)
        if not run.mounted:
            changes.append(self._profile.restart_backoff)
        while run.mounted and (
            fresh := [name for name in may_begin(pod["spec"], states) if not run.begun(name)]
        ):
            for name in fresh:
                await self._begin(key, pod, node, run, name)
            states, changes = self._states(pod, run)
        over = pod_phase(pod["spec"], states) in ("Succeeded", "Failed")
        if over and not run.ended:
            # Sidecars end after the others, and the pod with the last of them.
            self._end_soon(key, run, pod["spec"].get("terminationGracePeriodSeconds"))
            return None
        await self._write(key, pod, run, pod_status(pod, states, self._facts(node, run)))
        if run.processes and not over:
            changes += await self._look_after(key, pod, node, run)
        return Again.after(min(changes)) if changes else None

    def _facts(self, node: Object, run: PodRun) -> PodFacts:
        return PodFacts(
            host_ip=_internal_ip(node),
            pod_ip=self._addresses.of(run.uid),
            started=run.bound,
            now=self._clock.now(),
            mounted=run.mounted,
        )

    async def _write(self, key: Key, pod: Object, run: PodRun, status: Object) -> None:
        status["conditions"] = simulated_condition(
            status["conditions"], pod, run.processes.keys(), self._images
        )
        if status != pod.get("status"):
            patch = {"metadata": {"uid": run.uid}, "status": status}
            await self._client.patch(PODS, key, patch, subresource="status")

    async def _mount(self, key: Key, pod: Object, node: Object) -> bool:
        """Whether the volumes of a pod are there; none of its containers begins before."""
        assert self._crew is not None
        await self._objects.hold(self._crew, key, named_by(pod))
        try:
            await self._outfitter.set_up(pod, node)
        except VolumeError as error:
            self._say(pod, events.Told("Warning", "FailedMount", str(error)))
            return False
        # None once the cluster is being stopped.
        return self._crew is not None

    def _states(self, pod: Object, run: PodRun) -> tuple[dict[str, ContainerState], list[float]]:
        """The state of each container, and in how many seconds those that are simulated change."""
        waiting = _waiting(pod)
        states: dict[str, ContainerState] = {}
        changes: list[float] = []
        monotonic, asked = self._clock.monotonic(), self._rehearsal.of(pod)
        for container in all_containers(pod):
            name = container["name"]
            if name in run.restored:
                states[name] = run.restored[name]
            elif name in run.processes:
                states[name] = run.processes[name].state
            elif name in run.simulated:
                moment = run.simulated[name].moment(pod, monotonic, self._profile, asked)
                states[name] = moment.state
                for told in run.simulated[name].news(moment.state, pod):
                    self._say(pod, told)
                changes += [moment.again] if moment.again is not None else []
            else:
                states[name] = waiting
        return states, changes

    async def _begin(self, key: Key, pod: Object, node: Object, run: PodRun, name: str) -> None:
        """Start one container."""
        container = next(each for each in all_containers(pod) if each["name"] == name)
        init = container in (pod["spec"].get("initContainers") or ())
        before = reported(pod, name)
        program = self._program(container)
        asked = self._rehearsal.of(pod)
        if program is None or asked.fault is not None:
            began = self._clock.monotonic()
            restored = "running" in before.get("state", {})
            if restored:
                # An earlier process of this cluster had it running already: it does not start anew.
                took = Durations.of(self._profile, asked)
                began -= took.pull + took.start
            at_once = init and not is_sidecar(container)
            since = self._clock.now()
            run.simulated[name] = SimulatedContainer(container, began, since, at_once, restored)
            return
        assert self._crew is not None
        await self._objects.hold(self._crew, key, wanted(pod))
        if self._crew is None:
            return
        wearer = Wearer(pod, node, container, program, run.ports)
        process = ContainerProcess(
            Plan(
                container=program.asked(container),
                pod=f"{key.name}_{key.namespace}({run.uid})",
                address=self._addresses.of(run.uid),
                policy=restart_policy(pod, container),
                grace=_grace(pod["spec"].get("terminationGracePeriodSeconds")),
                own_commands=program.own_commands,
                prepare=lambda restarts: self._outfitter.launch(
                    replace(wearer, pod=self._pods.get(key) or pod), restarts
                ),
            ),
            self._profile,
            self._clock,
            on_change=lambda: self._wake(key),
            say=lambda *told: self._say(pod, events.Told(*told)),
            restarts=before["restartCount"] + 1 if before.get("containerID") else 0,
        )
        run.processes[name] = process
        run.tasks[name] = self._crew.create_task(process.run(), name=f"pod/{key}/{name}")
        run.tasks[name].add_done_callback(lambda _: self._wake(key))

    def _say(self, pod: Object, told: events.Told) -> None:
        self._recorder.event(
            {"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"]},
            type=told.type,
            reason=told.reason,
            message=told.message,
        )

    async def _look_after(self, key: Key, pod: Object, node: Object, run: PodRun) -> list[float]:
        """Bring the files of volumes up to date and watch their size; when to look again."""
        own = any(process.plan.own_commands for process in run.processes.values())
        # What is mounted stays as it was where it cannot be renewed; a kubelet tries again, too.
        with contextlib.suppress(VolumeError):
            await self._outfitter.refresh(pod, node, own_commands=own)
        due = self._accounts.due(run.uid)
        again = [max(due, RENEW_SECONDS)] if due is not None else []
        if not limits(pod):
            return again
        if told := exceeded(pod, self._outfitter.home(run.uid) / "volumes"):
            self._say(pod, events.Told("Warning", "Evicted", told))
            status = {"phase": "Failed", "reason": "Evicted", "message": told}
            patch = {"metadata": {"uid": run.uid}, "status": status}
            await self._client.patch(PODS, key, patch, subresource="status")
        return [*again, LOOK_SECONDS]

    async def _stop(self, key: Key, pod: Object, node: Object, run: PodRun | None) -> None:
        """End the pod's processes with grace, say how they ended, then remove the pod."""
        if run is not None and not run.ended:
            self._end_soon(key, run, pod["metadata"].get("deletionGracePeriodSeconds"))
        if run is not None and run.stopping is not None and not run.stopping.done():
            return
        with contextlib.suppress(NotFound):
            # Where nobody holds it, it is gone before anybody could read that.
            if run is not None and pod["metadata"].get("finalizers"):
                states, facts = self._states(pod, run)[0], self._facts(node, run)
                ended = {each: cut_short(state, facts.now) for each, state in states.items()}
                await self._write(key, pod, run, pod_status(pod, ended, replace(facts, ended=True)))
            await self._client.delete(PODS, key, uid=pod["metadata"]["uid"], grace_seconds=0)

    def _end_soon(self, key: Key, run: PodRun, grace: float | None) -> None:
        if run.stopping is not None:
            return
        assert self._crew is not None
        ending = run.end(self._pods.get(key), _grace(grace), self._clock)
        run.stopping = self._crew.create_task(ending, name=f"stop/{key}")
        run.stopping.add_done_callback(lambda _: self._wake(key))

    def _forget(self, key: Key, run: PodRun) -> None:
        """The pod is gone, however it went: kill what is left of it."""
        run.kill()
        self._objects.release(key)
        self._accounts.forget(run.uid)
        self._release(run.uid)
        del self._runs[key]

    def _release(self, uid: str) -> None:
        self._addresses.release(uid)
        shutil.rmtree(self._outfitter.home(uid), ignore_errors=True)


def _waiting(pod: Object) -> ContainerState:
    """The state of a container that has not begun."""
    return INITIALIZING if pod["spec"].get("initContainers") else CREATING


def _grace(seconds: float | None) -> float:
    return DEFAULT_GRACE if seconds is None else float(seconds)


def _internal_ip(node: Object) -> str:
    addresses = node.get("status", {}).get("addresses", ())
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")
