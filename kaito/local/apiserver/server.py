"""The API server: takes requests, finds out who asks for what, and has it answered.

It is free of any transport: `handle` takes a Request and gives a Response. An HTTPS front and an
in-process client both call it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from kaito.local.apiserver import negotiation, openapi_v2, rbac_defaults
from kaito.local.apiserver.admission import Admission
from kaito.local.apiserver.behaviours import BEHAVIOURS
from kaito.local.apiserver.builtin_admission import plugins
from kaito.local.apiserver.columns import COLUMNS
from kaito.local.apiserver.core import Call, Clock, Core, User, WallClock
from kaito.local.apiserver.custom.definitions import Definitions
from kaito.local.apiserver.discovery import Discovery
from kaito.local.apiserver.faults import Faults
from kaito.local.apiserver.garbage import Collector
from kaito.local.apiserver.handlers import Handlers, render
from kaito.local.apiserver.http import JSON, Request, Response
from kaito.local.apiserver.journal import SqliteJournal
from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.namespaces import Namespaces
from kaito.local.apiserver.openapi import OpenApi
from kaito.local.apiserver.paths import Target, target
from kaito.local.apiserver.pretty import finish, indented
from kaito.local.apiserver.proxy import Proxy, Resolver
from kaito.local.apiserver.rbac import Attributes, Authorizer, account_groups
from kaito.local.apiserver.reviews import Reviews
from kaito.local.apiserver.schema import TypeTable
from kaito.local.apiserver.status import (
    PlainError,
    StatusError,
    forbidden,
    method_not_allowed,
    no_page,
    no_resource,
    unsupported_verb,
)
from kaito.local.apiserver.storage import Store
from kaito.local.apiserver.subresources import Subresources

Handler = Callable[[Request], Awaitable[Response]]
VERSION = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.0",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "python",
    "platform": "local/any",
}
OPEN_PATHS = {"/healthz", "/readyz", "/livez", "/version"}
HEALTH = {
    "healthz": ("ping", "log", "etcd"),
    "livez": ("ping", "log", "etcd"),
    "readyz": ("ping", "log", "etcd", "informer-sync"),
}
NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}


class ApiServer:
    """A Kubernetes API server in this process.

    `tokens` maps bearer tokens to user names; with none, everybody is an administrator.
    `data_dir` keeps the data across processes; without it everything is in memory.
    `controllers` runs the garbage collector and the end of namespaces; without it objects are
    only marked, as by an API server that stands alone. `rbac` enforces roles.
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
        self._tasks: list[asyncio.Task[None]] = []
        self._journal: SqliteJournal | None = None
        self._secret = os.urandom(32)
        self._random = random.Random(seed)  # noqa: S311 names of objects, nothing secret
        self.types = TypeTable()
        self.kinds = Kinds(self.types, BEHAVIOURS, COLUMNS)
        self.core = Core(Store(), self.kinds, self.clock, self._random)
        self._resolver: Resolver | None = None
        self._build()

    def _build(self) -> None:
        core = self.core
        self.admission = Admission()
        self.handlers = Handlers(core, self.admission)
        self.authorizer = Authorizer(core, enforced=self._rbac)
        self.definitions = Definitions(core, self.handlers)
        self.discovery = Discovery(self.kinds)
        self.openapi = OpenApi(self.kinds, self.types)
        self.reviews = Reviews(core, self.handlers, self.authorizer, self._user_of)
        self.proxy = Proxy(core, self._resolver)
        self.subresources = Subresources(
            core, self.handlers, self.proxy, self._tokens, self._secret
        )
        self.admission.plugins[:] = plugins(core, self.definitions, lambda: self.proxy.resolver)
        self.collector = Collector(core, self.handlers)
        self.namespaces = Namespaces(core, self.handlers)
        if not hasattr(self, "faults"):
            self.faults = Faults(self.clock, self.cut_watches)

    async def start(self) -> None:
        """Load what was kept, create what every cluster has, start the inner tasks."""
        if self._data_dir is not None:
            self._journal = SqliteJournal(self._data_dir)
            revision = max(self._journal.revision(), 1)
            self.core.store = Store(self._journal, revision=revision)
            self._journal.restore(self.core.store)
        await self.definitions.restore()
        for name in NAMESPACES:
            if self.core.record(self._kind("", "v1", "namespaces"), "", name) is None:
                await self._bootstrap("/api/v1/namespaces", {"metadata": {"name": name}})
        for plural, obj in rbac_defaults.defaults():
            kind = self._kind(rbac_defaults.GROUP, "v1", plural)
            if self.core.record(kind, "", obj["metadata"]["name"]) is None:
                await self._bootstrap(f"/apis/{rbac_defaults.GROUP}/v1/{plural}", obj)
        await self._create_service()
        self.core.store.compact()
        self._tasks.append(asyncio.create_task(self.definitions.run(), name="definitions"))
        if self._controllers:
            for runner in (self.collector, self.namespaces):
                self._tasks.append(asyncio.create_task(runner.run(), name=type(runner).__name__))

    async def _create_service(self) -> None:
        services = self._kind("", "v1", "services")
        if self.core.record(services, "default", "kubernetes") is None:
            await self._bootstrap(
                "/api/v1/namespaces/default/services",
                {
                    "metadata": {
                        "name": "kubernetes",
                        "labels": {"component": "apiserver", "provider": "kubernetes"},
                    },
                    "spec": {
                        "type": "ClusterIP",
                        "clusterIP": "10.0.0.1",
                        "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
                    },
                },
            )

    def _kind(self, group: str, version: str, plural: str) -> Kind:
        found = self.kinds.get(group, version, plural)
        assert found is not None
        return found

    async def _bootstrap(self, path: str, body: dict[str, Any]) -> None:
        request = Request("POST", path, "", {"user-agent": "kube-apiserver"}, encode(body))
        await self._resource(request, User("system:apiserver", ("system:masters",)))

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
        store = Store(revision=old.revision if keep else 1)
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

    def mount(self, prefix: str, handler: Handler) -> None:
        """Hand every path under a prefix to a handler, which authenticates by itself."""
        self._mounts[prefix] = handler

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
        except PlainError as error:
            response = Response.text(error.text, error.code)
        if isinstance(response.body, bytes):
            finish(request, response)
        if lost:
            from kaito.local.apiserver.watches import Cut

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

    async def _route(self, request: Request) -> Response:
        path = request.path
        for prefix, handler in self._mounts.items():
            if path.startswith(prefix):
                return await handler(request)
        user = self.authenticate(request)
        parts = [p for p in path.split("/") if p]
        first = parts[0] if parts else ""
        if first not in {"api", "apis"}:
            return await self._other(request, user, parts)
        if len(parts) <= (2 if first == "api" else 3):
            self._check(user, request, None, "get")
            if first == "api" and len(parts) == 2 and parts[1] != "v1":
                raise no_resource()
            if request.method not in {"GET", "HEAD"}:
                raise method_not_allowed()
            return self.discovery.answer(request, parts)
        return await self._resource(request, user)

    def _user_of(self, token: str) -> User | None:
        name = self._tokens.get(token)
        if name is None:
            return self.subresources.token_user(token)
        return User(name, ("system:masters", "system:authenticated"))

    def authenticate(self, request: Request) -> User:
        """Who asks. Raises StatusError (401) on a wrong token."""
        user = self._authenticate(request)
        wanted = request.headers.get("impersonate-user", "")
        if wanted:
            groups = [g for g in request.headers.get("impersonate-group", "").split(",") if g]
            account = wanted.removeprefix("system:serviceaccount:")
            if account != wanted and ":" in account:
                self._may_impersonate(user, "serviceaccounts", *account.split(":", 1))
            else:
                self._may_impersonate(user, "users", "", wanted)
            for group in groups:
                self._may_impersonate(user, "groups", "", group)
            user = User(wanted, (*(groups or account_groups(wanted)), "system:authenticated"))
        return user

    def _may_impersonate(self, user: User, plural: str, namespace: str, name: str) -> None:
        attributes = Attributes(user, "impersonate", "", plural, "", namespace, name)
        if not self.authorizer.allows(attributes):
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            raise forbidden(
                "",
                plural,
                name,
                f'User "{user.name}" cannot impersonate resource "{plural}" '
                f'in API group "" {where}',
            )

    def _authenticate(self, request: Request) -> User:
        header = request.headers.get("authorization", "")
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            user = self._user_of(token.strip())
            if user is not None:
                return user
            if self._tokens:
                raise StatusError(401, "Unauthorized", "Unauthorized")
        if not self._tokens:
            return User("admin", ("system:masters", "system:authenticated"))
        return User("system:anonymous", ("system:unauthenticated",))

    def _check(self, user: User, request: Request, goal: Target | None, verb: str) -> None:
        attributes = Attributes(
            user,
            verb,
            goal.group if goal else "",
            goal.plural if goal else "",
            goal.subresource if goal else "",
            goal.namespace if goal else "",
            goal.name if goal else "",
            path="" if goal else request.path,
        )
        if self.authorizer.allows(attributes):
            return
        if goal is None:
            error = StatusError(
                403,
                "Forbidden",
                f'forbidden: User "{user.name}" cannot {verb} path "{request.path}"',
                {},
            )
            raise error
        what = f"{goal.plural}/{goal.subresource}" if goal.subresource else goal.plural
        where = f'in the namespace "{goal.namespace}"' if goal.namespace else "at the cluster scope"
        raise forbidden(
            goal.group,
            goal.plural,
            goal.name,
            f'User "{user.name}" cannot {verb} resource "{what}" in API group '
            f'"{goal.group}" {where}',
        )

    async def _resource(self, request: Request, user: User) -> Response:
        query = request.parameters()
        goal = target(request.path)
        if request.method not in METHODS:
            raise method_not_allowed()
        if goal is None:
            raise self._nobody(request.path)
        if goal.watching and request.method not in {"GET", "HEAD"}:
            raise method_not_allowed()
        verb = goal.verb(request.method, query)
        self._check(user, request, goal, verb)
        kind = self.kinds.get(goal.group, goal.version, goal.plural)
        if kind is None or bool(goal.namespace) > kind.namespaced:
            raise self._nobody(request.path)
        call = Call(request, query, goal, kind, user, verb)
        notes = [kind.deprecation] if kind.deprecation else []
        try:
            response = await self._call(call)
        except StatusError as error:
            error.warnings = [*notes, *call.warnings]
            raise
        response.warnings = [*notes, *response.warnings]
        return response

    async def _call(self, call: Call) -> Response:
        """Raises StatusError."""
        goal, kind, verb, request = call.target, call.kind, call.verb, call.request
        if goal.subresource:
            if goal.subresource not in kind.subresources:
                if kind.custom and goal.subresource in {"status", "scale"}:
                    from kaito.local.apiserver.status import not_found

                    raise not_found(kind.group, kind.plural, goal.name)
                raise no_resource()
            if (
                verb not in kind.subresources[goal.subresource].verbs
                and goal.subresource != "proxy"
            ):
                raise unsupported_verb(kind, verb) if kind.custom else method_not_allowed()
            return await self.subresources.serve(call)
        if kind.reviewed:
            if verb != "create":
                raise method_not_allowed()
            if kind.plural == "bindings":
                return await self.subresources.pods.bind_named(call)
            return await self.reviews.serve(call)
        if kind.namespaced and not goal.namespace and verb not in {"list", "watch"}:
            raise method_not_allowed() if not goal.name else no_resource()
        if verb not in kind.verbs:
            raise method_not_allowed()
        if (goal.name and request.method == "POST") or (
            not goal.name and request.method in {"PUT", "PATCH"}
        ):
            raise method_not_allowed()
        return await self.handlers.serve(call)

    def _nobody(self, path: str) -> Exception:
        """The 404 of a path: JSON inside built-in groups, plain text elsewhere."""
        parts = [p for p in path.split("/") if p]
        if parts[2 if parts[0] == "api" else 3 :] == ["watch"]:
            return PlainError(
                500,
                f'Internal Server Error: "{path}": failed to create RequestInfo: unable to '
                f"determine kind and namespace from url, {path}\n",
            )
        if parts[0] == "api":
            return no_resource()
        builtin = any(k.group == parts[1] and not k.custom for k in self.kinds)
        return no_resource() if builtin else no_page()

    async def _other(self, request: Request, user: User, parts: list[str]) -> Response:
        path = request.path
        first = parts[0] if parts else ""
        if first in HEALTH or path == "/version":
            if path not in OPEN_PATHS and first not in HEALTH:
                self._check(user, request, None, "get")
            return self._health(request, parts)
        self._check(user, request, None, "get")
        if not parts:
            return Response.json(
                {
                    "paths": sorted(
                        {
                            "/api",
                            "/api/v1",
                            "/apis",
                            "/healthz",
                            "/livez",
                            "/openapi/v2",
                            "/openapi/v3",
                            "/readyz",
                            "/version",
                        }
                    )
                }
            )
        if parts == ["openapi", "v2"]:
            return openapi_v2.answer(request, self.openapi.schemas())
        if parts[:2] == ["openapi", "v3"]:
            return self.openapi.answer(request, parts[2:])
        raise no_page()

    @staticmethod
    def _health(request: Request, parts: list[str]) -> Response:
        if parts[0] == "version":
            return Response(200, {"content-type": JSON}, indented(encode(VERSION)))
        checks = HEALTH[parts[0]]
        if len(parts) > 1:
            if parts[1] not in checks:
                raise no_page()
            return Response.text("ok")
        if "verbose" in request.parameters():
            lines = [f"[+]{c} ok\n" for c in checks]
            return Response.text("".join(lines) + f"{parts[0]} check passed\n")
        return Response.text("ok")
