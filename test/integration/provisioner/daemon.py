"""`kaito provisioner` as a process of its own, and a local cluster in this process that can kill it
exactly when it has done something."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from kaito.local.apiserver.core import Clock
from kaito.local.apiserver.faults import Fault
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer
from kaito.local.apiserver.watches import Cut
from test.accounts import SYSTEM
from test.e2e.stage import IN_A_POD, PORTS, Process
from test.integration.provisioner.cluster import POLL, Stage

AZURE = "/subscriptions/"
CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Daemon:
    """The process. It runs as in a pod, as its service account, without a lease to wait for."""

    def __init__(self, stage: Stage, scratch: Path) -> None:
        self._stage = stage
        self.kills = 0
        self._lock = asyncio.Lock()
        mounted = scratch / "account"
        mounted.mkdir()
        (mounted / "token").write_text(stage.token)
        (mounted / "ca.crt").write_text(stage.cluster.ca_pem)
        (mounted / "namespace").write_text(SYSTEM)
        self._process = Process(
            scratch / "provisioner.log",
            *(str(mounted), "provisioner", "--no-leader-election", *PORTS["provisioner"]),
            command=("-c", IN_A_POD),
            environment={
                **{key: os.environ[key] for key in os.environ if key != "KUBECONFIG"},
                "HOME": str(scratch),
                "KUBERNETES_SERVICE_HOST": "127.0.0.1",
                "KUBERNETES_SERVICE_PORT": str(stage.cluster.port),
                "AZURE_POLL_SECONDS": str(POLL),
            },
        )

    async def start(self) -> None:
        await self._process.start()

    async def stop(self) -> None:
        self._stage.cluster.server.faults.clear()
        async with self._lock:
            await self._process.stop()

    async def kill_and_start(self) -> None:
        """SIGKILL, and a new process that knows nothing."""
        async with self._lock:
            self.kills += 1
            await self._process.kill()
            await self._process.start()

    @property
    def said(self) -> str:
        return self._process.said

    def asks(self, request: Request) -> bool:
        """Whether a request is the daemon's: nobody else here has its token, nor asks Azure."""
        own = request.headers.get("authorization") == f"Bearer {self._stage.token}"
        return own or request.path.startswith(AZURE)

    def changes(self, request: Request) -> bool:
        """Whether it changes a claim, a Node, a Pod or the cloud, or tries to. Events and the
        ledger, which are for people alone, are left out."""
        told = request.path.endswith("/events") or "/configmaps" in request.path
        return request.method in CHANGES and self.asks(request) and not told

    def doom(self, spared: int, fatal: Callable[[Request], bool], then: Callable[[], None]) -> None:
        """Let it make so many fatal requests, and kill it once the next one has taken effect,
        before it hears the answer. `then` is called when the new one runs."""
        server = self._stage.cluster.server
        server.faults.add(Fault(_Kills(self, server, then), match=fatal, spared=spared))


class _Kills:
    """Serves a request and has the daemon die of it."""

    def __init__(self, daemon: Daemon, server: ApiServer, then: Callable[[], None]) -> None:
        self._daemon = daemon
        self._server = server
        self._then = then

    async def act(self, request: Request, clock: Clock) -> Response | None:
        await self._server.handle(request)
        await self._daemon.kill_and_start()
        self._then()
        raise Cut("the client is dead")


@asynccontextmanager
async def running(stage: Stage, scratch: Path) -> AsyncIterator[Daemon]:
    """The daemon, started; it is stopped in the end."""
    daemon = Daemon(stage, scratch)
    await daemon.start()
    try:
        yield daemon
    finally:
        await daemon.stop()
