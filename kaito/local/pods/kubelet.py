"""The kubelet of every simulated Node: runs the pods bound to them and reports their status.

Pods on other Nodes are left alone. Containers whose image is a known program run as local
processes (process.py), the others are simulated (simulation.py); the pod's condition
`local.kaito.sh/Simulated` says which.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kaito.local.kinds import PODS
from kaito.local.pods.addresses import PodAddresses
from kaito.local.pods.containers import ContainerState, PodFacts, is_simulated, pod_status
from kaito.local.pods.images import Images, Program
from kaito.local.pods.probe import readiness_probe
from kaito.local.pods.process import ContainerProcess, Launch
from kaito.local.pods.simulation import at
from kaito.local.profile import Profile
from kaito.runtime import Again, Client, Clock, Informer, Key, NotFound, Object

SIMULATED_CONDITION = "local.kaito.sh/Simulated"


@dataclass(slots=True)
class PodRun:
    """What the kubelet holds of one pod. `bound` is in seconds since the epoch."""

    uid: str
    seen: float
    """Monotonic time from which the simulation counts."""
    bound: float
    processes: dict[str, ContainerProcess] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    stopping: asyncio.Task[None] | None = None


class Kubelet:
    """The reconciler of pods. `run` must be running beside it: it owns the processes.

    `wake` is told of a pod whose processes changed. Pod directories lie under `directory`.
    """

    def __init__(
        self,
        client: Client,
        pods: Informer[Object],
        nodes: Informer[Object],
        *,
        images: Images,
        profile: Profile,
        clock: Clock,
        directory: Path,
        wake: Callable[[Key], None],
    ) -> None:
        self._client = client
        self._pods = pods.store
        self._nodes = nodes.store
        self._images = images
        self._profile = profile
        self._clock = clock
        self._directory = directory
        self._wake = wake
        self._runs: dict[Key, PodRun] = {}
        self._addresses = PodAddresses()
        self._crew: asyncio.TaskGroup | None = None
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Own the processes until cancelled; then all of them are killed."""
        for pod in self._pods.list():
            # Before any new pod could be given one of them.
            if address := pod.get("status", {}).get("podIP"):
                self._addresses.keep(pod["metadata"]["uid"], address)
        async with asyncio.TaskGroup() as crew:
            self._crew = crew
            self._ready.set()
            try:
                await asyncio.Event().wait()
            finally:
                # No pod is begun while those that run are being ended.
                self._crew = None

    def local_port(self, key: Key, container_port: int) -> int | None:
        """Where a pod's port can be reached on this machine, None when nothing real runs there."""
        run = self._runs.get(key)
        for process in run.processes.values() if run is not None else ():
            if process.launch.container_port == container_port and process.port:
                return process.port
        return None

    def log_file(self, key: Key, container: str) -> Path | None:
        """Where a container's output goes, None for a simulated one."""
        run = self._runs.get(key)
        process = run.processes.get(container) if run is not None else None
        return process.launch.log if process is not None else None

    def has_ended(self, key: Key, container: str) -> bool:
        """Whether a container's process will write nothing more."""
        run = self._runs.get(key)
        task = run.tasks.get(container) if run is not None else None
        return task is None or task.done()

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
        if pod is None:
            return None
        node = self._nodes.get(Key("", pod["spec"].get("nodeName") or "-"))
        if node is None or not is_simulated(node):
            return None
        if pod["metadata"].get("deletionTimestamp"):
            await self._stop(key, pod, run)
            return None
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return None
        run = run or self._begin(key, pod)
        return await self._report(key, pod, node, run)

    def _begin(self, key: Key, pod: Object) -> PodRun:
        """Start what the pod consists of."""
        status = pod.get("status", {})
        now, monotonic = self._clock.now(), self._clock.monotonic()
        reported = {each["name"]: each for each in status.get("containerStatuses", ())}
        run = PodRun(uid=pod["metadata"]["uid"], seen=monotonic, bound=now)
        if any("running" in each.get("state", {}) for each in reported.values()):
            # An earlier process of this cluster had it running already: nothing starts anew.
            run.seen = monotonic - self._profile.image_pull - self._profile.container_start
        assert self._crew is not None
        for container in pod["spec"]["containers"]:
            program = self._images.program(container.get("image", ""))
            if program is None or not self._profile.processes:
                continue
            before = reported.get(container["name"])
            process = ContainerProcess(
                self._launch(key, pod, container, program),
                self._profile,
                self._clock,
                on_change=lambda: self._wake(key),
                restarts=before["restartCount"] + 1 if before and before["containerID"] else 0,
            )
            run.processes[container["name"]] = process
            run.tasks[container["name"]] = self._crew.create_task(
                process.run(), name=f"pod/{key}/{container['name']}"
            )
        self._runs[key] = run
        return run

    def _launch(
        self, key: Key, pod: Object, container: Mapping[str, Any], program: Program
    ) -> Launch:
        return Launch(
            name=container["name"],
            command=lambda port: program.command(container, pod, port),
            container_port=program.port,
            environment=_environment(container, pod),
            directory=self._directory / f"{key.namespace}_{key.name}_{pod['metadata']['uid']}",
            probe=readiness_probe(container),
            restart_policy=pod["spec"].get("restartPolicy", "Always"),
        )

    async def _report(self, key: Key, pod: Object, node: Object, run: PodRun) -> Again | None:
        states: dict[str, ContainerState] = {}
        next_changes = []
        elapsed = self._clock.monotonic() - run.seen
        for container in pod["spec"]["containers"]:
            process = run.processes.get(container["name"])
            if process is not None:
                states[container["name"]] = process.state
                continue
            moment = at(elapsed, run.bound, container, pod, self._profile)
            states[container["name"]] = moment.state
            if moment.again is not None:
                next_changes.append(moment.again)
        facts = PodFacts(
            host_ip=_internal_ip(node),
            pod_ip=self._addresses.of(run.uid),
            started=run.bound,
            now=self._clock.now(),
        )
        status = pod_status(pod, states, facts)
        status["conditions"] = _say_what_is_simulated(status["conditions"], pod, run, self._images)
        if status != pod.get("status"):
            patch = {"metadata": {"uid": run.uid}, "status": status}
            await self._client.patch(PODS, key, patch, subresource="status")
        return Again.after(min(next_changes)) if next_changes else None

    async def _stop(self, key: Key, pod: Object, run: PodRun | None) -> None:
        """End the pod's processes with grace, then remove the pod."""
        if run is not None and run.processes and run.stopping is None:
            assert self._crew is not None
            grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
            run.stopping = self._crew.create_task(self._end(run, grace), name=f"stop/{key}")
            run.stopping.add_done_callback(lambda _: self._wake(key))
        if run is not None and run.stopping is not None and not run.stopping.done():
            return
        with contextlib.suppress(NotFound):
            await self._client.delete(PODS, key, uid=pod["metadata"]["uid"], grace_seconds=0)

    async def _end(self, run: PodRun, grace: float) -> None:
        """Ask the pod's programs to end, and kill those that have not after `grace` seconds."""
        asked = []
        for name, task in run.tasks.items():
            if run.processes[name].terminate():
                asked.append(task)
            else:
                task.cancel()
        if asked and grace > 0:
            patience = self._clock.call_later(grace, lambda: _cancel(asked))
            await asyncio.wait(asked)
            patience.cancel()
        _cancel(asked)
        await asyncio.wait(run.tasks.values())

    def _forget(self, key: Key, run: PodRun) -> None:
        """The pod is gone, however it went: kill what is left of it."""
        _cancel(run.tasks.values())
        for process in run.processes.values():
            shutil.rmtree(process.launch.directory, ignore_errors=True)
        self._addresses.release(run.uid)
        del self._runs[key]


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


def _environment(container: Mapping[str, Any], pod: Object) -> dict[str, str]:
    """The container's environment: literal values and the pod's own fields.

    References to ConfigMaps and Secrets are left out.
    """
    metadata = pod["metadata"]
    fields = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
    }
    environment = {}
    for variable in container.get("env") or ():
        source = (variable.get("valueFrom") or {}).get("fieldRef", {}).get("fieldPath")
        if "value" in variable:
            environment[variable["name"]] = variable["value"]
        elif source in fields:
            environment[variable["name"]] = fields[source]
    return environment


def _internal_ip(node: Object) -> str:
    addresses = node.get("status", {}).get("addresses", ())
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "")


def _say_what_is_simulated(
    conditions: list[Object], pod: Object, run: PodRun, images: Images
) -> list[Object]:
    """The conditions with one that says what about this pod is not real."""
    parts = []
    for container in pod["spec"]["containers"]:
        program = images.program(container.get("image", ""))
        if container["name"] not in run.processes:
            parts.append(f"{container['name']}: nothing runs")
        elif program is not None and program.simulated:
            parts.append(f"{container['name']}: {program.simulated}")
    others = [each for each in conditions if each["type"] != SIMULATED_CONDITION]
    if not parts:
        return others
    said: Object = {
        "type": SIMULATED_CONDITION,
        "status": "True",
        "reason": "LocalCluster",
        "message": "; ".join(parts),
        "lastProbeTime": None,
        "lastTransitionTime": next(
            (
                each["lastTransitionTime"]
                for each in conditions
                if each["type"] == SIMULATED_CONDITION
            ),
            others[-1]["lastTransitionTime"],
        ),
    }
    return [*others, said]
