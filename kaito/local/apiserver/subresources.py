"""Subresources: status, scale, binding, eviction, tokens, logs and the proxies."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.core import Call, Core, User
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.pod_actions import PodActions
from kaito.local.apiserver.pod_streams import CONNECTIONS, PodStreams
from kaito.local.apiserver.proxy import Proxy
from kaito.local.apiserver.scales import Scales
from kaito.local.apiserver.status import method_not_allowed
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
            return await self._handlers.update(call, name)
        if name == "log":
            return await self.streams.log(call)
        if name in CONNECTIONS:
            return self.streams.connect(call)
        if name == "token":
            body = self._tokens.create(call)
            return self._handlers.answer(call.kind, body, self._handlers.want(call), 201)
        if name == "binding":
            return await self.pods.bind(call)
        if name == "eviction":
            return await self.pods.evict(call)
        raise method_not_allowed()

    def token_user(self, token: str) -> User | None:
        """The service account that a token of ours stands for, while both are alive."""
        return self._tokens.user(token)

    async def _part(self, call: Call, name: str) -> Response:
        match call.verb:
            case "get":
                return await self._handlers.get(call)
            case "update":
                return await self._handlers.update(call, name)
            case "patch":
                return await self._handlers.patch(call, name)
        raise method_not_allowed()
