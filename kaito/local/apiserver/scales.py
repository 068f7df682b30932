"""The scale subresource: one small object over a workload's replicas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver import bodies, patches
from kaito.local.apiserver.applying import completed, metadata_of, read_configuration, untyped
from kaito.local.apiserver.behaviour import ScalePaths
from kaito.local.apiserver.changes import Change, Target
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import check_place
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.opaque import copied
from kaito.local.apiserver.options import WriteOptions, write_options
from kaito.local.apiserver.ownership import scaling as ownership
from kaito.local.apiserver.ownership.checking import Mismatch
from kaito.local.apiserver.ownership.entries import Conflicts, encode, lenient
from kaito.local.apiserver.ownership.managers import Ownership
from kaito.local.apiserver.rendering import render
from kaito.local.apiserver.status import (
    bad_request,
    internal,
    invalid,
    method_not_allowed,
    not_found,
    plain_failure,
)
from kaito.local.apiserver.updates import uid_conflict

Object = dict[str, Any]
Make = Callable[[Object, Ownership], Object]
VERSION = "autoscaling/v1"
NO_VERSION = f"request to convert CR to an invalid group/version: {VERSION}"
UNSET = -(2**31)  # what a custom resource without the field counts as
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
META = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def dig(obj: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for part in path.strip(".").split("."):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(part)
    return obj


def put(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value


def selector_text(selector: Any) -> str:
    """A label selector object as the text that clients pass in queries."""
    if not isinstance(selector, dict):
        return selector or ""
    named = selector if "matchExpressions" not in selector else {}
    equal = selector.get("matchLabels") or named
    parts = [(k, f"{k}={v}") for k, v in equal.items() if isinstance(v, str)]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule["key"], ",".join(sorted(rule.get("values") or ()))
        text = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": key,
            "DoesNotExist": f"!{key}",
        }[rule["operator"]]
        parts.append((key, text))
    return ",".join(text for _, text in sorted(parts, key=lambda part: part[0]))


class Scales:
    """Reads and writes scales."""

    def __init__(self, core: Core, handlers: Handlers) -> None:
        self._core = core
        self._handlers = handlers

    async def serve(self, call: Call) -> Response:
        match call.verb:
            case "get":
                return self._answer(call, self._read(call))
            case "update":
                options = write_options(call, "UpdateOptions")
                scale = bodies.read_as(
                    self._core.kinds, "V1Scale", call.request, "Scale", VERSION, options
                )
                check_place(call, scale.setdefault("metadata", {}))
                return await self._store(call, lambda live, rules: copied(scale), options)
            case "patch":
                return await self._patch(call)
        raise method_not_allowed()

    def _node(self) -> Any:
        return self._core.kinds.types.node("V1Scale")

    @staticmethod
    def _paths(call: Call) -> ScalePaths:
        return call.kind.behaviour.scale or ScalePaths()

    def _read(self, call: Call) -> Object:
        kind, target = call.kind, call.target
        record = self._core.record(kind, target.namespace, target.name)
        if record is None:
            raise not_found(kind.group, kind.plural, target.name)
        return self._scale(call, kind.value(record))

    def _scale(self, call: Call, obj: Object, *, lenient: bool = False) -> Object:
        paths = self._paths(call)
        replicas = dig(obj, paths.spec)
        if replicas is None and call.kind.custom and not lenient:
            raise internal(f'the spec replicas field "{paths.spec}" does not exist')
        status: Object = {"replicas": dig(obj, paths.status) or 0}
        selector = selector_text(dig(obj, paths.selector)) if paths.selector else ""
        if selector:
            status["selector"] = selector
        meta = {k: obj["metadata"][k] for k in META if k in obj["metadata"]}
        return {
            "kind": "Scale",
            "apiVersion": VERSION,
            "metadata": meta,
            "spec": {"replicas": replicas} if replicas else {},
            "status": status,
        }

    async def _patch(self, call: Call) -> Response:
        form = patches.PATCH_TYPES.get(bodies.media_type(call.request), "")
        custom = call.kind.custom
        if form not in {"json", "merge", "strategic", "apply"} or (form == "strategic" and custom):
            raise patches.unsupported(custom=custom)
        options = write_options(call, "PatchOptions", apply=form == "apply", patch=True)
        body = call.request.body
        if form == "apply":
            return await self._store(call, self._applying(call, options), options)
        target = Target(self._node(), VERSION, "Scale")
        change = Change(form, body, target, self._core.kinds, options)
        return await self._store(call, lambda live, rules: change.apply(live), options)

    def _applying(self, call: Call, options: WriteOptions) -> Make:
        applied: Object | None = None

        def make(live: Object, rules: Ownership) -> Object:
            nonlocal applied
            if applied is None:
                applied = read_configuration(call, VERSION, "Scale")
            if call.kind.custom and not live["metadata"].get("managedFields"):
                raise plain_failure(
                    "failed to create manager for existing fields: failed to convert live object "
                    f"(/; {VERSION}, Kind=Scale) to proper version: {NO_VERSION}"
                )
            try:
                merged, _ = rules.apply(
                    live,
                    applied,
                    options.manager,
                    force=options.force,
                    now=self._core.stamp(),
                )
            except Conflicts as conflicts:
                raise conflicts.status() from conflicts
            except Mismatch as error:
                raise untyped(VERSION, "Scale", applied, error) from error
            if call.kind.custom and merged.get("spec") != live.get("spec"):
                name = f"{metadata_of(applied).get('namespace') or ''}/{call.target.name}"
                raise plain_failure(
                    f"failed to convert new object ({name}; {VERSION}, Kind=Scale) to proper "
                    f"version: {NO_VERSION}"
                )
            return completed(self._node(), VERSION, "Scale", merged, applied)

        return make

    async def _store(self, call: Call, make: Make, options: WriteOptions) -> Response:
        """Turn the live object into a scale, let `make` change it, and back."""
        paths, kind, target = self._paths(call), call.kind, call.target
        replicas_path = tuple(f"f:{p}" for p in paths.spec.strip(".").split("."))
        rules = Ownership(self._node(), VERSION, "scale")
        strategic = bodies.media_type(call.request) == STRATEGIC
        applying = bodies.media_type(call.request) == APPLY

        def change(live: Object) -> Object:
            owners = lenient(live["metadata"].get("managedFields"))
            before = self._scale(call, live, lenient=True)
            if kind.custom and dig(live, paths.spec) is None:
                before["spec"] = {"replicas": UNSET}
            entries = encode(ownership.of_scale(owners, replicas_path))
            if entries:
                before["metadata"]["managedFields"] = entries
            scale = make(copied(before), rules)
            meta = scale.setdefault("metadata", {})
            check_place(call, meta)
            replicas = (scale.get("spec") or {}).get("replicas", 0)
            if strategic and kind.custom:
                meta.pop("managedFields", None)  # its form is unknown to the server's converter
            elif not applying:
                rules.update(before, scale, options.manager, self._core.stamp())
            if replicas == UNSET:
                raise bad_request(f'the spec replicas field "{paths.spec}" cannot be empty')
            if replicas < 0 and not kind.custom:
                why = "must be greater than or equal to 0"
                errors = [wrong("spec.replicas", replicas, why)]
                raise invalid("autoscaling", "Scale", target.name, errors)
            uid = meta.get("uid", "")
            if call.verb == "update" and uid and uid != live["metadata"]["uid"]:
                raise uid_conflict(
                    kind, target, uid, live["metadata"]["uid"], dry_run=options.dry_run
                )
            owners = ownership.to_parent(
                owners, lenient(meta.get("managedFields")), replicas_path, kind.api_version
            )
            live["metadata"].pop("managedFields", None)
            if owners:
                live["metadata"]["managedFields"] = encode(owners)
            put(live, paths.spec, replicas)
            version = meta.get("resourceVersion") or live["metadata"]["resourceVersion"]
            live["metadata"]["resourceVersion"] = version
            return live

        stored = await self._handlers.updater.update(
            call, change, options, subresource="scale", owned=True
        )
        return self._answer(call, self._scale(call, stored))

    def _answer(self, call: Call, scale: Object) -> Response:
        want = self._handlers.want(call)
        if want.form == "Table":
            from kaito.local.apiserver.columns import SCALE
            from kaito.local.apiserver.tables import row, table

            now = self._core.clock.now()
            meta = {"resourceVersion": scale["metadata"].get("resourceVersion", "")}
            return render(
                table(SCALE, [row(SCALE, scale, now, "Metadata")], meta, version=want.version),
                want.media,
            )
        if want.form:
            return self._handlers.answer(call.kind, scale, want)
        return render(scale, want.media)
