"""The API server: takes requests, finds out who asks for what, and has it answered.

It is free of any transport: `handle` takes a Request and gives a Response. An HTTPS front and an
in-process client both call it.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from kaito.local.apiserver import bootstrap, negotiation, times
from kaito.local.apiserver.admission import Admission
from kaito.local.apiserver.audit import Audit
from kaito.local.apiserver.authentication import Authenticator
from kaito.local.apiserver.authorizing import require
from kaito.local.apiserver.behaviours import BEHAVIOURS
from kaito.local.apiserver.builtin_admission import plugins
from kaito.local.apiserver.columns import COLUMNS
from kaito.local.apiserver.core import Clock, Core, User, WallClock
from kaito.local.apiserver.custom.definitions import Definitions
from kaito.local.apiserver.discovery import Discovery
from kaito.local.apiserver.dispatch import Dispatcher
from kaito.local.apiserver.faults import Faults
from kaito.local.apiserver.garbage import Collector
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.journal import SqliteJournal
from kaito.local.apiserver.jsontext import TOO_DEEP, encode
from kaito.local.apiserver.kinds import Kinds
from kaito.local.apiserver.namespaces import Namespaces
from kaito.local.apiserver.openapi import OpenApi
from kaito.local.apiserver.pages import Pages, is_open
from kaito.local.apiserver.pretty import finish
from kaito.local.apiserver.proxy import Proxy, Resolver
from kaito.local.apiserver.rbac import Authorizer
from kaito.local.apiserver.rendering import render
from kaito.local.apiserver.reviews import Reviews
from kaito.local.apiserver.schema import TypeTable
from kaito.local.apiserver.status import PlainError, StatusError, bad_request
from kaito.local.apiserver.storage import Store
from kaito.local.apiserver.subresources import Subresources
from kaito.local.apiserver.watches import Cut

Handler = Callable[[Request], Awaitable[Response]]
KEY_FILE = "tokens.key"
# The oldest Events go, as they do from a real server after an hour.
KEPT = {"/events": 20_000}


class ApiServer:
    """A Kubernetes API server in this process.

    `tokens` maps bearer tokens to user names; with none, everybody is an administrator.
    `data_dir` keeps the data across processes; without it everything is in memory.
    `controllers` runs the garbage collector and the end of namespaces; without it objects are
    only marked, as by an API server that stands alone. `rbac` enforces roles. With a `seed` the
    same requests make the same names and uids.
    """

    def __init__(
        self,
        *,
        tokens: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        data_dir: Path | None = None,
        controllers: bool = True,
        rbac: bool = False,
        seed: int | None = None,
    ) -> None:
        self._tokens = dict(tokens or {})
        self.clock: Clock = clock or WallClock()
        self._data_dir = data_dir
        self._controllers = controllers
        self._rbac = rbac
        self._mounts: dict[str, Handler] = {}
        self._streamed: tuple[str, ...] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._journal: SqliteJournal | None = None
        self._secret = os.urandom(32) if data_dir is None else _kept_secret(data_dir)
        self._random = random.Random(seed)  # noqa: S311 names of objects, nothing secret
        self.types = TypeTable()
        self.kinds = Kinds(self.types, BEHAVIOURS, COLUMNS)
        self.core = Core(Store(most=KEPT), self.kinds, self.clock, self._random)
        if seed is not None:
            self.core.new_uid = _drawn(random.Random(seed))  # noqa: S311 the same
        self.faults = Faults(self.clock, self.cut_watches)
        self._resolver: Resolver | None = None
        self._build()

    def _build(self) -> None:
        core = self.core
        self.admission = Admission()
        self.handlers = Handlers(core, self.admission)
        self.authorizer = Authorizer(core, enforced=self._rbac)
        self.audit = Audit(self.authorizer)
        self.definitions = Definitions(core, self.handlers)
        self.discovery = Discovery(self.kinds)
        self.openapi = OpenApi(self.kinds, self.types)
        self.proxy = Proxy(core, self._resolver)
        self.subresources = Subresources(core, self.handlers, self.proxy, self._secret)
        self.authenticator = Authenticator(
            self._tokens, self.subresources.token_user, self.authorizer
        )
        self.reviews = Reviews(core, self.handlers, self.authorizer, self.authenticator.user_of)
        self._pages = Pages(self.kinds, self.openapi)
        self._dispatcher = Dispatcher(
            self.kinds,
            self.authorizer,
            self.audit,
            self.discovery,
            self.handlers,
            self.subresources,
            self.reviews,
        )
        self.admission.plugins[:] = plugins(
            core,
            self.definitions,
            lambda: self.proxy.resolver,
            self.authorizer,
            self.audit,
            self.faults.webhook_is_down,
        )
        self.collector = Collector(core, self.handlers)
        self.namespaces = Namespaces(core, self.handlers)

    async def start(self) -> None:
        """Load what was kept, create what every cluster has, start the inner tasks."""
        if self._data_dir is not None:
            self._journal = SqliteJournal(self._data_dir)
            revision = max(self._journal.revision(), 1)
            self.core.store = Store(self._journal, revision=revision, most=KEPT)
            self._journal.restore(self.core.store)
        await self.definitions.restore()
        await self._bootstrap()
        self.core.store.compact()
        self._tasks.append(asyncio.create_task(self.definitions.run(), name="definitions"))
        if self._controllers:
            for runner in (self.collector, self.namespaces):
                self._tasks.append(asyncio.create_task(runner.run(), name=type(runner).__name__))

    async def _bootstrap(self) -> None:
        user = User("system:apiserver", ("system:masters",))
        for group, plural, namespace, obj in bootstrap.objects():
            kind = self.kinds.get(group, "v1", plural)
            assert kind is not None
            if self.core.record(kind, namespace, obj["metadata"]["name"]) is not None:
                continue
            above = f"/apis/{group}/v1" if group else "/api/v1"
            path = f"{above}/namespaces/{namespace}/{plural}" if namespace else f"{above}/{plural}"
            headers = {"user-agent": "kube-apiserver"}
            request = Request("POST", path, "", headers, encode(obj))
            await self._dispatcher.resource(request, user)

    async def aclose(self) -> None:
        """End watches and tasks and close the data file."""
        for watch in tuple(self.handlers.watches):
            watch.end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    async def restart(self, *, keep: bool = True) -> None:
        """Stop and start again: watches break; without `keep` the data is lost as well.

        Kept data comes back from memory or, with a data_dir, from the disk.
        """
        self.cut_watches()
        old = self.core.store
        await self.aclose()
        store = Store(revision=old.revision if keep else 1, most=KEPT)
        if keep and self._data_dir is None:
            for name, bucket in old.buckets.items():
                for record in bucket.objects.values():
                    store.load(name, record)
        for kind in self.kinds:
            if kind.custom:
                self.kinds.remove(kind)
        if not keep and self._data_dir is not None:
            for file in self._data_dir.glob("apiserver.sqlite3*"):
                file.unlink()
        self.core.store = store
        self._build()
        await self.start()

    def cut_watches(self) -> int:
        """Break every open watch; gives how many there were."""
        watches = tuple(self.handlers.watches)
        for watch in watches:
            watch.cut()
        return len(watches)

    def compact(self) -> int:
        """Forget all history now; gives the revision below which nothing is known."""
        return self.core.store.compact()

    def mount(self, prefix: str, handler: Handler, *, streamed: bool = False) -> None:
        """Hand every path under a prefix to a handler, which authenticates by itself.

        With `streamed` it reads bodies as they come (Request.chunks), however large.
        """
        self._mounts[prefix] = handler
        if streamed:
            self._streamed += (prefix,)

    def is_streamed(self, path: str) -> bool:
        """Whether the body of a request is left to whoever answers it."""
        return path.startswith(self._streamed)

    def set_proxy(self, resolver: Resolver) -> None:
        """Say where services and pods listen, for the proxy and log subresources."""
        self._resolver = self.proxy.resolver = resolver

    async def handle(self, request: Request) -> Response:
        """The answer to one request, failures included. Raises Cut for broken connections."""
        response, lost = None, False
        try:
            response, lost = await self.faults.before(request)
            if response is None:
                response = await self._route(request)
        except StatusError as error:
            response = self._failure(request, error)
        except RecursionError:  # a real server bears 10,000 levels, a stack of Python some hundreds
            response = self._failure(request, bad_request(TOO_DEEP))
        except PlainError as error:
            response = Response.text(error.text, error.code)
        response.headers.setdefault("cache-control", "no-cache, private")
        if isinstance(response.body, bytes):
            finish(request, response)
        if lost:
            raise Cut("answer lost by a fault")
        return response

    @staticmethod
    def _failure(request: Request, error: StatusError) -> Response:
        try:
            media = negotiation.wanted(request, listing=False, plain=True).media
        except StatusError:
            media = "application/json"
        body = error.body()
        if error.continuation:
            body["metadata"] = {"continue": error.continuation}
        response = render(body, media, error.code)
        response.warnings = error.warnings
        if error.retry_after is not None:
            response.headers["retry-after"] = str(error.retry_after)
        return response

    @staticmethod
    def _check_timeout(request: Request) -> None:
        """Every request but a watch may say how long it may take. Raises StatusError (400)."""
        query = request.parameters()
        text = query.get("timeout")
        if not text or query.flag("watch"):
            return
        try:
            times.check_duration(text)
        except times.TimeError as error:
            says = f"invalid timeout specified in the request URL - {error}"
            raise bad_request(says) from error

    async def _route(self, request: Request) -> Response:
        path = request.path
        if "timeout=" in request.query:
            self._check_timeout(request)
        for prefix, handler in self._mounts.items():
            if path.startswith(prefix):
                return await handler(request)
        user = self.authenticator.authenticate(request)
        if path.startswith(("/api/", "/apis/")) or path in {"/api", "/apis"}:
            return await self._dispatcher.serve(request, user)
        if not is_open(path):
            require(self.authorizer, self.audit, user, request, None, request.method.lower())
        return self._pages.answer(request)


def _drawn(dice: random.Random) -> Callable[[], str]:
    return lambda: str(uuid.UUID(int=dice.getrandbits(128), version=4))


def _kept_secret(data_dir: Path) -> bytes:
    """What tokens are signed with, kept so that they outlive a restart as the data does."""
    data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / KEY_FILE
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_bytes(os.urandom(32))
        draft.replace(path)
    return path.read_bytes()
