"""A whole cluster in this process: API server, its controllers, and an Azure behind it.

    async with LocalCluster(nodes=1) as cluster:
        cluster.write_kubeconfig(Path("kubeconfig"))
        ...

Everything that has to outlive a restart lies in two directories: the data of the API server and
of the cloud in `data_dir`, certificates and tokens in `state_dir`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kaito.catalog.catalog import load as load_catalog
from kaito.local import kubeconfig
from kaito.local.access import PATH as ACCESS
from kaito.local.access import Access as RoleAccess
from kaito.local.apiserver import ApiServer, HttpsFront
from kaito.local.azure.account import Account
from kaito.local.azure.endpoint import MOUNT, AzureEndpoint
from kaito.local.azure.joining import NodeJoiner
from kaito.local.azure.rehearsing import PATH as REHEARSAL
from kaito.local.azure.rehearsing import Rehearsal
from kaito.local.azure.settings import CONFIG_MAP, config_map
from kaito.local.azure.sizes import VmSizes
from kaito.local.kinds import CONFIG_MAPS, NAMESPACES, NODES, SECRETS, STORAGE_CLASSES
from kaito.local.machinery import Machinery, assemble
from kaito.local.nodes.shape import Machine, new_node
from kaito.local.pki import Pki, ensure_pki
from kaito.local.pods.images import Images, Program
from kaito.local.pods.kaito_base import KAITO_BASE
from kaito.local.pods.logs import PodLogs
from kaito.local.pods.outfit import Api
from kaito.local.profile import Profile
from kaito.local.registry.access import Access
from kaito.local.registry.access import Account as RegistryAccount
from kaito.local.registry.endpoint import RegistryEndpoint
from kaito.local.registry.registry import SECRET as REGISTRY_SECRET
from kaito.local.registry.registry import USERNAME, Registry
from kaito.local.registry.routes import MOUNT as REGISTRY
from kaito.local.registry.storage import Storage
from kaito.local.storage.volumes import CLASS
from kaito.local.streams.connections import PodConnections
from kaito.local.tokens import keep_token
from kaito.local.transport import InProcess
from kaito.runtime import AlreadyExists, Client, Clock, Key, Manager, SystemClock

if TYPE_CHECKING:
    from kaito.runtime import Transport

FIELD_MANAGER = "kaito-local"
# Reconciles here wait for nothing but the server in the same process.
GRACE_SECONDS = 5.0
_SIZE = "Standard_D4s_v5"


class LocalCluster:
    """The cluster; `async with` runs it.

    `port` 0 takes a free one. With `data_dir` the cluster can be started again with what it held;
    on the same port earlier kubeconfigs stay valid. `state_dir` defaults to a folder of
    `data_dir`, or to a temporary one. `nodes` CPU Nodes are there from the start. `programs` are
    the images that run as local processes.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        data_dir: Path | None = None,
        nodes: int = 0,
        profile: Profile | None = None,
        state_dir: Path | None = None,
        account: Account | None = None,
        programs: Iterable[Program] = KAITO_BASE,
        clock: Clock | None = None,
    ) -> None:
        self._port = port
        self._data_dir = data_dir.absolute() if data_dir is not None else None
        self._nodes = nodes
        self._profile = profile or Profile()
        self._state_dir = state_dir
        self._account = account or Account()
        self._images = Images(programs)
        self._clock = clock or SystemClock()
        self._stack = contextlib.AsyncExitStack()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start it. OSError when the port is taken or a directory cannot be written."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it; every process it has started has ended."""
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """https://127.0.0.1:PORT"""
        return self._front.url

    @property
    def port(self) -> int:
        return self._front.port

    @property
    def ca_pem(self) -> str:
        """The certificate to trust."""
        return self._pki.ca_pem()

    @property
    def server(self) -> ApiServer:
        """The API server, for faults and for reading what it holds."""
        return self._server

    @property
    def azure(self) -> AzureEndpoint:
        """The cloud, for reading what it holds."""
        return self._azure

    @property
    def registry(self) -> Registry:
        """Where images, adapters and outputs of tuning are pushed to and pulled from."""
        host = f"127.0.0.1:{self.port}"
        return Registry(
            host=host,
            username=USERNAME,
            password=self._registry_password,
            ca_pem=self._pki.ca_pem(),
        )

    @property
    def state_dir(self) -> Path:
        """Where certificates, tokens and what pods are made of lie."""
        return self._state

    def kubeconfig(self) -> str:
        """A kubeconfig for an administrator, as YAML."""
        return kubeconfig.render(server=self.url, ca_pem=self._pki.ca_pem(), token=self._token)

    def write_kubeconfig(self, path: Path) -> None:
        """Write it, for its owner alone to read."""
        kubeconfig.write(path, self.kubeconfig())

    def client(self, *, field_manager: str = FIELD_MANAGER, token: str = "") -> Client:
        """A client that needs no socket, with the rights of a token's owner; without one, of an
        administrator."""
        transport = InProcess(self._server, token=token or self._token)
        return Client(transport, field_manager=field_manager, clock=self._clock)

    def local_port(self, pod: Key, container_port: int) -> int | None:
        """Where a pod's port is on this machine, None when nothing real runs there."""
        return self._machinery.kubelet.local_port(pod, container_port)

    async def wait(self) -> None:
        """Return when the cluster has stopped; raise what it died of."""
        assert self._running is not None
        await asyncio.shield(self._running)

    async def _start(self) -> None:
        self._prepare_directories()
        # The first certificate takes long enough to keep an event loop waiting.
        self._pki: Pki = await asyncio.to_thread(ensure_pki, self._state / "pki", self._clock.now())
        self._token = keep_token(self._state / "tokens" / "admin")
        cloud_token = keep_token(self._state / "tokens" / "azure")
        self._server = ApiServer(
            tokens={self._token: "kubernetes-admin"},
            clock=self._clock,
            data_dir=self._data_dir / "apiserver" if self._data_dir is not None else None,
        )
        await self._server.start()
        self._stack.push_async_callback(self._server.aclose)
        access = RoleAccess(lambda: self._server.audit, tokens=[self._token])
        self._server.mount(ACCESS, access.handle)
        self._start_azure(cloud_token)
        self._start_registry()
        self._front = HttpsFront(self._server, self._pki.server_context(), port=self._port)
        await self._front.start()
        self._stack.push_async_callback(self._front.aclose)
        await self._furnish()
        await self._start_machinery()

    def _prepare_directories(self) -> None:
        if self._state_dir is not None:
            self._state = self._state_dir.absolute()
        elif self._data_dir is not None:
            self._state = self._data_dir / "state"
        else:
            self._state = Path(tempfile.mkdtemp(prefix="kaito-local-"))
            self._stack.callback(shutil.rmtree, self._state, ignore_errors=True)
        for directory in (self._state, self._data_dir):
            if directory is not None:
                directory.mkdir(parents=True, exist_ok=True)
        self._registry_dir = (self._data_dir or self._state) / "registry"
        secret = [self._state, self._registry_dir]
        if self._data_dir is not None:
            secret += [self._data_dir / "apiserver", self._data_dir / "azure"]
        for directory in secret:
            # Secrets lie in there, whatever the mode of the files and of a directory of the user's.
            directory.mkdir(exist_ok=True)
            directory.chmod(0o700)
        if self._data_dir is not None:
            self._stack.enter_context(_sole_user(self._data_dir))

    def _start_azure(self, token: str) -> None:
        sizes = VmSizes(load_catalog())
        self._joiner = NodeJoiner(self.client(), self._account, sizes, self._clock)
        self._azure = AzureEndpoint(
            account=self._account,
            sizes=sizes,
            tokens=[token],
            profile=self._profile,
            clock=self._clock,
            on_change=self._joiner.pool_changed,
            directory=self._data_dir / "azure" if self._data_dir is not None else None,
        )
        self._server.mount(MOUNT, self._azure.handle)
        rehearsal = Rehearsal(self._azure.faults, tokens=[self._token])
        self._server.mount(REHEARSAL, rehearsal.handle)
        self._azure.start()
        self._stack.callback(self._azure.stop)

    def _start_registry(self) -> None:
        self._registry_password = keep_token(self._state / "tokens" / "registry")
        storage = Storage(self._registry_dir, self._clock)
        self._stack.callback(storage.close)
        account = RegistryAccount(name=USERNAME, password=self._registry_password)
        access = Access([account], service="kaito-local")
        endpoint = RegistryEndpoint(storage, access, self._clock)
        self._server.mount(REGISTRY, endpoint.handle, streamed=True)

    async def _furnish(self) -> None:
        """What an administrator and an installer would have put into the cluster."""
        client = self.client()
        with contextlib.suppress(AlreadyExists):
            await client.create(
                NAMESPACES,
                {
                    "apiVersion": "v1",
                    "kind": "Namespace",
                    "metadata": {"name": CONFIG_MAP.namespace},
                },
            )
        settings = config_map(
            self._account,
            url=self.url,
            ca_pem=self._pki.ca_pem(),
            token_file=self._state / "tokens" / "azure",
        )
        await client.apply(CONFIG_MAPS, settings)
        await client.apply(SECRETS, self.registry.docker_secret(REGISTRY_SECRET))
        with contextlib.suppress(AlreadyExists):
            await client.create(STORAGE_CLASSES, CLASS)
        for number in range(self._nodes):
            with contextlib.suppress(AlreadyExists):
                await client.create(NODES, new_node(cpu_machine(number), self._clock.now()))

    async def _start_machinery(self) -> None:
        client = self.client()
        # A server in the same loop does much at a time, and nobody who runs it could mend that.
        manager = Manager(
            client, name="kaito-local", clock=self._clock, grace=GRACE_SECONDS, blocked_after=0
        )
        self._machinery: Machinery = assemble(
            manager,
            self._transport(),
            images=self._images,
            profile=self._profile,
            clock=self._clock,
            directory=self._state,
            api=Api(self.port, self._pki.ca_pem()),
        )
        manager.add_task(
            "node-joiner", lambda: self._joiner.run(self._azure.pool, self._azure.pools)
        )
        self._server.set_proxy(self._machinery.resolver)
        kubelet = self._machinery.kubelet
        logs = PodLogs(kubelet.log_source, kubelet.has_ended, self._clock)
        streams = self._server.subresources.streams
        streams.reader = logs.serve
        streams.connector = PodConnections(kubelet.running, kubelet.local_port, logs).connect
        self._running = asyncio.create_task(manager.run(), name="kaito-local")
        self._stack.push_async_callback(self._stop_machinery, manager)
        leading = asyncio.create_task(manager.leading.wait())
        await asyncio.wait({leading, self._running}, return_when=asyncio.FIRST_COMPLETED)
        leading.cancel()
        if self._running.done():
            await self._running

    async def _stop_machinery(self, manager: Manager) -> None:
        assert self._running is not None
        manager.stop()
        await asyncio.wait({self._running})
        if not self._running.cancelled():
            # Whatever it died of is the caller's to know.
            self._running.result()

    def _transport(self) -> Transport:
        return InProcess(self._server, token=self._token)


@contextlib.contextmanager
def _sole_user(directory: Path) -> Iterator[None]:
    """Two clusters on one directory would mix their data; a lock of a dead process is no lock."""
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DirectoryInUse(
                f"The data directory {directory} is in use by another local cluster; "
                "stop that one or take another directory."
            ) from None
        yield


class DirectoryInUse(Exception):
    """Another process runs a cluster on this directory."""


def cpu_machine(number: int) -> Machine:
    """What a Node without GPUs is made of, which nobody has asked for."""
    return Machine(
        name=f"local-{number}",
        cores=4,
        memory=16,
        labels={
            "node.kubernetes.io/instance-type": _SIZE,
            "beta.kubernetes.io/instance-type": _SIZE,
            "kubernetes.azure.com/mode": "system",
        },
    )
