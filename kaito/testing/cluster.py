"""A Kubernetes API server for tests: in this process, in memory, ready in a few milliseconds.

It is the API server of `kaito local`: schemas, validation, server-side apply, admission, garbage
collection and the end of namespaces are real. Without `nodes` nothing runs Pods or Deployments;
a test plays those controllers by writing status itself.
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import yaml

from kaito.local import kubeconfig
from kaito.local.pki import ensure_pki
from kaito.runtime import (
    AlreadyExists,
    Client,
    Clock,
    ClusterConfig,
    Metrics,
    Object,
    Resource,
    SystemClock,
    Tls,
    is_true,
)
from kaito.runtime.credentials import Refreshed
from kaito.testing.faults import Faults
from kaito.testing.waiting import Pulse, eventually

# The server is imported where it is used: whoever needs a clock alone has no `kaito[local]`.
if TYPE_CHECKING:
    from kaito.local.apiserver import ApiServer

CRDS: Resource[Object] = Resource(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
NAMESPACES: Resource[Object] = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
TOKEN = "the-tester"  # noqa: S105 - opens a server that ends with the test


class Cluster:
    """The server; `async with` runs it. It is a source of changes for `eventually`.

    With `nodes` it is a whole local cluster, in which nothing takes longer than it must: so many
    Nodes, a scheduler, the controllers of Deployments, Jobs and the like. `images` run as programs
    of this machine there, each given as PATTERN=COMMAND, such as "python:*=python3"; all others are
    simulated. `rbac` enforces roles for users other than the tester. With a `seed` the same
    requests make the same names and uids. `clock`, `rbac` and `seed` are for a cluster without
    nodes. ImportError where nodes or an address are asked for and `kaito[local]` is not installed.
    """

    def __init__(
        self,
        *,
        nodes: int = 0,
        images: Iterable[str] = (),
        rbac: bool = False,
        clock: Clock | None = None,
        seed: int | None = None,
    ) -> None:
        if images and not nodes:
            raise ValueError("Images run on nodes; ask for `nodes=1` as well.")
        if nodes and rbac:
            raise ValueError("A cluster with nodes enforces no roles; leave `rbac` out.")
        if nodes and seed is not None:
            raise ValueError("A cluster with nodes is no two times the same; leave `seed` out.")
        if nodes and clock is not None:
            # Its pods may be processes and its files are written by threads: both take real time.
            raise ValueError("A cluster with nodes lives by the machine's clock; leave out either.")
        self._nodes = nodes
        self._images = tuple(images)
        self._rbac = rbac
        self._clock = clock or SystemClock()
        self._seed = seed
        self._stack = contextlib.AsyncExitStack()
        self._pulse = Pulse()
        self._url = ""
        self._token = TOKEN

    async def __aenter__(self) -> Self:
        try:
            with _extras():
                await (self._start_whole() if self._nodes else self._start_server())
        except BaseException:
            await self._stack.aclose()
            raise
        self._listen()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    @property
    def server(self) -> ApiServer:
        """The API server itself."""
        return self._server

    @property
    def token(self) -> str:
        """The tester's bearer token, for a transport of one's own."""
        return self._token

    @property
    def faults(self) -> Faults:
        """Have it fail."""
        return Faults(self._server)

    @property
    def url(self) -> str:
        """https://127.0.0.1:PORT, "" while it is not served."""
        return self._url

    def client(self, *, field_manager: str = "test", metrics: Metrics | None = None) -> Client:
        """A client with every right that needs no socket."""
        from kaito.local.transport import InProcess

        transport = InProcess(self._server, token=self._token)
        return Client(transport, field_manager=field_manager, metrics=metrics, clock=self._clock)

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Call `wake` after every write to any object; see Changes."""
        return self._pulse.subscribe(wake)

    async def install(self, *definitions: Path | Object) -> None:
        """Create CustomResourceDefinitions, from YAML files or as objects, and wait until they
        are served. One that is there already is left as it is."""
        client = self.client()
        wanted = [each for definition in definitions for each in _documents(definition)]
        for crd in wanted:
            with contextlib.suppress(AlreadyExists):
                await client.create(CRDS, crd)
        names = {crd["metadata"]["name"] for crd in wanted}

        async def established() -> bool:
            served = {
                crd["metadata"]["name"]
                for crd in (await client.list(CRDS)).items
                if is_true(crd.get("status", {}).get("conditions", ()), "Established")
            }
            return names <= served

        await eventually(established, self)

    async def restart(self, *, keep: bool = True) -> None:
        """Stop the server and start it again. Watches break; without `keep` the data is lost."""
        await self._server.restart(keep=keep)
        self._listen()
        self._pulse.beat()

    # Over HTTPS, for what takes a kubeconfig

    async def serve(self) -> None:
        """Listen on a free port of 127.0.0.1, from now to the end of the cluster."""
        if self._url:
            return
        from kaito.local.apiserver import HttpsFront

        directory = Path(tempfile.mkdtemp(prefix="kaito-testing-"))
        self._stack.callback(shutil.rmtree, directory, ignore_errors=True)
        with _extras():
            pki = ensure_pki(directory, self._clock.now())
        front = HttpsFront(self._server, pki.server_context())
        await front.start()
        self._stack.push_async_callback(front.aclose)
        self._url = front.url
        self._kubeconfig = kubeconfig.render(
            server=self._url, ca_pem=pki.ca_pem(), token=self._token
        )

    def kubeconfig(self) -> str:
        """A kubeconfig of the tester, as YAML. RuntimeError before `serve`."""
        self._served()
        return self._kubeconfig

    def config(self) -> ClusterConfig:
        """What `load()` finds for the daemon under test. RuntimeError before `serve`."""
        self._served()
        cluster = yaml.safe_load(self._kubeconfig)["clusters"][0]["cluster"]
        ca_pem = base64.b64decode(cluster["certificate-authority-data"]).decode()
        token = self._token

        async def load_token() -> tuple[str | None, float | None]:
            return f"Bearer {token}", None

        return ClusterConfig(
            server=self._url,
            credentials=Refreshed(load_token, self._clock),
            tls=Tls(SystemClock(), authority=ca_pem),
        )

    def _served(self) -> None:
        if not self._url:
            raise RuntimeError("The cluster has no address yet: `await cluster.serve()` first.")

    def _listen(self) -> None:
        moved = self._server.core.store.moved
        if self._pulse.beat not in moved:
            moved.append(self._pulse.beat)

    async def _start_server(self) -> None:
        from kaito.local.apiserver import ApiServer

        self._server = ApiServer(
            tokens={TOKEN: "tester"}, clock=self._clock, rbac=self._rbac, seed=self._seed
        )
        await self._server.start()
        self._stack.push_async_callback(self._server.aclose)

    async def _start_whole(self) -> None:
        from kaito.local.cluster import LocalCluster
        from kaito.local.pods.images import parse_program
        from kaito.local.profile import Profile

        local = await self._stack.enter_async_context(
            LocalCluster(
                nodes=self._nodes,
                profile=Profile.instant(processes=True),
                programs=map(parse_program, self._images),
            )
        )
        self._server = local.server
        self._url = local.url
        self._kubeconfig = local.kubeconfig()
        self._token = yaml.safe_load(self._kubeconfig)["users"][0]["user"]["token"]


@contextlib.contextmanager
def _extras() -> Iterator[None]:
    """Say how to install what an import did not find."""
    try:
        yield
    except ImportError as error:
        raise ImportError(f"A Cluster needs `pip install 'kaito[local]'`: {error}.") from error


def _documents(definition: Path | Object) -> list[Object]:
    if isinstance(definition, Path):
        return [each for each in yaml.safe_load_all(definition.read_text()) if each]
    return [definition]
