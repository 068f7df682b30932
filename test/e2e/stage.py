"""A stage for whole-system tests: a local cluster and both daemons as processes, watched.

Everything is what users run: `kaito ...` processes that are started, killed and started again, and
an API server reached over HTTPS. Where a test must act at the very
moment of a request, the cluster runs in the test's own process (test/e2e/mortal.py). Daemons run as
they do in a pod: with a token of their service account, whose roles are those that config/rbac
ships, and no test passes in which one is refused anything. Waiting is always for something to be
seen, never for time to pass.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kaito.local.azure.listing import PoolRow, list_pools
from kaito.runtime import (
    Change,
    Client,
    ClusterConfig,
    Informer,
    Key,
    Object,
    Resource,
    from_kubeconfig,
)
from test.accounts import SYSTEM, access, enroll

ROOT = Path(__file__).parents[2]
QUICK_START = ROOT / "examples" / "phi-3-mini.yaml"
PATIENCE = 60.0  # seconds; reached only when something is broken

WORKSPACES: Resource[Object] = Resource("kaito.sh", "v1beta1", "workspaces", "Workspace")
MACHINES: Resource[Object] = Resource(
    "karpenter.sh", "v1alpha5", "machines", "Machine", namespaced=False
)
NODECLAIMS: Resource[Object] = Resource(
    "karpenter.sh", "v1", "nodeclaims", "NodeClaim", namespaced=False
)
NODES: Resource[Object] = Resource("", "v1", "nodes", "Node", namespaced=False)
PODS: Resource[Object] = Resource("", "v1", "pods", "Pod")
DEPLOYMENTS: Resource[Object] = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS: Resource[Object] = Resource("apps", "v1", "statefulsets", "StatefulSet")
SERVICES: Resource[Object] = Resource("", "v1", "services", "Service")
REVISIONS: Resource[Object] = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
LEASES: Resource[Object] = Resource("coordination.k8s.io", "v1", "leases", "Lease")

WATCHED = (
    *(WORKSPACES, MACHINES, NODECLAIMS, NODES),
    *(PODS, DEPLOYMENTS, STATEFUL_SETS, REVISIONS, SERVICES, LEASES),
)

PHI = Key("default", "workspace-phi-3-mini")
IN_A_POD = """
import functools, pathlib, sys
from kaito.runtime import config
from kaito.cli.parser import main
mounted = pathlib.Path(sys.argv.pop(1))
config.in_cluster = functools.partial(config.in_cluster, directory=mounted)
sys.exit(main())
"""
"""`kaito`, with the directory that a kubelet mounts a service account into as first argument."""
# In pods each daemon has its ports for itself.
_PORTS = ("--metrics-address", "127.0.0.1:0", "--probe-address", "127.0.0.1:0")
PORTS = {
    "manager": (*_PORTS, "--webhook-address", "127.0.0.1:0"),
    "provisioner": _PORTS,
}


class Process:
    """One `kaito ...` process and its log. `command` is what Python is told to run."""

    def __init__(
        self,
        log: Path,
        *arguments: str,
        command: Sequence[str] = ("-m", "kaito.cli"),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self.arguments = arguments
        self.command = command
        self.environment = environment
        self._running: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as sink:
            self._running = await asyncio.create_subprocess_exec(
                *(sys.executable, *self.command, *self.arguments),
                env=None if self.environment is None else {**self.environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=sink,
                cwd=ROOT,
            )

    async def line(self) -> str:
        """The next line of standard output."""
        assert self._running is not None
        assert self._running.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self._running.stdout.readline()).decode().strip()

    async def kill(self) -> None:
        """SIGKILL: no goodbye, no clean-up."""
        assert self._running is not None
        self._running.kill()
        await self.wait()

    async def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._running is not None
        if self._running.returncode is None:
            self._running.terminate()
        return await self.wait()

    async def wait(self) -> int:
        assert self._running is not None
        async with asyncio.timeout(PATIENCE):
            # communicate() closes the pipe, too, which wait() would leave to the collector.
            await self._running.communicate()
        assert self._running.returncode is not None
        return self._running.returncode

    @property
    def running(self) -> bool:
        return self._running is not None and self._running.returncode is None

    @property
    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Stage:
    """A local cluster with eyes on what matters in it."""

    def __init__(self, kubeconfig: Path, scratch: Path, config: ClusterConfig) -> None:
        self.kubeconfig = kubeconfig
        self.scratch = scratch
        self.config = config
        self.client = Client(config.transport(), field_manager="test")
        self.processes: list[Process] = []
        self.patience = PATIENCE
        """How long `until` waits, in seconds."""
        self.tokens: dict[str, str] = {}
        """What each daemon shows to the API server."""
        self._changed = asyncio.Event()
        self._ever: dict[Resource[Any], set[str]] = {}
        self._informers: dict[Resource[Any], Informer[Object]] = {}
        for resource in WATCHED:
            informer = Informer(self.client, resource)
            informer.on_change(self._noticing(resource))
            self._informers[resource] = informer

    def process(self, daemon: str, *arguments: str, **environment: str) -> Process:
        """A daemon as it runs in a pod, not yet started; it is stopped with the stage."""
        server = urlsplit(self.config.server)
        return self._made(
            in_a_pod(
                self._log(daemon),
                self._mounted(daemon),
                *(daemon, *arguments),
                host=str(server.hostname),
                port=str(server.port),
                **environment,
            )
        )

    def laptop(self, daemon: str, *arguments: str) -> Process:
        """A daemon as its developer runs it, with the kubeconfig of the administrator."""
        given = (daemon, *arguments, "--kubeconfig", str(self.kubeconfig))
        return self._made(Process(self._log(daemon), *given))

    async def enroll(self) -> None:
        """Install both accounts, and mount them as a kubelet does."""
        for daemon in PORTS:
            self.tokens[daemon] = await enroll(self.client, daemon)
            mount(self._mounted(daemon), self.tokens[daemon], certificate_of(self.kubeconfig))

    async def refused(self) -> dict[str, tuple[str, ...]]:
        """What daemons asked the API server for in vain: what their roles lack."""
        found = {daemon: (await access(self.client, daemon)).refused for daemon in PORTS}
        return {daemon: refused for daemon, refused in found.items() if refused}

    def _mounted(self, daemon: str) -> Path:
        return self.scratch / f"{daemon}-account"

    def _log(self, daemon: str) -> Path:
        return self.scratch / f"{len(self.processes)}-{daemon}.log"

    def _made(self, process: Process) -> Process:
        self.processes.append(process)
        return process

    @property
    def informers(self) -> list[Informer[Object]]:
        return list(self._informers.values())

    def all(self, resource: Resource[Object]) -> list[Object]:
        """Every object of this kind, as last seen."""
        return self._informers[resource].store.list()

    def ever(self, resource: Resource[Object]) -> set[str]:
        """The uids of all objects of this kind that have been seen, those that are gone too."""
        return self._ever.get(resource, set())

    def _noticing(self, resource: Resource[Object]) -> Callable[[Change], None]:
        def notice(change: Change) -> None:
            self._ever.setdefault(resource, set()).add(change.header.uid)
            self._changed.set()

        return notice

    def find(self, resource: Resource[Object], key: Key) -> Object | None:
        return self._informers[resource].store.object(key)

    async def until(self, seen: Callable[[], object], what: str) -> None:
        """Return as soon as `seen()` is true."""
        try:
            async with asyncio.timeout(self.patience):
                while not seen():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"never seen: {what}\n{self._story()}") from None

    def condition(self, kind: str, key: Key = PHI) -> Object:
        """A condition of a Workspace; empty when it is not there."""
        workspace = self.find(WORKSPACES, key) or {}
        for found in workspace.get("status", {}).get("conditions", ()):
            if found["type"] == kind:
                return dict(found)
        return {}

    def is_true(self, kind: str, key: Key = PHI) -> bool:
        return self.condition(kind, key).get("status") == "True"

    async def pools(self) -> list[PoolRow]:
        """The agent pools that the local Azure endpoint holds."""
        return await list_pools(self.client)

    def _story(self) -> str:
        statuses = {
            f"{each['kind']} {each['metadata']['name']}": each.get("status", {}).get("conditions")
            for resource in (WORKSPACES, MACHINES, DEPLOYMENTS, PODS)
            for each in self.all(resource)
        }
        logs = "\n".join(f"--- {p.log.name}\n{p.said[-3000:]}" for p in self.processes)
        return f"{json.dumps(statuses, indent=1)}\n{logs}"


class Apart(Stage):
    """A stage whose cluster is a process, too."""

    def __init__(
        self, cluster: Process, kubeconfig: Path, scratch: Path, config: ClusterConfig
    ) -> None:
        super().__init__(kubeconfig, scratch, config)
        self.cluster = cluster

    async def crash_the_cluster(self) -> None:
        """SIGKILL the API server with everything in it, and start it again on the same port."""
        await self.cluster.kill()
        port = str(urlsplit(self.config.server).port)
        self.cluster.arguments = (*self.cluster.arguments, "--port", port)
        await self.cluster.start()
        assert await self.cluster.line() == "ready", self.cluster.said


@asynccontextmanager
async def stage(scratch: Path, *options: str) -> AsyncIterator[Apart]:
    """`kaito local up --no-controllers` as a process, watched."""
    kubeconfig = scratch / "kubeconfig"
    up = Process(scratch / "cluster.log", "local", "up", "--kubeconfig", str(kubeconfig), *options)
    await up.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(up.stop)
        if await up.line() != "ready":
            raise AssertionError(f"no local cluster: {up.said}")
        made = Apart(up, kubeconfig, scratch, await from_kubeconfig(str(kubeconfig)))
        await stack.enter_async_context(watched(made))
        yield made


@asynccontextmanager
async def watched(made: Stage) -> AsyncIterator[None]:
    """Watch a stage, stop what was started on it, and see that no daemon was refused anything."""
    async with made.client, asyncio.TaskGroup() as watching:
        running = [watching.create_task(each.run()) for each in made.informers]
        try:
            for informer in made.informers:
                await informer.wait_synced()
            await made.enroll()
            yield
            if refused := await made.refused():
                raise AssertionError(f"config/rbac does not grant {refused}")
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*(process.stop() for process in made.processes if process.running))


def mount(directory: Path, token: str, certificate: bytes) -> None:
    """What a kubelet mounts into a pod of a service account."""
    directory.mkdir()
    (directory / "token").write_text(token)
    (directory / "ca.crt").write_bytes(certificate)
    (directory / "namespace").write_text(SYSTEM)


def in_a_pod(
    log: Path, mounted: Path, daemon: str, *arguments: str, host: str, port: str, **environment: str
) -> Process:
    """A daemon as it runs in a pod, with what is mounted there; not yet started."""
    return Process(
        log,
        *(str(mounted), daemon, *PORTS[daemon], *arguments),
        command=("-c", IN_A_POD),
        environment={
            **{key: os.environ[key] for key in os.environ if key != "KUBECONFIG"},
            "HOME": str(log.parent),
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": port,
            **environment,
        },
    )


def certificate_of(kubeconfig: Path) -> bytes:
    """The authority of a kubeconfig's only cluster, as PEM."""
    [cluster] = yaml.safe_load(kubeconfig.read_text())["clusters"]
    return base64.b64decode(cluster["cluster"]["certificate-authority-data"])


async def kubectl(kubeconfig: Path, *arguments: str) -> str:
    """Run kubectl; its standard output. AssertionError with its words when it fails."""
    process = await asyncio.create_subprocess_exec(
        *("kubectl", "--cache-dir", str(kubeconfig.parent / "cache"), *arguments),
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode == 0, f"kubectl {' '.join(arguments)}: {err.decode()}"
    return out.decode()


HAS_KUBECTL = shutil.which("kubectl") is not None
