"""An API server with our kinds, the workspace daemon, and a hand that plays everybody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from kaito.api import crds
from kaito.api.machine import LIVING
from kaito.controllers.kinds import CONFIG_MAPS
from kaito.controllers.workspace.controller import build
from kaito.controllers.workspace.kinds import (
    CHILDREN,
    DEPLOYMENTS,
    JOBS,
    STATEFUL_SETS,
    WORKSPACES,
)
from kaito.controllers.workspace.settings import Settings
from kaito.controllers.workspace.strangers import Read, Strangers
from kaito.local.apiserver import ApiServer
from kaito.local.transport import InProcess
from kaito.runtime import (
    Call,
    Client,
    ConnectionFailed,
    Informer,
    Key,
    Manager,
    Object,
    Reply,
    Resource,
    find_condition,
    rfc3339,
)

TOKEN = "letmein"
PATIENCE = 20.0  # seconds; reached only when something is broken
W = Key("default", "w")
FINALIZER = "karpenter.sh/termination"

CRDS: Resource[Object] = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")


class Recording:
    """A transport that remembers what went through it."""

    def __init__(self, inner: InProcess) -> None:
        self._inner = inner
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.unreadable = ""
        """The end of paths whose reads fail, none when empty."""

    @property
    def host(self) -> str:
        return self._inner.host

    async def send(self, call: Call) -> Reply:
        if call.method == "GET":
            self.reads.append(call.path)
            if self.unreadable and call.path.endswith(self.unreadable):
                raise ConnectionFailed(f"{call.path} cannot be read")
        elif "/events" not in call.path:
            self.writes.append(str(call))
        return await self._inner.send(call)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Daemon:
    """The workspace daemon, as one process runs it."""

    def __init__(self, server: ApiServer, read: Read | None) -> None:
        self.transport = Recording(InProcess(server, token=TOKEN))
        client = Client(self.transport, field_manager="kaito-workspace")
        self.manager = Manager(client, name="kaito-workspace")
        self._strangers = Strangers(read, self.manager.clock) if read else None
        build(self.manager, Settings(), strangers=self._strangers)
        self._running = asyncio.create_task(self.manager.run(), name="daemon")

    async def stop(self) -> None:
        self.manager.stop()
        await self._running
        if self._strangers is not None:
            await self._strangers.aclose()

    def turns(self) -> float:
        """How many reconciles have ended."""
        registry = self.manager.metrics.registry
        return sum(
            registry.get_sample_value(
                "controller_runtime_reconcile_total", {"controller": "workspace", "result": result}
            )
            or 0.0
            for result in ("success", "error", "requeue", "requeue_after")
        )


class Stage:
    """What a test sees and does."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.client = Client(InProcess(server, token=TOKEN), field_manager="test")
        self.daemons: list[Daemon] = []
        self._changed = asyncio.Event()
        self._informers: dict[Resource[Any], Informer[Object]] = {}
        watched = (WORKSPACES, MACHINES, NODES, *CHILDREN.values(), EVENTS, CRDS)
        for resource in watched:
            informer = Informer(self.client, resource)
            informer.on_change(lambda _: self._changed.set())
            self._informers[resource] = informer

    @property
    def informers(self) -> list[Informer[Object]]:
        return list(self._informers.values())

    def start(self, read: Read | None = None) -> Daemon:
        """Another daemon, which knows nothing yet; `read` reads models of no catalogue."""
        daemon = Daemon(self.server, read)
        self.daemons.append(daemon)
        return daemon

    def all(self, resource: Resource[Object]) -> list[Object]:
        return self._informers[resource].store.list()

    def find(self, resource: Resource[Object], key: Key = W) -> Object:
        """The object as last seen; empty when it is not there."""
        return self._informers[resource].store.object(key) or {}

    def condition(self, type_: str, key: Key = W) -> Object:
        status = self.find(WORKSPACES, key).get("status") or {}
        return find_condition(status.get("conditions", []), type_) or {}

    def says(self, type_: str, reason: str, key: Key = W) -> bool:
        return bool(self.condition(type_, key).get("reason") == reason)

    async def until(self, seen: Callable[[], object], what: str) -> None:
        """Return as soon as `seen()` holds."""
        try:
            async with asyncio.timeout(PATIENCE):
                while not seen():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            story = [(w.get("status"), w["metadata"]) for w in self.all(WORKSPACES)]
            raise AssertionError(f"never seen: {what}: {story}") from None

    # The hand

    async def create(self, name: str = "w", **changes: Any) -> None:
        """Create the quick start as its author would; `changes` replace its top fields."""
        wanted: Object = {
            "apiVersion": WORKSPACES.api_version,
            "kind": "Workspace",
            "metadata": {"name": name, "namespace": "default"},
            "resource": {
                "instanceType": "Standard_NC6s_v3",
                "labelSelector": {"matchLabels": {"apps": "phi-3"}},
            },
            "inference": {"preset": {"name": "phi-3-mini-4k-instruct"}},
        }
        await self.client.create(WORKSPACES, {**wanted, **changes})

    async def configure(self, name: str, text: str) -> None:
        """Write a ConfigMap with settings of the model server, or write it anew."""
        wanted = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default"},
            "data": {"inference_config.yaml": text},
        }
        await self.client.apply(CONFIG_MAPS, wanted)

    async def launch(self, machine: Object) -> None:
        """Do what the provisioner, the cloud and the kubelet do for a Machine."""
        name = machine["metadata"]["name"]
        key, node = Key("", name), f"node-{name}"
        labels = {
            **machine["metadata"]["labels"],
            "node.kubernetes.io/instance-type": "Standard_NC6s_v3",
        }
        await self.client.patch(MACHINES, key, {"metadata": {"finalizers": [FINALIZER]}})
        await self.client.create(
            NODES,
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": node, "labels": labels},
                "spec": {"providerID": f"azure://{name}"},
            },
        )
        ready = {
            "allocatable": {"nvidia.com/gpu": "1"},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await self.client.patch(NODES, Key("", node), {"status": ready}, subresource="status")
        status = {
            "nodeName": node,
            "providerID": f"azure://{name}",
            "conditions": [{"type": t, "status": "True"} for t in (*LIVING, "Ready")],
        }
        await self.client.patch(MACHINES, key, {"status": status}, subresource="status")

    async def let_go(self, machine: Object) -> None:
        """Do what the provisioner does when a Machine's node is gone."""
        key = Key("", machine["metadata"]["name"])
        await self.client.patch(MACHINES, key, {"metadata": {"finalizers": None}})

    async def roll_out(self, key: Key = W) -> None:
        """Do what the controllers of workloads and the kubelet do."""
        resource = STATEFUL_SETS if self.find(STATEFUL_SETS, key) else DEPLOYMENTS
        deployment = await self.client.get(resource, key)
        count = deployment["spec"]["replicas"]
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **dict.fromkeys(counts, count),
        }
        await self.client.patch(resource, key, {"status": status}, subresource="status")

    async def finish(self, key: Key = W) -> None:
        """Do what the controller of Jobs does when a Job has ended well."""
        now = rfc3339(time.time())
        status = {
            "startTime": now,
            "completionTime": now,
            "succeeded": 1,
            "conditions": [
                {"type": type_, "status": "True", "lastTransitionTime": now}
                for type_ in ("SuccessCriteriaMet", "Complete")
            ],
        }
        await self.client.patch(JOBS, key, {"status": status}, subresource="status")

    async def serve(self, name: str = "w") -> None:
        """Create a Workspace and see it to readiness."""
        key = Key("default", name)
        await self.create(name)
        await self.until(lambda: self.machines_of(name), "a Machine")
        await self.launch(self.machines_of(name)[0])
        await self.until(lambda: self.find(DEPLOYMENTS, key), "the Deployment")
        await self.roll_out(key)
        await self.until(lambda: self.says("WorkspaceReady", "workspaceReady", key), "readiness")

    def machines_of(self, name: str = "w") -> list[Object]:
        return [
            m for m in self.all(MACHINES) if m["metadata"]["labels"]["kaito.sh/workspace"] == name
        ]


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """A server with our kinds; the daemon is started by the test."""
    server = ApiServer(tokens={TOKEN: "kubernetes-admin"})
    await server.start()
    made = Stage(server)
    try:
        for definition in crds():
            await made.client.create(CRDS, definition)
        async with asyncio.TaskGroup() as watching:
            running: list[asyncio.Task[None]] = []
            try:
                running.append(watching.create_task(made._informers[CRDS].run()))
                await made.until(lambda: _established(made), "our kinds")
                running += [
                    watching.create_task(each.run())
                    for resource, each in made._informers.items()
                    if resource != CRDS
                ]
                for each in made.informers:
                    await each.wait_synced()
                yield made
            finally:
                for daemon in made.daemons:
                    await daemon.stop()
                for task in running:
                    task.cancel()
    finally:
        await made.client.aclose()
        await server.aclose()


def _established(made: Stage) -> bool:
    return len(made.all(CRDS)) == len(crds()) and all(
        any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
        for found in made.all(CRDS)
        if (conditions := (found.get("status") or {}).get("conditions") or []) is not None
    )
