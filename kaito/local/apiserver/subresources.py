"""Subresources: status, scale, binding, eviction, tokens, logs and the proxies."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

from kaito.local.apiserver import bodies, times, typed
from kaito.local.apiserver.core import Call, Core, User
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.options import write_options
from kaito.local.apiserver.pod_actions import PodActions
from kaito.local.apiserver.pod_streams import CONNECTIONS, PodStreams
from kaito.local.apiserver.proxy import Proxy
from kaito.local.apiserver.scales import Scales
from kaito.local.apiserver.status import (
    invalid,
    method_not_allowed,
    not_found,
)

Object = dict[str, Any]
TOKEN_MIN = 600  # seconds; a shorter token is refused


class Subresources:
    """Serves every subresource."""

    def __init__(
        self, core: Core, handlers: Handlers, proxy: Proxy, tokens: Mapping[str, str], secret: bytes
    ) -> None:
        self._core = core
        self._handlers = handlers
        self._proxy = proxy
        self._scales = Scales(core, handlers)
        self.pods = PodActions(core, handlers)
        self._tokens = tokens
        self._secret = secret
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
        self._exists(call)
        if name == "binding":
            return await self.pods.bind(call)
        if name == "eviction":
            return await self.pods.evict(call)
        if name == "token":
            return self._token(call)
        raise method_not_allowed()

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

    def _token(self, call: Call) -> Response:
        account = self._exists(call)
        options = write_options(call.request, call.query, "CreateOptions")
        node = self._core.kinds.types.node("AuthenticationV1TokenRequest")
        body = bodies.read_as(
            self._core.kinds.types,
            "AuthenticationV1TokenRequest",
            call.request,
            "TokenRequest",
            "authentication.k8s.io/v1",
            options,
        )
        spec = body.setdefault("spec", {})
        seconds = spec.setdefault("expirationSeconds", 3600)
        if seconds < TOKEN_MIN:
            raise invalid(
                "authentication.k8s.io",
                "TokenRequest",
                "",
                [
                    wrong(
                        "spec.expirationSeconds",
                        seconds,
                        "may not specify a duration less than 10 minutes",
                    )
                ],
            )
        if not spec.get("audiences"):
            spec["audiences"] = ["https://kubernetes.default.svc"]
        spec.setdefault("boundObjectRef", None)
        from kaito.local.apiserver.ownership.managers import Ownership

        meta = body.setdefault("metadata", {})
        Ownership(node, "authentication.k8s.io/v1", "token").update(
            typed.zero_of(node),
            {k: v for k, v in body.items() if k != "status"},
            options.manager,
            self._core.stamp(),
        )
        for entry in meta.get("managedFields") or ():
            entry["fieldsV1"].get("f:spec", {}).pop("f:boundObjectRef", None)
        now = self._core.clock.now()
        meta.update(
            {
                "name": account["metadata"]["name"],
                "namespace": account["metadata"]["namespace"],
                "uid": account["metadata"]["uid"],
                "creationTimestamp": times.stamp(now),
            }
        )
        body["status"] = {
            "token": self._issue(account, spec, now + seconds),
            "expirationTimestamp": times.stamp(now + seconds),
        }
        return self._handlers.answer(call.kind, body, self._handlers.want(call), 201)

    def _issue(self, account: Object, spec: Object, expires: float) -> str:
        """A JWT that lives as long as this server, which alone checks it."""
        meta = account["metadata"]
        claims = {
            "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
            "uid": meta["uid"],
            "aud": spec["audiences"],
            "exp": int(expires),
            "iat": int(self._core.clock.now()),
        }

        def part(value: object) -> str:
            return base64.urlsafe_b64encode(encode(value)).decode().rstrip("=")

        text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
        return f"{text}.{self._sign(text)}"

    def _sign(self, text: str) -> str:
        mac = hmac.digest(self._secret, text.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def token_user(self, token: str) -> User | None:
        """The service account that a token of ours stands for, while both are alive."""
        parts = token.split(".")
        if len(parts) != 3:
            return None
        signature = self._sign(f"{parts[0]}.{parts[1]}")
        if not hmac.compare_digest(signature.encode(), parts[2].encode()):
            return None
        try:
            claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
            _, _, namespace, name = claims["sub"].split(":")
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        accounts = self._core.kinds.get("", "v1", "serviceaccounts")
        assert accounts is not None
        record = self._core.record(accounts, namespace, name)
        if (
            record is None
            or record.value()["metadata"]["uid"] != claims.get("uid")
            or claims.get("exp", 0) < self._core.clock.now()
        ):
            return None
        return User(
            claims["sub"],
            (
                "system:serviceaccounts",
                f"system:serviceaccounts:{namespace}",
                "system:authenticated",
            ),
            claims["uid"],
        )
