"""Admission webhooks: which of them a write concerns, in which order, and what answers do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver import operations, selectors
from kaito.local.apiserver.admission import Review
from kaito.local.apiserver.bodies import read_back
from kaito.local.apiserver.core import Core
from kaito.local.apiserver.jsontext import TextError, parse_json
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.opaque import copied
from kaito.local.apiserver.rbac import Authorizer
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.status import StatusError, bad_request, forbidden, internal
from kaito.local.apiserver.webhookcalls import CallFailed, Resolver, ask, refused
from kaito.local.apiserver.webhookreviews import question, shown_as

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"
MUTATING, VALIDATING = "mutatingwebhookconfigurations", "validatingwebhookconfigurations"
EXEMPT = {MUTATING, VALIDATING} | {
    f"{kind}admissionpolic{end}"
    for kind in ("mutating", "validating")
    for end in ("ies", "ybindings")
}
FREE = {"None", "NoneOnDryRun"}


@dataclass(slots=True, frozen=True)
class Hook:
    """One webhook of one configuration."""

    configuration: str
    index: int
    spec: Object

    @property
    def name(self) -> str:
        found: str = self.spec.get("name", "")
        return found

    @property
    def key(self) -> tuple[str, int]:
        return self.configuration, self.index


class Webhooks:
    """The plugin that asks webhooks: mutating ones in order, validating ones together."""

    def __init__(
        self,
        core: Core,
        resolver: Callable[[], Resolver | None],
        authorizer: Authorizer,
        down: Callable[[str], bool],
    ) -> None:
        self._core = core
        self._resolver = resolver
        self._authorizer = authorizer
        self._down = down
        self._cache: dict[str, tuple[object, list[Hook]]] = {}

    async def mutate(self, review: Review) -> None:
        """Raises StatusError where a hook refuses or cannot be asked."""
        hooks = self._known(MUTATING, review)
        if not hooks:
            return
        again = await self._round(hooks, review)
        if again:
            await self._round([h for h in hooks if h.key in again], review)

    async def _round(self, hooks: list[Hook], review: Review) -> set[tuple[str, int]]:
        """Ask each hook once; those to ask again, as what they saw was changed after them."""
        again: set[tuple[str, int]] = set()
        asked: set[tuple[str, int]] = set()
        for hook in hooks:
            kind = self._concerned(hook, review)
            if kind is None:
                continue
            answer = await self._ask(hook, review, kind, mutating=True)
            if answer is not None and answer["patch"] and self._patch(hook, review, kind, answer):
                again |= asked
                asked.clear()
            if hook.spec.get("reinvocationPolicy") == "IfNeeded":
                asked.add(hook.key)
        return again

    async def validate(self, review: Review) -> None:
        """Raises StatusError where a hook refuses or cannot be asked."""
        if review.operation == "DELETE":
            await self.mutate(review)
        concerned = [
            (hook, kind)
            for hook in self._known(VALIDATING, review)
            if (kind := self._concerned(hook, review)) is not None
        ]
        if concerned:
            await asyncio.gather(
                *(self._ask(hook, review, kind, mutating=False) for hook, kind in concerned)
            )

    def _known(self, plural: str, review: Review) -> list[Hook]:
        bucket = self._core.store.buckets.get(f"{GROUP}/{plural}")
        if bucket is None or not bucket.objects:
            return []
        if review.call.kind.group == GROUP and review.call.kind.plural in EXEMPT:
            return []
        mark = tuple(r.revision for r in bucket.objects.values())
        known = self._cache.get(plural)
        if known is None or known[0] != mark:
            hooks = [
                Hook(key, i, spec)
                for key in bucket.keys()  # noqa: SIM118 in order
                for i, spec in enumerate(bucket.objects[key].value().get("webhooks") or ())
            ]
            known = self._cache[plural] = (mark, hooks)
        return known[1]

    def _concerned(self, hook: Hook, review: Review) -> Kind | None:
        """The kind as which a hook takes a write; None where it is not asked."""
        if not self._namespace_fits(hook, review) or not _object_fits(hook, review):
            return None
        kind = next((k for k in self._kinds(hook, review) if _ruled(hook, review, k)), None)
        if kind is None:
            return None
        conditions = hook.spec.get("matchConditions") or []
        return kind if not conditions or self._conditions(hook, review, kind) else None

    def _kinds(self, hook: Hook, review: Review) -> Iterator[Kind]:
        """The kind that is written, then others that show the same objects."""
        own = review.call.kind
        yield own
        if hook.spec.get("matchPolicy", "Equivalent") == "Equivalent" and (
            own.shape is not None or own.bucket == "/events"
        ):
            yield from (k for k in self._core.kinds if k.bucket == own.bucket and k is not own)

    def _namespace_fits(self, hook: Hook, review: Review) -> bool:
        wanted = hook.spec.get("namespaceSelector") or {}
        kind = review.call.kind
        own = kind.plural == "namespaces" and not kind.group
        if not wanted or not (kind.namespaced or own):
            return True
        labels: Object = {}
        if own:
            shown = review.old if review.operation == "DELETE" else review.object
            labels = ((shown or {}).get("metadata") or {}).get("labels") or {}
        else:
            namespaces = self._core.kinds.get("", "v1", "namespaces")
            assert namespaces is not None
            record = self._core.record(namespaces, "", review.call.target.namespace)
            labels = dict(record.labels) if record is not None else {}
        return bool(selectors.of_label_selector(wanted)(labels))

    def _conditions(self, hook: Hook, review: Review, kind: Kind) -> bool:
        """Do all conditions hold? Raises StatusError where one cannot be evaluated."""
        from kaito.local.apiserver.matchconditions import authorizing, failed

        request = question(review, kind, "")["request"]
        variables = {
            "object": request["object"],
            "oldObject": request["oldObject"],
            "namespaceObject": None,
            "request": {
                k: v for k, v in request.items() if k not in {"object", "oldObject", "uid"}
            },
            **authorizing(review.call.user, request, self._authorizer.decide),
        }
        false, faults = failed(hook.spec["matchConditions"], variables)
        if false:
            return False
        if not faults:
            return True
        if hook.spec.get("failurePolicy") == "Ignore":
            return False
        own = review.call.kind
        why = faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]"
        raise forbidden(own.group, own.plural, request.get("name", ""), why)

    async def _ask(
        self, hook: Hook, review: Review, kind: Kind, *, mutating: bool
    ) -> Object | None:
        """The response; None where the hook failed and may be ignored."""
        if review.options.dry_run and hook.spec.get("sideEffects") not in FREE:
            raise bad_request(f'admission webhook "{hook.name}" does not support dry run')
        versions = hook.spec.get("admissionReviewVersions") or ["v1"]
        version = next((v for v in versions if v in {"v1", "v1beta1"}), "v1")
        asked = question(review, kind, self._core.new_uid(), version, settled=not mutating)
        config, seconds = hook.spec.get("clientConfig") or {}, hook.spec.get("timeoutSeconds", 10)
        try:
            if self._down(hook.name):
                raise refused(config, seconds)
            response = await ask(config, asked, seconds, self._resolver(), mutating=mutating)
        except CallFailed as error:
            return self._unanswered(hook, str(error), error)
        for text in response.get("warnings") or ():
            if text and text.isprintable():  # others make no header
                review.options.warn(text)
        if not response.get("allowed"):
            raise _refusal(hook, response.get("status") or {})
        return response

    @staticmethod
    def _unanswered(hook: Hook, why: str, cause: Exception | None = None) -> None:
        """Raises StatusError, unless failures of the hook are to be ignored."""
        if hook.spec.get("failurePolicy", "Fail") == "Ignore":
            return
        raise internal(f'failed calling webhook "{hook.name}": {why}') from cause

    def _patch(self, hook: Hook, review: Review, kind: Kind, answer: Object) -> bool:
        """Let an answer change the object; did it?"""
        try:
            found = parse_json(answer["patch"])
        except TextError as error:
            found = str(error)
        if not isinstance(found, list):
            self._unanswered(
                hook,
                "received undecodable patch in webhook response: json: cannot unmarshal "
                f"{json_kind(found)} into Go value of type jsonpatch.Patch",
            )
            return False
        if not found:
            return False
        if review.operation == "DELETE":
            raise internal(
                f'admission webhook "{hook.name}" attempted to modify the object, which is not '
                "supported for this operation"
            )
        if answer.get("patchType") != "JSONPatch":
            self._unanswered(hook, f'unsupported patch type "{answer.get("patchType")}"')
            return False
        before = shown_as(review.object, review.call.kind, kind)
        patched = _patched(copied(before), found)
        try:
            made = read_back(shown_as(patched, kind, review.call.kind), review.call.kind)
        except StatusError as error:
            raise internal(error.message) from error
        changed = made != review.object
        review.object = made
        return changed


def _patched(obj: Object, found: list[Object]) -> Object:
    """Raises StatusError in the words of the server's own patches."""
    made: Any = obj
    for operation in found:
        path, kind = str(operation.get("path")), operation.get("op")
        try:
            made = operations.apply(made, [operation])
        except operations.Rejected as error:
            match kind:
                case "remove":
                    key = path.rpartition("/")[2]
                    why = (
                        f"error in remove for path: '{path}': Unable to remove nonexistent key: "
                        f"{key}: missing value"
                    )
                case "test":
                    why = f"testing value {path} failed: test failed"
                case "add" | "replace":
                    part = "path" if kind == "add" else "key"
                    why = (
                        f"{kind} operation does not apply: doc is missing {part}: {path}: "
                        "missing value"
                    )
                case "move" | "copy":
                    why = f"{kind} operation does not apply: doc is missing path: {path}"
                case _:
                    why = f"Unexpected kind: {kind}"
            raise internal(why) from error
    return dict(made)


def _object_fits(hook: Hook, review: Review) -> bool:
    wanted = hook.spec.get("objectSelector") or {}
    if not wanted:
        return True
    match = selectors.of_label_selector(wanted)
    shown = [review.old] if review.operation == "DELETE" else [review.object, review.old]
    return any(match((o.get("metadata") or {}).get("labels") or {}) for o in shown if o)


def _ruled(hook: Hook, review: Review, kind: Kind) -> bool:
    return any(_rule(rule, review, kind) for rule in hook.spec.get("rules") or ())


def _rule(rule: Object, review: Review, kind: Kind) -> bool:
    for value, part in (
        (review.operation, "operations"),
        (kind.group, "apiGroups"),
        (kind.version, "apiVersions"),
    ):
        allowed = rule.get(part) or ()
        if "*" not in allowed and value not in allowed:
            return False
    scope = rule.get("scope", "*")
    if scope != "*" and (scope == "Namespaced") != kind.namespaced:
        return False
    for text in rule.get("resources") or ():
        resource, _, sub = text.partition("/")
        if resource in {"*", kind.plural} and sub in {"*", review.subresource}:
            return True
    return False


def _refusal(hook: Hook, status: Object) -> StatusError:
    head = f'admission webhook "{hook.name}" denied the request'
    code = max(status.get("code") or 0, 400)  # a refusal is never a success
    message, reason = status.get("message", ""), status.get("reason", "")
    why = message or reason
    text = f"{head}: {why}" if why else f"{head} without explanation"
    return StatusError(code, reason, text, status.get("details"))
