"""What the kubelet holds of one pod while it runs, and how that ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kaito.local.pods.containers import ContainerState
from kaito.local.pods.launch import Ports
from kaito.local.pods.process import ContainerProcess
from kaito.local.pods.simulated import SimulatedContainer
from kaito.runtime import Clock, Object


@dataclass(slots=True)
class PodRun:
    """One run of a pod. `bound` is in seconds since the epoch."""

    uid: str
    bound: float
    ports: Ports
    restored: Mapping[str, ContainerState]
    """Containers that had ended for good under an earlier run of the cluster."""
    mounted: bool = False
    """Whether its volumes were there once; until then none of its containers begins."""
    simulated: dict[str, SimulatedContainer] = field(default_factory=dict)
    processes: dict[str, ContainerProcess] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    stopping: asyncio.Task[None] | None = None

    def begun(self, name: str) -> bool:
        return name in self.simulated or name in self.processes or name in self.restored

    @property
    def ended(self) -> bool:
        """Whether none of its processes runs or will run."""
        return all(task.done() for task in self.tasks.values())

    def kill(self) -> None:
        """End its processes now."""
        _cancel(self.tasks.values())

    async def end(self, pod: Object | None, grace: float, clock: Clock) -> None:
        """Ask the pod's programs to end, sidecars last and in reverse, and kill those that have
        not after `grace` seconds."""
        inits = (pod or {}).get("spec", {}).get("initContainers") or ()
        sidecars = [each["name"] for each in inits if each["name"] in self.tasks]
        began = clock.monotonic()
        for names in (set(self.tasks) - set(sidecars), *([name] for name in reversed(sidecars))):
            left = max(0.0, grace - (clock.monotonic() - began))
            await asyncio.gather(*(self.processes[name].stop(left) for name in names))
            _cancel(self.tasks[name] for name in names)
            if names:
                await asyncio.wait([self.tasks[name] for name in names])


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
