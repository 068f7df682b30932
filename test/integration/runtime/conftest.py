"""A server on a port of its own that can be stopped, started, cut and told to fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kaito.local.apiserver import ApiServer, HttpsFront, Request
from kaito.local.kubeconfig import render
from kaito.local.pki import Pki, ensure_pki
from kaito.runtime import (
    Change,
    Client,
    ClusterConfig,
    Controller,
    Informer,
    Key,
    Manager,
    Object,
    Reconcile,
    Resource,
    SystemClock,
    from_kubeconfig,
    watch,
)

CONFIGMAPS: Resource[Object] = Resource("", "v1", "configmaps", "ConfigMap")
TOKEN = "letmein"
PATIENCE = 20.0  # seconds; more than anything here takes on a busy machine


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"), SystemClock().now())


class Server:
    """One API server behind one HTTPS port, which stays the same across restarts."""

    def __init__(self, pki: Pki, directory: Path) -> None:
        self.pki = pki
        self.directory = directory
        self.port = 0
        self.api = self._new()

    def _new(self) -> ApiServer:
        data = self.directory / "data"
        data.mkdir(exist_ok=True)
        return ApiServer(tokens={TOKEN: "admin"}, data_dir=data)

    async def start(self) -> None:
        await self.api.start()
        await self.open()

    async def open(self) -> None:
        """Listen."""
        self.front = HttpsFront(self.api, self.pki.server_context(), port=self.port)
        await self.front.start()
        self.port = self.front.port

    async def close(self) -> None:
        """Break every connection and refuse new ones; the data stays reachable from inside."""
        self.api.cut_watches()
        await self.front.aclose()

    async def stop(self) -> None:
        await self.close()
        await self.api.aclose()

    async def replace(self) -> None:
        """Another server on the same data and port, as after a crash."""
        await self.stop()
        self.api = self._new()
        await self.start()

    async def do(self, method: str, name: str = "", body: Object | None = None) -> Object:
        """Ask from inside about a ConfigMap, past the network."""
        path = f"/api/v1/namespaces/default/configmaps{'/' if name else ''}{name}"
        sent = msgspec.json.encode(body) if body is not None else b""
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        response = await self.api.handle(Request(method, path, "", headers, sent))
        assert isinstance(response.body, bytes)
        assert response.status < 300, response.body
        answer: Object = msgspec.json.decode(response.body)
        return answer

    async def put(self, name: str, **data: str) -> None:
        """Create a ConfigMap from inside."""
        await self.do("POST", body={"metadata": {"name": name}, "data": data})

    async def config(self) -> ClusterConfig:
        text = render(
            server=f"https://127.0.0.1:{self.port}", ca_pem=self.pki.ca_pem(), token=TOKEN
        )
        path = self.directory / "kubeconfig"
        path.write_text(text)
        return await from_kubeconfig(str(path))


@pytest.fixture
async def server(pki: Pki, tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(pki, tmp_path)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def config(server: Server) -> ClusterConfig:
    return await server.config()


@pytest.fixture
async def client(config: ClusterConfig) -> AsyncIterator[Client]:
    async with Client(config.transport(), field_manager="tester") as client:
        yield client


class Follower:
    """An informer of the ConfigMaps that begin with "t-", and a way to wait for what it holds."""

    def __init__(self, informer: Informer[Object]) -> None:
        self.informer = informer
        self.changes: list[str] = []
        self._moved = asyncio.Event()
        informer.on_change(self._note)

    def _note(self, change: Change) -> None:
        if change.key.namespace == "default":
            self.changes.append(f"{change.kind} {change.key.name}")
        self._moved.set()

    def nudge(self) -> None:
        """Have a waiting test look again."""
        self._moved.set()

    @property
    def names(self) -> set[str]:
        return {key.name for key in self.informer.store if key.name.startswith("t-")}

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not reached():
                self._moved.clear()
                await self._moved.wait()

    async def until_equal(self, names: set[str]) -> None:
        await self.until(lambda: self.names == names)


@asynccontextmanager
async def following(client: Client) -> AsyncIterator[Follower]:
    """Follow the ConfigMaps of the default namespace."""
    informer = Informer(client, CONFIGMAPS)
    follower = Follower(informer)
    task = asyncio.create_task(informer.run())
    async with asyncio.timeout(PATIENCE):
        await informer.wait_synced()
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def managing(
    client: Client, reconcile: Reconcile, name: str = "m", **settings: Any
) -> AsyncIterator[tuple[Manager, Follower, asyncio.Task[None]]]:
    """Run a manager whose controller reconciles ConfigMaps."""
    manager = Manager(client, name=name, **settings)
    informer = manager.informer(CONFIGMAPS, namespaces=("default",))
    follower = Follower(informer)

    async def mine(key: Key) -> Any:
        try:
            return await reconcile(key) if key.name.startswith("t-") else None
        finally:
            follower.nudge()

    manager.add(Controller(name, mine, primary=watch(informer)))
    task = asyncio.create_task(manager.run())
    task.add_done_callback(lambda _: follower.nudge())
    try:
        yield manager, follower, task
    finally:
        manager.stop()
        await asyncio.wait([task], timeout=PATIENCE)
        task.cancel()
        await asyncio.wait([task])
