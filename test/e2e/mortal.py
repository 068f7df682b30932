"""A daemon that dies exactly when it has done something.

The local cluster runs in the process of the test, which therefore sees each request of the daemon,
serves it, and kills the daemon's process (SIGKILL) before it hears the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kaito.local.apiserver.core import Clock
from kaito.local.apiserver.faults import Fault
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer
from kaito.local.apiserver.watches import Cut
from test.e2e.stage import Process

AZURE = "/subscriptions/"
CHANGES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Mortal:
    """The process. It works without a lease, so that its successor need not wait for one.

    `token` is what it shows to the API server. Who asks `clouds` is taken for it as well.
    """

    def __init__(
        self, server: ApiServer, process: Process, token: str, *, clouds: str = ""
    ) -> None:
        self._server = server
        self._process = process
        self._bearer = f"Bearer {token}"
        self._clouds = clouds
        self.kills = 0
        self._stopped = False
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        await self._process.start()

    async def stop(self) -> None:
        """For good: whoever is about to kill it need not."""
        self._server.faults.clear()
        async with self._lock:
            self._stopped = True
            await self._process.stop()

    async def kill_and_start(self) -> None:
        """SIGKILL, and a new process that knows nothing."""
        async with self._lock:
            if self._stopped:
                return
            self.kills += 1
            await self._process.kill()
            await self._process.start()

    @property
    def said(self) -> str:
        return self._process.said

    def asks(self, request: Request) -> bool:
        """Whether a request is the daemon's: nobody else here has its token, nor asks its cloud."""
        if self._clouds and request.path.startswith(self._clouds):
            return True
        return request.headers.get("authorization") == self._bearer

    def changes(self, request: Request) -> bool:
        """Whether it changes anything here or in the cloud, or tries to. Events and the ledger,
        which are for people alone, are left out, and rehearsals."""
        told = request.path.endswith("/events") or "/configmaps" in request.path
        left_out = told or "dryRun=" in request.query
        return request.method in CHANGES and self.asks(request) and not left_out

    def doom(
        self,
        spared: int,
        fatal: Callable[[Request], bool],
        then: Callable[[], None],
        *,
        hears_refusals: bool = False,
    ) -> None:
        """Let it make so many fatal requests, and kill it once the next one has taken effect,
        before it hears the answer, unless it hears refusals and that was one. `then` is called
        when the new one runs, or the old one has heard."""
        answer = _Kills(self, self._server, then, hears_refusals=hears_refusals)
        self._server.faults.add(Fault(answer, match=fatal, spared=spared))

    def watch(self, seen: Callable[[], None]) -> None:
        """Call `seen` for each of its changes, before it is made."""
        self._server.faults.add(Fault(_Passes(seen), match=self.changes, times=None))


class _Kills:
    """Serves a request and has the daemon die of it."""

    def __init__(
        self,
        daemon: Mortal,
        server: ApiServer,
        then: Callable[[], None],
        *,
        hears_refusals: bool,
    ) -> None:
        self._daemon = daemon
        self._server = server
        self._then = then
        self._hears_refusals = hears_refusals

    async def act(self, request: Request, clock: Clock) -> Response | None:
        response = await self._server.handle(request)
        if self._hears_refusals and response.status >= 400:
            self._then()
            return response
        await self._daemon.kill_and_start()
        self._then()
        raise Cut("the client is dead")


class _Passes:
    """Lets a request pass, and tells of it."""

    def __init__(self, seen: Callable[[], None]) -> None:
        self._seen = seen

    async def act(self, request: Request, clock: Clock) -> Response | None:
        self._seen()
        return None
