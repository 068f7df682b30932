"""Subresources: status, scale, binding, eviction, tokens, logs and the proxies."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import bodies
from kaito.local.apiserver.core import Call, Core, User
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.options import write_options
from kaito.local.apiserver.pod_actions import PodActions
from kaito.local.apiserver.pod_streams import CONNECTIONS, PodStreams
from kaito.local.apiserver.proxy import Proxy
from kaito.local.apiserver.scales import Scales
from kaito.local.apiserver.status import method_not_allowed, not_found
from kaito.local.apiserver.tokens import Tokens

Object = dict[str, Any]


class Subresources:
    """Serves every subresource."""

    def __init__(self, core: Core, handlers: Handlers, proxy: Proxy, secret: bytes) -> None:
        self._core = core
        self._handlers = handlers
        self._proxy = proxy
        self._scales = Scales(core, handlers)
        self.pods = PodActions(core, handlers)
        self._tokens = Tokens(core, secret)
        self.streams = PodStreams(core)

    async def serve(self, call: Call) -> Response:
        """Raises StatusError."""
        name = call.target.subresource
        if name == "status" or name in {"ephemeralcontainers", "resize", "approval"}:
            return await self._part(call, name)
        if name == "scale":
            return await self._scales.serve(call)
        if name == "proxy":
            return await self._proxy.serve(call)
        if name == "finalize":
            return await self._finalize(call)
        if name == "log":
            return await self.streams.log(call)
        if name in CONNECTIONS:
            return self.streams.connect(call)
        if name == "token":
            body = self._tokens.create(call)
            return self._handlers.answer(call.kind, body, self._handlers.want(call), 201)
        self._exists(call)
        if name == "binding":
            return await self.pods.bind(call)
        if name == "eviction":
            return await self.pods.evict(call)
        raise method_not_allowed()

    def token_user(self, token: str) -> User | None:
        """The service account that a token of ours stands for, while both are alive."""
        return self._tokens.user(token)

    def _exists(self, call: Call) -> Object:
        record = self._core.record(call.kind, call.target.namespace, call.target.name)
        if record is None:
            raise not_found(call.kind.group, call.kind.plural, call.target.name)
        return call.kind.value(record)

    async def _part(self, call: Call, name: str) -> Response:
        match call.verb:
            case "get":
                return await self._handlers.get(call)
            case "update":
                return await self._handlers.update(call, name)
            case "patch":
                return await self._handlers.patch(call, name)
        raise method_not_allowed()

    async def _finalize(self, call: Call) -> Response:
        """PUT of a namespace's own finalizers; the last one ends a terminating namespace."""
        core, kind = self._core, call.kind
        options = write_options(call.request, call.query, "UpdateOptions")
        obj = bodies.read_object(call.request, kind, core.kinds, options)
        record = core.record(kind, "", call.target.name)
        if record is None:
            raise not_found(kind.group, kind.plural, call.target.name)
        live = kind.value(record)
        finalizers = (obj.get("spec") or {}).get("finalizers") or []
        live["spec"] = {"finalizers": finalizers} if finalizers else {}
        meta = live["metadata"]
        meta.pop("finalizers", None)
        if obj["metadata"].get("finalizers"):
            meta["finalizers"] = obj["metadata"]["finalizers"]
        if meta.get("deletionTimestamp") and not finalizers and not meta.get("finalizers"):
            core.remove(kind, record)
        else:
            saved = core.save(kind, live, expect=record.revision)
            meta["resourceVersion"] = str(saved.revision)
        return self._handlers.answer(kind, live, self._handlers.want(call))
