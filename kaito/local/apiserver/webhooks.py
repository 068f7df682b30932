"""Admission webhooks: which of them a write concerns, asking them, and what their answers do."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from kaito.local.apiserver import patches, selectors
from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.bodies import read_back
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.jsontext import encode, parse_json
from kaito.local.apiserver.status import StatusError, internal

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
SELF = {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}
Resolver = Callable[[str, str, str, str], "tuple[str, int] | None"]


@dataclass(slots=True)
class Hook:
    """One webhook of one configuration."""

    configuration: str
    spec: Object

    @property
    def name(self) -> str:
        found: str = self.spec.get("name", "")
        return found


def matches(hook: Hook, review: Review, labels: Object | None) -> bool:
    """Do a hook's rules and selectors take a review? `labels` are those of its namespace."""
    kind = review.call.kind
    if kind.group == GROUP and kind.plural in SELF:
        return False
    if not any(_rule(rule, review) for rule in hook.spec.get("rules") or ()):
        return False
    chosen = hook.spec.get("namespaceSelector") or {}
    if kind.namespaced or (kind.plural == "namespaces" and not kind.group):
        if kind.plural == "namespaces" and not kind.group:
            labels = (review.object or {}).get("metadata", {}).get("labels") or {}
        if not selectors.of_label_selector(chosen)(labels or {}):
            return False
    wanted = selectors.of_label_selector(hook.spec.get("objectSelector") or {})
    objects = [o for o in (review.object, review.old) if o]
    return any(wanted((o.get("metadata") or {}).get("labels") or {}) for o in objects)


def _rule(rule: Object, review: Review) -> bool:
    kind = review.call.kind
    operations = rule.get("operations") or ()
    if "*" not in operations and review.operation not in operations:
        return False
    for value, part in ((kind.group, "apiGroups"), (kind.version, "apiVersions")):
        allowed = rule.get(part) or ()
        if "*" not in allowed and value not in allowed:
            return False
    scope = rule.get("scope", "*")
    if scope != "*" and (scope == "Namespaced") != kind.namespaced:
        return False
    full = f"{kind.plural}/{review.subresource}" if review.subresource else kind.plural
    options = {full, "*/*"}
    if review.subresource:
        options |= {f"*/{review.subresource}", f"{kind.plural}/*"}
    else:
        options |= {"*"}
    return bool(options & set(rule.get("resources") or ()))


class Webhooks:
    """The plugin that asks webhooks: mutating ones in order, validating ones together."""

    def __init__(self, core: Core, resolver: Callable[[], Resolver | None]) -> None:
        self._core = core
        self._resolver = resolver
        self._cache: dict[str, tuple[object, list[Hook]]] = {}

    async def mutate(self, review: Review) -> None:
        """Raises StatusError where a hook refuses or cannot be asked."""
        for hook in self._hooks("mutatingwebhookconfigurations", review):
            answer = await self._ask(hook, review)
            if answer is not None and answer.get("patch"):
                self._patch(hook, review, answer)

    async def validate(self, review: Review) -> None:
        """Raises StatusError where a hook refuses or cannot be asked."""
        hooks = self._hooks("validatingwebhookconfigurations", review)
        if hooks:
            await asyncio.gather(*(self._ask(h, review) for h in hooks))

    def _hooks(self, plural: str, review: Review) -> list[Hook]:
        bucket = self._core.store.buckets.get(f"{GROUP}/{plural}")
        if bucket is None or not bucket.objects:
            return []
        mark = tuple(r.revision for r in bucket.objects.values())
        known = self._cache.get(plural)
        if known is None or known[0] != mark:
            hooks = [
                Hook(key, spec)
                for key in bucket.keys()  # noqa: SIM118 in order
                for spec in bucket.objects[key].value().get("webhooks") or ()
            ]
            known = self._cache[plural] = (mark, hooks)
        labels = self._namespace_labels(review)
        return [h for h in known[1] if matches(h, review, labels)]

    def _namespace_labels(self, review: Review) -> Object | None:
        namespaces = self._core.kinds.get("", "v1", "namespaces")
        assert namespaces is not None
        record = self._core.record(namespaces, "", review.call.target.namespace)
        return dict(record.labels) if record is not None else None

    def _question(self, review: Review, uid: str) -> Object:
        call = review.call
        kind = call.kind
        name = (
            review.name or call.target.name or (review.object.get("metadata") or {}).get("name", "")
        )
        gvk = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        gvr = {"group": kind.group, "version": kind.version, "resource": kind.plural}
        request: Object = {
            "uid": uid,
            "kind": gvk,
            "resource": gvr,
            "requestKind": gvk,
            "requestResource": gvr,
            "operation": review.operation,
            "userInfo": {"username": call.user.name, "groups": list(call.user.groups)},
            "object": review.object if review.operation != "DELETE" else None,
            "oldObject": review.old,
            "dryRun": review.options.dry_run,
            "options": {
                "kind": f"{review.operation.title()}Options",
                "apiVersion": "meta.k8s.io/v1",
            },
        }
        if name:
            request["name"] = name
        if kind.namespaced:
            request["namespace"] = call.target.namespace
        if review.subresource:
            request["subResource"] = request["requestSubResource"] = review.subresource
        return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}

    async def _ask(self, hook: Hook, review: Review) -> Object | None:
        """The response; None where the hook failed and may be ignored."""
        if review.options.dry_run and hook.spec.get("sideEffects") not in {"None", "NoneOnDryRun"}:
            raise StatusError(
                400, "BadRequest", f'admission webhook "{hook.name}" does not support dry run'
            )
        uid = self._core.new_uid()
        seconds = hook.spec.get("timeoutSeconds", 10)
        try:
            answer = await self._post(hook, encode(self._question(review, uid)), seconds)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if hook.spec.get("failurePolicy", "Fail") == "Ignore":
                return None
            why = (
                f"context deadline exceeded ({seconds}s)"
                if isinstance(error, TimeoutError)
                else str(error)
            )
            raise internal(
                f'failed calling webhook "{hook.name}": failed to call webhook: '
                f'Post "{self._shown(hook)}?timeout={seconds}s": {why}'
            ) from error
        response = answer.get("response") or {}
        for text in response.get("warnings") or ():
            review.options.warn(text)
        if not response.get("allowed"):
            raise self._refusal(hook, response.get("status") or {})
        return dict(response)

    @staticmethod
    def _refusal(hook: Hook, status: Object) -> StatusError:
        head = f'admission webhook "{hook.name}" denied the request'
        code = max(status.get("code") or 0, 400)  # a refusal is never a success
        message, reason = status.get("message", ""), status.get("reason", "")
        if message:
            text = f"{head}: {message}"
        elif reason:
            text = f"{head}: {reason}"
        else:
            text = f"{head} without explanation"
        return StatusError(code, reason, text, status.get("details"))

    def _shown(self, hook: Hook) -> str:
        config = hook.spec.get("clientConfig") or {}
        if config.get("url"):
            return str(config["url"])
        service = config.get("service") or {}
        return (
            f"https://{service.get('name')}.{service.get('namespace')}.svc:"
            f"{service.get('port', 443)}{service.get('path', '')}"
        )

    async def _post(self, hook: Hook, body: bytes, seconds: int) -> Object:
        config = hook.spec.get("clientConfig") or {}
        url, server_name = config.get("url"), None
        if not url:
            service = config.get("service") or {}
            server_name = f"{service.get('name')}.{service.get('namespace')}.svc"
            resolve = self._resolver()
            found = (
                resolve(
                    service.get("namespace", ""),
                    "services",
                    service.get("name", ""),
                    str(service.get("port", 443)),
                )
                if resolve
                else None
            )
            if found is None:
                raise OSError(f'service "{service.get("name")}" not found')
            url = f"https://{found[0]}:{found[1]}{service.get('path', '')}"
        context = ssl.create_default_context()
        if config.get("caBundle"):
            context.load_verify_locations(cadata=base64.b64decode(config["caBundle"]).decode())
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession() as session,
            session.post(
                url,
                data=body,
                params={"timeout": f"{seconds}s"},
                ssl=context,
                server_hostname=server_name,
                headers={"content-type": "application/json"},
            ) as reply,
        ):
            text = await reply.read()
            if reply.status != 200:
                raise ValueError(f"the server responded with status {reply.status}")
        answer = parse_json(text)
        if not isinstance(answer, dict) or "response" not in answer:
            raise ValueError("expected response.uid, got none")
        return dict(answer)

    def _patch(self, hook: Hook, review: Review, answer: Object) -> None:
        if answer.get("patchType") not in {None, "JSONPatch"}:
            raise internal(f'webhook "{hook.name}" has an unsupported patch type')
        operations = patches.parse_json_patch(base64.b64decode(answer["patch"]))
        patched = patches.json_patch(review.object, operations)
        review.object = read_back(patched, review.call.kind)
