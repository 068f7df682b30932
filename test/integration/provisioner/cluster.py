"""The machine daemon in a local cluster: started, killed, started again, and watched.

It runs as its service account, with the roles that config/rbac ships.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from kaito.api import crds
from kaito.controllers.machine import Options, build, served_kinds
from kaito.local.apiserver.http import Request
from kaito.local.cluster import LocalCluster
from kaito.local.profile import Profile
from kaito.provisioner.aks import connect
from kaito.provisioner.settings import CONFIG_NAME, CONFIG_NAMESPACE, read
from kaito.runtime import (
    Clock,
    Informer,
    Key,
    Manager,
    Metrics,
    Object,
    Resource,
    SystemClock,
    is_true,
)
from kaito.testing import eventually
from test.accounts import access, enroll
from test.unit.provisioner.machines import NAME, machine_object, nodeclaim_object

PATIENCE = 20.0  # seconds; reached only when something is broken
POLL = 0.05
# Long enough that a daemon can be killed while a pool is being made or deleted.
MOMENTS = Profile(pool_create=0.2, pool_delete=0.2, node_ready=0, gpu_ready=0.05, processes=False)

CRDS: Resource[Object] = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
CONFIG_MAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
NODECLAIMS: Resource[Object] = Resource(
    "karpenter.sh", "v1", "nodeclaims", "NodeClaim", namespaced=False
)
EVENTS: Resource[Object] = Resource("events.k8s.io", "v1", "events", "Event")
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)


class Stage:
    """A local cluster as a test sees it, and the daemon that it may start and kill."""

    def __init__(self, cluster: LocalCluster, kinds: Sequence[Resource[Object]]) -> None:
        self.cluster = cluster
        self.token = ""
        self.clock: Clock = SystemClock()
        self.options = Options()
        self.metrics = Metrics()
        self.client = cluster.client(field_manager="test")
        self._changed = asyncio.Event()
        self.nodes_ever: set[str] = set()
        """The uids of all Nodes that there have been."""
        self._definitions = self._informer(CRDS)
        self._claims = [self._informer(kind) for kind in kinds]
        self._nodes = self._informer(NODES)
        self._nodes.on_change(lambda change: self.nodes_ever.add(change.header.uid))
        self._pods = self._informer(PODS)
        self._events = self._informer(EVENTS)
        self._daemon: asyncio.Task[None] | None = None

    def _informer(self, resource: Resource[Object]) -> Informer[Object]:
        informer = Informer(self.client, resource)
        informer.on_change(lambda _: self._changed.set())
        return informer

    @property
    def informers(self) -> list[Informer[Object]]:
        return [self._definitions, *self._claims, self._nodes, self._pods, self._events]

    def serves_claims(self) -> bool:
        definitions = self._definitions.store.list()
        return len(definitions) == len(self._claims) and all(
            is_true(definition.get("status", {}).get("conditions", []), "Established")
            for definition in definitions
        )

    def start(self) -> None:
        """The daemon, as a new process would be: it knows nothing."""
        self.metrics = Metrics()
        self._daemon = asyncio.create_task(self._serve(), name="daemon")

    async def kill(self) -> None:
        """The daemon ends where it stands."""
        if self._daemon is not None:
            self._daemon.cancel()
            await asyncio.gather(self._daemon, return_exceptions=True)

    async def _serve(self) -> None:
        client = self.cluster.client(field_manager="kaito-provisioner", token=self.token)
        config = await client.get(CONFIG_MAPS, Key(CONFIG_NAMESPACE, CONFIG_NAME))
        async with client, connect(read({}, config["data"]), self.clock) as source:
            manager = Manager(
                client, name="kaito-provisioner", metrics=self.metrics, clock=self.clock
            )
            system = await client.get(NAMESPACES, Key("", "kube-system"))
            build(
                manager,
                source,
                poll_seconds=POLL,
                cluster=system["metadata"]["uid"],
                kinds=await served_kinds(client),
                options=self.options,
            )
            await manager.run()

    async def create(
        self,
        name: str = NAME,
        labels: dict[str, str] | None = None,
        kind: Resource[Object] = MACHINES,
        spec: Object | None = None,
    ) -> None:
        written = nodeclaim_object if kind is NODECLAIMS else machine_object
        asked = written(name, spec=spec or {})
        meta = {"name": name, "labels": {**asked["metadata"]["labels"], **(labels or {})}}
        await self.client.create(kind, {**asked, "metadata": meta})

    def claim(self, name: str = NAME) -> Object | None:
        found = (claims.store.get(Key("", name)) for claims in self._claims)
        return next((claim for claim in found if claim is not None), None)

    def nodes(self) -> list[Object]:
        return self._nodes.store.list()

    def serving(self) -> list[Object]:
        """The Pods that are ready."""
        return [
            pod
            for pod in self._pods.store.list()
            if is_true(pod.get("status", {}).get("conditions", []), "Ready")
        ]

    def warnings(self, name: str = NAME) -> list[str]:
        """The reasons of the claim's Warning Events, one for each Event."""
        return [
            event["reason"]
            for event in self._events.store.list()
            if event["type"] == "Warning" and event["regarding"]["name"] == name
        ]

    def counted(self, metric: str, **labels: str) -> float:
        """A metric of the daemon."""
        return self.metrics.registry.get_sample_value(metric, labels) or 0.0

    def is_the_daemons(self, request: Request) -> bool:
        """Whether it is the daemon that asks the API server."""
        return request.headers.get("authorization") == f"Bearer {self.token}"

    def pools(self) -> list[str]:
        return [pool.name for pool in self.cluster.azure.pools()]

    def condition(self, type_: str, name: str = NAME) -> Object:
        conditions = (self.claim(name) or {}).get("status", {}).get("conditions", [])
        found: Object = next((c for c in conditions if c["type"] == type_), {})
        return found

    def is_true(self, type_: str) -> bool:
        return bool(self.condition(type_).get("status") == "True")

    async def until_polled(self, seen: Callable[[], object]) -> None:
        """Return soon after `seen()` holds, which no change of an object tells."""

        async def holds() -> bool:
            return bool(seen())

        await eventually(holds, within=PATIENCE)

    async def until(self, seen: Callable[[], object], what: str) -> None:
        """Return as soon as `seen()` holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not seen():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            story = [self.claim(), self.nodes(), self.cluster.azure.pools()]
            raise AssertionError(f"never seen: {what}: {story}") from None


def nothing_is_left(stage: Stage) -> bool:
    return not (stage.claim() or stage.nodes() or stage.pools())


async def ready(stage: Stage) -> None:
    await stage.until(lambda: stage.is_true("Ready"), "Ready=True")


@asynccontextmanager
async def staged(*kinds: Resource[Object], profile: Profile = MOMENTS) -> AsyncIterator[Stage]:
    """A cluster with the definitions of these kinds, and no daemon yet."""
    async with LocalCluster(profile=profile) as cluster, asyncio.TaskGroup() as tasks:
        stage = Stage(cluster, kinds)
        stage.token = await enroll(stage.client, "provisioner")
        names = {f"{kind.plural}.{kind.group}" for kind in kinds}
        for crd in crds():
            if crd["metadata"]["name"] in names:
                await stage.client.create(CRDS, crd)
        watching = [tasks.create_task(informer.run()) for informer in stage.informers]
        try:
            await stage.until(stage.serves_claims, "the definitions established")
            yield stage
            assert (await access(stage.client, "provisioner")).refused == ()
        finally:
            await stage.kill()
            for task in watching:
                task.cancel()
