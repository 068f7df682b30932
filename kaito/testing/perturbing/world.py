"""A scenario, and the world in which it is played: a cluster, its time, and what is around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaito.runtime import Client, Object, Resource, Transport
from kaito.testing.cluster import Cluster
from kaito.testing.perturbing.loop import LoopClock
from kaito.testing.waiting import eventually

if TYPE_CHECKING:
    from kaito.local.apiserver.storage import Bucket, Event
    from kaito.testing.perturbing.seat import Seat

HOUR = 3600.0
CALM = 15.0  # seconds without a write that are taken for rest; more than a fault lasts
UNTOLD = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io"})
"""Not compared: how often something was told, and who led when, matters to nobody."""


def nothing(world: World) -> AbstractAsyncContextManager[None]:
    """What is around a cluster by default."""
    return nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What users do, and the daemons that are to cope with it, whatever happens to these.

    Nothing in here may remember anything from one run to the next.
    """

    name: str
    daemons: Mapping[str, Callable[[Seat], Awaitable[None]]]
    """The main of each process by its name. It runs for ever, as Manager.run does."""
    steps: Sequence[Callable[[World], Awaitable[None]]]
    """What users do, one after another. Before the next, everything comes to rest: then what is
    there is compared."""
    install: Sequence[Path | Object] = ()
    """CustomResourceDefinitions, see Cluster.install."""
    nodes: int | None = None
    """How many Nodes there are, with a scheduler and the controllers of Deployments, Jobs and the
    like, Pods being simulated. None: there is none of that."""
    around: Callable[[World], AbstractAsyncContextManager[None]] = nothing
    """What is outside of the cluster, such as a cloud. It runs as long as the world."""
    calm: float = CALM
    """Seconds without a write that are taken for rest; more than any pause of the daemons."""
    ignore: Sequence[Resource[Any]] = ()
    """Kinds that matter to no one, as Events and Leases: they are not compared, and nothing happens
    at their writes and events."""
    same: Sequence[tuple[str, str]] = ()
    """Patterns and what they are replaced by in all texts before they are compared: names that are
    derived from uids, for one."""


class World:
    """One run of a scenario, for its steps and for what is around it."""

    def __init__(self, scenario: Scenario, cluster: Cluster, clock: LoopClock) -> None:
        self.scenario = scenario
        self.cluster = cluster
        self.clock = clock
        self.client: Client = cluster.client(field_manager="user")
        self.things: list[Callable[[], Iterable[str]]] = []
        """What else is compared, a line each: what is around the cluster puts it here."""
        self.made: Counter[str] = Counter()
        """How many of each kind there have ever been outside of the cluster: counted by what is
        around it, and never to be more than without a fault."""
        self.around: Any = None
        """Whatever is around it may put itself here, for daemons and steps to find."""
        self._began = 0
        ignored = {f"{each.plural}.{each.group}".rstrip(".") for each in scenario.ignore}
        self._ignored = UNTOLD | ignored

    async def until(self, check: Callable[[], Any], *, within: float = HOUR) -> Any:
        """See `eventually`; in seconds of the scenario."""
        return await eventually(check, self.cluster, within=within, heartbeat=1.0)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await self.clock.sleep(seconds)

    def begin(self) -> None:
        """What is there now was there before the scenario: it is not compared."""
        self._began = self.revision

    @property
    def revision(self) -> int:
        """How many writes there have been, whoever made them."""
        return self.cluster.server.core.store.revision

    def transport(self) -> Transport:
        """The way of a daemon to the API server."""
        from kaito.local.transport import InProcess

        return InProcess(self.cluster.server, token=self.cluster.token)

    def moved(self) -> int:
        """The revision of the last write that is compared."""
        return max(
            (b.events[-1].revision for b in self._compared().values() if b.events), default=0
        )

    def objects(self) -> list[tuple[str, Object]]:
        """Each object that was written in the scenario, after its kind."""
        return [
            (kind, record.value())
            for kind, bucket in self._compared().items()
            for record in bucket.objects.values()
            if record.revision > self._began
        ]

    def created(self) -> Counter[str]:
        """How many objects of each kind there have ever been, and things outside."""
        counted = Counter(self.made)
        for kind, bucket in self._compared().items():
            counted[kind] += sum(e.old is None for e in bucket.since(self._began))
        return +counted

    def on_change(self, kind: str, key: str, tell: Callable[[], None]) -> None:
        """Call `tell` when an object is written next."""
        bucket = self._buckets()[kind]
        bucket.join(_Once(bucket, key, tell))

    def compares(self, kind: str) -> bool:
        """Whether objects of a kind matter."""
        return kind not in self._ignored

    def _compared(self) -> dict[str, Bucket]:
        return {kind: each for kind, each in self._buckets().items() if self.compares(kind)}

    def _buckets(self) -> dict[str, Bucket]:
        server = self.cluster.server
        found: dict[str, Bucket] = {}
        for kind in server.kinds:
            bucket = server.core.store.buckets.get(kind.bucket)
            if bucket is not None:
                found.setdefault(f"{kind.plural}.{kind.group}".rstrip("."), bucket)
        return found


class _Once:
    """Tells of the next write of one object."""

    def __init__(self, bucket: Bucket, key: str, tell: Callable[[], None]) -> None:
        self._bucket = bucket
        self._key = key
        self._tell = tell

    def push(self, event: Event) -> None:
        record = event.new or event.old
        if record is not None and record.key == self._key:
            self._bucket.leave(self)
            self._tell()


@asynccontextmanager
async def new_world(scenario: Scenario) -> AsyncIterator[World]:
    """A world in which nothing has happened yet, and no daemon runs."""
    clock = LoopClock()
    async with Cluster(clock=clock, seed=0) as cluster:
        world = World(scenario, cluster, clock)
        await cluster.install(*scenario.install)
        async with machinery(world, scenario.nodes), scenario.around(world):
            world.begin()
            yield world


@asynccontextmanager
async def machinery(world: World, nodes: int | None) -> AsyncIterator[None]:
    """The controllers of a cluster's own, when `nodes` is not None."""
    if nodes is None:
        yield
        return
    from kaito.testing.perturbing.nodes import running_nodes

    async with running_nodes(world.cluster, world.clock, nodes):
        yield
