"""A world of one claim: a cloud, an API server's objects, and a controller that can be killed.

The cloud implements NodeSource and the objects implement the controller's writes; both change at
once and count their side effects, so that a test can kill the controller after any one of them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from kaito.api.machine import FINALIZER
from kaito.catalog.catalog import load
from kaito.controllers.kinds import (
    Node,
)
from kaito.controllers.machine.book import PoolBook
from kaito.controllers.machine.decision import (
    DeleteClaim,
    DeleteNode,
    Fleet,
    ObjectWrite,
    PatchClaim,
    PatchNode,
    Policy,
    SetStatus,
    Tell,
)
from kaito.controllers.machine.disruption import fleet
from kaito.controllers.machine.kinds import Pod
from kaito.controllers.machine.reconciler import Reconciler
from kaito.controllers.machine.tenants import Tenants
from kaito.provisioner import (
    Absent,
    Cause,
    CloudError,
    Failure,
    NodeRequest,
    Pool,
    PoolMachine,
    PoolState,
    Way,
)
from kaito.provisioner.aks.provider_id import pool_of
from kaito.provisioner.claim import MACHINE, Claim, Dialect
from kaito.provisioner.ownership import SHARED
from kaito.provisioner.sharing import pool_of as pool_name
from kaito.runtime import Conflict, ConnectionFailed, Forbidden, Key, NotFound, Status, rfc3339
from test.unit.provisioner.machines import A100, NAME, machine_object, nodeclaim_object

START = 1_767_225_600.0  # 2026-01-01T00:00:00Z, when the claim is born
POLL = 15.0
IMAGE = "kubernetes.azure.com/node-image-version"
CATALOG = load()
POLICY = Policy(
    cloud="Azure",
    poll_seconds=POLL,
    size=lambda type_: CATALOG.find_sku(type_, cloud="azure") if type_ == A100 else None,
    image_label=IMAGE,
)

Wire = dict[str, Any]


class Killed(BaseException):
    """SIGKILL: nothing of the controller's memory is left."""


@dataclass
class Effects:
    """Counts side effects; the controller dies right after number `fatal`."""

    count: int = 0
    fatal: int | None = None

    def happened(self) -> None:
        self.count += 1
        if self.count == self.fatal:
            raise Killed


@dataclass
class Clock:
    at: float = START
    skew: float = 0.0
    """By how much the controller's clock is ahead of everybody else's."""

    def now(self) -> float:
        return self.at + self.skew

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds

    def call_later(self, seconds: float, callback: object) -> Any:
        raise AssertionError("nobody books timers here")


@dataclass
class Cloud:
    """Pools that become READY a while after they were asked for. Implements NodeSource."""

    clock: Clock
    effects: Effects
    name: str = "Azure"
    cloud: str = "azure"
    pool_label: str = "agentpool"
    image_label: str = IMAGE
    most_pools: int = 100
    seconds: float = 60.0
    there: dict[str, Pool] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    launches: list[str] = field(default_factory=list)
    refuse: list[Failure] = field(default_factory=list)
    """The next launches are refused with these, in order."""
    defect: Exception | None = None
    """What every call raises while it is set: the adapter is broken."""
    fail: list[Failure] = field(default_factory=list)
    """The next pools to be finished fail with these, in order."""
    blind: Failure | None = None
    """While set, every question is refused with it."""
    lose_answers: int = 0
    """So many launches take place without an answer."""
    busy: bool = False
    """Whether pools that are being created cannot be deleted."""
    asked: list[str] = field(default_factory=list)
    numbers: dict[str, list[int]] = field(default_factory=dict)
    """The numbers of each pool's machines."""
    born: dict[str, int] = field(default_factory=dict)
    """How many machines each pool has ever had: no number is given twice."""
    dying: dict[str, int] = field(default_factory=dict)
    """The machine of each pool that is being deleted."""
    resizes: list[int] = field(default_factory=list)
    """The counts that pools were given."""
    chosen: list[str] = field(default_factory=list)
    """Machines that the cloud chose to delete, because somebody lowered a count."""

    def pool_of(self, provider_id: str) -> str | None:
        return pool_of(provider_id)

    async def launch(self, request: NodeRequest, instance_type: str) -> Pool:
        self.launches.append(instance_type)
        if self.defect:
            raise self.defect
        if self.refuse:
            raise CloudError(self.refuse.pop(0))
        if request.name not in self.there and len(self.there) >= self.most_pools:
            raise CloudError(NO_POOLS)
        if request.name not in self.there:
            self.there[request.name] = Pool(
                name=request.name,
                state=PoolState.CREATING,
                said="Creating",
                instance_type=instance_type,
                labels=request.labels,
            )
            self.due[request.name] = self.clock.at + self.seconds
            self.effects.happened()
            if self.lose_answers:
                self.lose_answers -= 1
                raise CloudError(LOST)
        return self.there[request.name]

    async def observe(self, name: str) -> Pool | Absent:
        self.asked.append(f"get {name}")
        if self.defect:
            raise self.defect
        if self.blind:
            raise CloudError(self.blind)
        return self.there.get(name, Absent())

    async def pools(self) -> list[Pool]:
        self.asked.append("list")
        if self.defect:
            raise self.defect
        if self.blind:
            raise CloudError(self.blind)
        return list(self.there.values())

    async def delete(self, pool: Pool) -> Pool | Absent:
        there = self.there.get(pool.name)
        if there is None:
            return Absent()
        if (there.labels, there.count) != (pool.labels, pool.count):
            return there
        if (self.busy and there.state is PoolState.CREATING) or there.state is PoolState.UPDATING:
            raise CloudError(BUSY)
        if there.state is not PoolState.DELETING:
            self.there[pool.name] = replace(there, state=PoolState.DELETING, said="Deleting")
            self.due[pool.name] = self.clock.at + self.seconds
            self.effects.happened()
        return self.there[pool.name]

    async def resize(self, pool: Pool, count: int) -> Pool | Absent:
        there = self.there.get(pool.name)
        if there is None:
            return Absent()
        if (there.labels, there.count) != (pool.labels, pool.count):
            return there
        if there.state not in (PoolState.READY, PoolState.FAILED):
            raise CloudError(BUSY)
        if self.refuse:
            raise CloudError(self.refuse.pop(0))
        self.resizes.append(count)
        labels = {**there.labels, SHARED: "true"}
        self._update(replace(there, count=count, labels=labels))
        if self.lose_answers:
            self.lose_answers -= 1
            raise CloudError(LOST)
        return self.there[pool.name]

    async def machines(self, name: str) -> list[PoolMachine]:
        self.asked.append(f"machines {name}")
        if self.blind:
            raise CloudError(self.blind)
        return [machine(name, number) for number in self.numbers.get(name, ())]

    async def delete_machine(self, pool: Pool, machine_: PoolMachine) -> Pool | Absent:
        there = self.there.get(pool.name)
        if there is None or there.labels != pool.labels:
            return there or Absent()
        if there.state in (PoolState.CREATING, PoolState.UPDATING, PoolState.DELETING):
            raise CloudError(BUSY)
        known = {machine(pool.name, number): number for number in self.numbers[pool.name]}
        if machine_ not in known:
            raise CloudError(WRONG)
        self.dying[pool.name] = known[machine_]
        self._update(there)
        return self.there[pool.name]

    def _update(self, pool: Pool) -> None:
        self.there[pool.name] = replace(
            pool, state=PoolState.UPDATING, said="Updating", failure=None
        )
        self.due[pool.name] = self.clock.at + self.seconds
        self.effects.happened()

    def _scale(self, pool: Pool) -> None:
        numbers, born = self.numbers.setdefault(pool.name, []), self.born.get(pool.name, 0)
        more = pool.count - len(numbers)
        self.numbers[pool.name] = [*numbers, *range(born, born + more)][: pool.count]
        self.chosen += [machine(pool.name, number).name for number in numbers[pool.count :]]
        self.born[pool.name] = born + max(0, more)

    def settle(self) -> None:
        """Finish what is due."""
        for name, at in list(self.due.items()):
            if at > self.clock.at:
                continue
            del self.due[name]
            pool = self.there[name]
            if pool.state is PoolState.DELETING:
                del self.there[name]
                self.numbers.pop(name, None)
            elif name in self.dying:
                self.numbers[name].remove(self.dying.pop(name))
                self.there[name] = replace(
                    pool, state=PoolState.READY, said="Succeeded", count=pool.count - 1
                )
            elif self.fail:
                why = self.fail.pop(0)
                self.there[name] = replace(pool, state=PoolState.FAILED, said="Failed", failure=why)
            else:
                self._scale(pool)
                self.there[name] = replace(pool, state=PoolState.READY, said="Succeeded")


@dataclass
class Objects:
    """The claims, Nodes and Pods of an API server. Implements Writes and PodCalls."""

    effects: Effects
    clock: Clock
    claims: dict[str, Wire] = field(default_factory=dict)
    nodes: dict[str, Wire] = field(default_factory=dict)
    pods: dict[str, Wire] = field(default_factory=dict)
    budget: str = ""
    """Why no Pod may be evicted, "" when all may."""
    hidden: bool = False
    """Whether the controller may not list Pods."""
    evicted: list[str] = field(default_factory=list)
    deleted: list[tuple[str, int]] = field(default_factory=list)
    """Pods deleted without being asked, and the seconds they were given."""
    told: list[Tell] = field(default_factory=list)
    writes: list[ObjectWrite] = field(default_factory=list)
    version: int = 100
    kept: tuple[dict[str, Wire], dict[str, Wire]] | None = None
    """While the API server is away: the claims and Nodes that the caches hold."""

    @property
    def cached(self) -> tuple[dict[str, Wire], dict[str, Wire]]:
        return self.kept or (self.claims, self.nodes)

    async def stays(self, claim: Claim) -> bool:
        if self.kept is not None:
            raise ConnectionFailed("refused")
        found = self.claims.get(claim.metadata.name)
        return found is not None and "deletionTimestamp" not in found["metadata"]

    async def perform(self, name: str, uid: str, write: ObjectWrite) -> None:
        if self.kept is not None:
            raise ConnectionFailed("refused")
        try:
            self._perform(name, write)
        except NotFound:
            return
        if not isinstance(write, Tell):
            self.writes.append(write)
            self.effects.happened()

    def _perform(self, name: str, write: ObjectWrite) -> None:
        match write:
            case PatchClaim(patch):
                self.patch(self.claims, name, patch)
            case PatchNode(node, patch):
                self.patch(self.nodes, node, patch)
            case DeleteClaim(uid):
                self.delete(self.claims, name, uid)
            case DeleteNode(node, uid):
                self.delete(self.nodes, node, uid)
            case SetStatus(status):
                self._find(self.claims, name)["status"] = status
            case Tell():
                self.told.append(write)

    async def on(self, node: str) -> Sequence[Pod]:
        if self.hidden:
            raise Forbidden(Status(code=403, message="pods is forbidden"))
        return [
            msgspec.convert(pod, Pod)
            for pod in self.pods.values()
            if pod["spec"]["nodeName"] == node
        ]

    async def evict(self, pod: Pod) -> str:
        if self.budget:
            return self.budget
        self.evicted.append(pod.metadata.name)
        self.pods.pop(pod.metadata.name, None)
        self.effects.happened()
        return ""

    async def delete_pod(self, pod: Pod, seconds: int) -> None:
        self.deleted.append((pod.metadata.name, seconds))
        self.pods.pop(pod.metadata.name, None)
        self.effects.happened()

    def patch(self, kind: dict[str, Wire], name: str, patch: Wire) -> None:
        found = self._find(kind, name)
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in (None, found["metadata"]["resourceVersion"]):
            raise Conflict(Status(code=409))
        merge(found, patch)
        self._touch(found)
        self._collect(kind, name)

    def delete(self, kind: dict[str, Wire], name: str, uid: str = "") -> None:
        found = self._find(kind, name)
        if uid not in ("", found["metadata"]["uid"]):
            raise Conflict(Status(code=409))
        found["metadata"].setdefault("deletionTimestamp", rfc3339(self.clock.at))
        self._touch(found)
        self._collect(kind, name)

    def _find(self, kind: dict[str, Wire], name: str) -> Wire:
        if name not in kind:
            raise NotFound(Status(code=404))
        return kind[name]

    def _touch(self, found: Wire) -> None:
        self.version += 1
        found["metadata"]["resourceVersion"] = str(self.version)

    def _collect(self, kind: dict[str, Wire], name: str) -> None:
        meta = kind[name]["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers"):
            del kind[name]


@dataclass
class Pods:
    """What may be done to the objects' Pods."""

    objects: Objects

    async def on(self, node: str) -> Sequence[Pod]:
        return await self.objects.on(node)

    async def evict(self, pod: Pod) -> str:
        return await self.objects.evict(pod)

    async def delete(self, pod: Pod, seconds: int) -> None:
        await self.objects.delete_pod(pod, seconds)


@dataclass
class Mates:
    """Who is in which pool."""

    objects: Objects
    hidden: set[str] = field(default_factory=set)
    """Claims that the cache has not heard of."""

    def home(self, claim: Claim) -> str:
        return pool_of(claim.status.provider_id) or pool_name(claim)

    def of(self, pool: str) -> list[Claim]:
        return [claim for claim in self._of(pool) if claim.metadata.name not in self.hidden]

    async def live(self, pool: str) -> list[Claim]:
        return self._of(pool)

    def _of(self, pool: str) -> list[Claim]:
        claims = [msgspec.convert(claim, Claim) for claim in self.objects.claims.values()]
        return [claim for claim in claims if self.home(claim) == pool]

    def living(self, pool: str) -> int:
        return sum(not claim.metadata.deleting for claim in self.of(pool))


@dataclass
class World:
    """The claim, its cloud, and the controller, which may die."""

    dialect: Dialect = MACHINE
    policy: Policy = POLICY

    clock: Clock = field(default_factory=Clock)
    effects: Effects = field(default_factory=Effects)
    joins: bool = True
    node_ready: bool = True
    gpu_plugin: bool = True
    joined: set[str] = field(default_factory=set)
    """The Nodes that have ever joined."""
    noticed: bool = False
    """Whether the controller knows that the API server is away."""

    def __post_init__(self) -> None:
        self.cloud = Cloud(self.clock, self.effects)
        self.objects = Objects(self.effects, self.clock)
        self.mates = Mates(self.objects)
        self.restarts = 0
        self.start()

    def start(self) -> None:
        """A controller that remembers nothing."""
        self.controller = Reconciler(
            self.dialect,
            claim=self.claim,
            nodes=self.nodes,
            mates=self.mates,
            fleet=self.fleet,
            tenants=Tenants(Pods(self.objects), self.clock),
            book=PoolBook(self.cloud, self.clock, poll_seconds=POLL),
            writes=self.objects,
            policy=self.policy,
            clock=self.clock,
            stays=self.objects.stays,
            blind=lambda: "the API server is away" if self.noticed else "",
        )

    def cut_off(self) -> None:
        """The API server goes away: the caches keep what they held, and writes fail."""
        if self.objects.kept is None:
            objects = self.objects
            objects.kept = (copy.deepcopy(objects.claims), copy.deepcopy(objects.nodes))

    def come_back(self) -> None:
        """It is back, and the caches have caught up."""
        self.objects.kept = None
        self.noticed = False

    def create(self, name: str = NAME, **changes: Any) -> None:
        written = machine_object if self.dialect is MACHINE else nodeclaim_object
        self.objects.claims[name] = written(name, **changes)

    def claim(self, name: str = NAME) -> Claim | None:
        found = self.objects.cached[0].get(name)
        return None if found is None else msgspec.convert(found, Claim)

    def fleet(self) -> Fleet:
        claims = [msgspec.convert(claim, Claim) for claim in self.objects.claims.values()]
        return fleet(claims, [msgspec.convert(node, Node) for node in self.objects.nodes.values()])

    def nodes(self, name: str = NAME) -> Iterator[Node]:
        for node in self.objects.cached[1].values():
            if node["metadata"]["labels"]["agentpool"] == name:
                yield msgspec.convert(node, Node)

    def left(self) -> list[str]:
        """The names of all that is there: claims, Nodes and pools."""
        return [*self.objects.claims, *self.objects.nodes, *self.cloud.there]

    def condition(self, type_: str, name: str = NAME) -> tuple[str, str, str]:
        """Status, reason and message."""
        claim = self.claim(name)
        assert claim is not None
        found = {c["type"]: c for c in claim.status.conditions}[type_]
        return found["status"], found["reason"], found["message"]

    async def step(self, name: str = NAME) -> None:
        """The controller's turn, and its restart when it dies; then the world's, up to the time
        at which the controller wants to look again, or one poll: what it writes wakes it."""
        again, written = None, len(self.objects.writes)
        try:
            again = await self.controller.reconcile(Key("", name))
        except Killed:
            self.restarts += 1
            self.start()
        except (Conflict, ConnectionFailed):
            pass
        self.noticed = self.objects.kept is not None
        pause = POLL if again is None else max(again.seconds, 0.001)
        wakes = any(not isinstance(each, SetStatus) for each in self.objects.writes[written:])
        self.clock.at += min(pause, POLL) if wakes else pause
        self.settle()

    async def steps(self, count: int = 40, name: str = NAME) -> None:
        """Enough turns for anything to end."""
        for _ in range(count):
            await self.step(name)

    def settle(self) -> None:
        """Nodes follow their pools."""
        self.cloud.settle()
        for pool in self.cloud.there.values():
            if not self.joins or pool.state is not PoolState.READY:
                continue
            # A Node that was deleted comes back only where there is no other one.
            alone = not any(self.nodes(pool.name))
            for number in self.cloud.numbers.get(pool.name, ()):
                if alone or machine(pool.name, number).name not in self._known():
                    self.join(pool, number)
        for name, node in list(self.objects.nodes.items()):
            if not self._has_machine(name, node):
                self.objects.delete(self.objects.nodes, name)

    def _known(self) -> set[str]:
        return self.joined | set(self.objects.nodes)

    def _has_machine(self, name: str, node: Wire) -> bool:
        """Nodes that a test has put there by hand have one while there is their pool."""
        pool = node["metadata"]["labels"]["agentpool"]
        made = {machine(pool, number).name for number in self.cloud.numbers.get(pool, ())}
        return pool in self.cloud.there and (name in made or name not in self.joined)

    def join(self, pool: Pool, number: int = 0) -> None:
        node = node_object(pool.name, number, pool.labels, pool.instance_type)
        if not self.node_ready:
            node["status"]["conditions"] = [
                {"type": "Ready", "status": "False", "message": "starting"}
            ]
        if not self.gpu_plugin:
            node["status"]["allocatable"].pop("nvidia.com/gpu")
        name = node["metadata"]["name"]
        self.objects.nodes[name] = node
        self.joined.add(name)
        numbers = self.cloud.numbers.setdefault(pool.name, [])
        if number not in numbers:
            numbers.append(number)


def node_object(
    pool: str = NAME,
    number: int = 0,
    labels: Any = None,
    instance_type: str = A100,
) -> Wire:
    """A Node that is ready and whose device plugin runs."""
    return {
        "metadata": {
            "name": machine(pool, number).name,
            "uid": f"node-{pool}-{number}",
            "resourceVersion": "7",
            "labels": {
                **(labels or {}),
                "agentpool": pool,
                "node.kubernetes.io/instance-type": instance_type,
                IMAGE: "AKSUbuntu-2204gen2containerd-202611.01.0",
            },
            "finalizers": [],
        },
        "spec": {
            "providerID": machine(pool, number).provider_id,
            "taints": [{"key": "sku", "value": "gpu", "effect": "NoSchedule"}],
        },
        "status": {
            "capacity": {"cpu": "24", "nvidia.com/gpu": "1"},
            "allocatable": {"cpu": "23", "nvidia.com/gpu": "1"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def machine(pool: str, number: int = 0) -> PoolMachine:
    """A machine of a pool. Its Node has the same name."""
    scale_set = f"aks-{pool}-12345678-vmss"
    return PoolMachine(
        f"{scale_set}{number:06}",
        "azure:///subscriptions/s/resourceGroups/MC/providers/Microsoft.Compute"
        f"/virtualMachineScaleSets/{scale_set}/virtualMachines/{number}",
    )


def pod_object(name: str, node: str = f"aks-{NAME}-12345678-vmss000000", **spec: Any) -> Wire:
    """A Pod that serves somebody."""
    metadata = {"name": name, "namespace": "default", "uid": f"pod-{name}"}
    return {
        "metadata": {**metadata, **spec.pop("metadata", {})},
        "spec": {"nodeName": node, **spec},
        "status": {"phase": "Running"},
    }


def merge(target: Wire, patch: Wire) -> None:
    """RFC 7386, in place."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


def finalizers(wire: Wire) -> list[str]:
    return [name for name in wire["metadata"].get("finalizers") or () if name == FINALIZER]


def failure(way: Way, cause: Cause, message: str = "no", **more: Any) -> Failure:
    return Failure(way=way, cause=cause, code="Code", message=message, advice="do this", **more)


LOST = failure(Way.RETRY, Cause.NETWORK, "the answer was lost")
BUSY = failure(Way.RETRY, Cause.BUSY, "in progress")
NO_ROOM = failure(Way.ANOTHER, Cause.ALLOCATION, "no room")
NO_QUOTA = failure(Way.ANOTHER, Cause.FAMILY_QUOTA, "no quota")
NO_RIGHT = failure(Way.USER, Cause.AUTHORIZATION, "no right")
NO_POOLS = failure(Way.USER, Cause.POOL_LIMIT, "no more pools")
WRONG = failure(Way.HOPELESS, Cause.INVALID, "wrong")
