"""The scale subresource: one small object over a workload's replicas."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import bodies, patches, typed
from kaito.local.apiserver.behaviour import ScalePaths
from kaito.local.apiserver.changes import Change, Target
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.handlers import Handlers, render
from kaito.local.apiserver.http import Response
from kaito.local.apiserver.options import WriteOptions, write_options
from kaito.local.apiserver.ownership.entries import (
    Conflicts,
    Managed,
    Manager,
    Owned,
    encode,
    identify,
    lenient,
)
from kaito.local.apiserver.ownership.paths import Path
from kaito.local.apiserver.status import (
    StatusError,
    bad_request,
    internal,
    invalid,
    method_not_allowed,
    not_found,
)

Object = dict[str, Any]
VERSION = "autoscaling/v1"
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
    parts = [
        f"{k}={v}"
        for k, v in (
            selector.get("matchLabels") or selector
            if "matchExpressions" not in selector
            else selector.get("matchLabels") or {}
        ).items()
        if isinstance(v, str)
    ]
    for rule in selector.get("matchExpressions") or ():
        key, values = rule["key"], ",".join(sorted(rule.get("values") or ()))
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[rule["operator"]]
        )
    return ",".join(sorted(parts))


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
                options = write_options(call.request, call.query, "UpdateOptions")
                scale = bodies.read_as(
                    self._core.kinds.types, "V1Scale", call.request, "Scale", VERSION, options
                )
                self._named(call, scale)
                return await self._store(call, lambda live: scale, options)
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

    @staticmethod
    def _named(call: Call, scale: Object) -> None:
        meta = scale.setdefault("metadata", {})
        name = meta.get("name", "")
        if not name:
            raise bad_request(
                f"the name of the object ({call.target.name} based on URL) was "
                "undeterminable: name must be provided"
            )
        if name != call.target.name:
            raise bad_request(
                f"the name of the object ({name}) does not match the name on the "
                f"URL ({call.target.name})"
            )
        namespace = meta.get("namespace")
        if namespace and namespace != call.target.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace "
                "sent on the request"
            )

    async def _patch(self, call: Call) -> Response:
        form = patches.PATCH_TYPES.get(bodies.media_type(call.request), "")
        if form not in {"json", "merge", "strategic", "apply"}:
            raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        options = write_options(
            call.request, call.query, "PatchOptions", apply=form == "apply", patch=True
        )
        body = call.request.body
        if form == "apply":
            merge = patches.parse_merge_patch(body)
            return await self._store(
                call,
                lambda live: typed.decode(self._node(), patches.merge_patch(live, merge)).value,
                options,
                applied=True,
            )
        options.warnings = call.warnings
        target = Target(self._node(), VERSION, "Scale")
        change = Change(form, body, target, self._core.kinds, options)
        return await self._store(call, change.apply, options)

    async def _store(
        self, call: Call, make: Any, options: WriteOptions, *, applied: bool = False
    ) -> Response:
        paths = self._paths(call)
        replicas_path = tuple(f"f:{p}" for p in paths.spec.strip(".").split("."))

        def change(live: Object) -> Object:
            scale = make(self._scale(call, live, lenient=True))
            replicas = (scale.get("spec") or {}).get("replicas", 0)
            if replicas < 0 and call.kind.custom:
                raise invalid(
                    call.kind.group,
                    call.kind.kind,
                    call.target.name,
                    [wrong(paths.spec, replicas, "should be a non-negative integer")],
                )
            if replicas < 0:
                raise invalid(
                    "autoscaling",
                    "Scale",
                    call.target.name,
                    [wrong("spec.replicas", replicas, "must be greater than or equal to 0")],
                )
            version = scale["metadata"].get("resourceVersion", "")
            uid = scale["metadata"].get("uid", "")
            if uid and uid != live["metadata"]["uid"]:
                from kaito.local.apiserver.status import conflict

                raise conflict(
                    call.kind.group,
                    call.kind.plural,
                    call.target.name,
                    f"Precondition failed: UID in precondition: {uid}, UID in object "
                    f"meta: {live['metadata']['uid']}",
                )
            if applied:
                self._claim(call, live, replicas_path, dig(live, paths.spec) != replicas, options)
            elif not call.kind.custom:
                self._take(call, live, replicas_path, dig(live, paths.spec) != replicas, options)
            put(live, paths.spec, replicas)
            live["metadata"]["resourceVersion"] = version or live["metadata"]["resourceVersion"]
            return live

        stored = await self._handlers.updater.update(
            call, change, options, subresource="scale", owned=True
        )
        response = self._answer(call, self._scale(call, stored))
        response.warnings = options.warnings
        return response

    def _take(
        self, call: Call, live: Object, path: Path, changed: bool, options: WriteOptions
    ) -> None:
        """A changed number of replicas belongs to the writer; no time is noted."""
        if not changed:
            return
        managed = lenient(live["metadata"].get("managedFields"))
        me = identify(options.manager, "Update", call.kind.api_version, "scale")
        self._hand_over(live, managed, me, path, call.kind.api_version, "")

    def _claim(
        self, call: Call, live: Object, path: Path, changed: bool, options: WriteOptions
    ) -> None:
        """An applied number belongs to the applier, if nobody else holds another one."""
        managed = lenient(live["metadata"].get("managedFields"))
        me = identify(options.manager, "Apply", call.kind.api_version, "scale")
        others = [m for m, o in managed.items() if m != me and path in o.fields]
        if others and changed and not options.force:
            raise Conflicts([(m._replace(api_version=VERSION), path) for m in others]).status()
        self._hand_over(
            live, managed, me, path, call.kind.api_version, self._core.stamp(), shared=not changed
        )

    @staticmethod
    def _hand_over(
        live: Object,
        managed: Managed,
        me: Manager,
        path: Path,
        version: str,
        now: str,
        *,
        shared: bool = False,
    ) -> None:
        for manager, owned in list(managed.items()):
            if manager != me and not shared:
                owned.fields.discard(path)
                if not owned.fields:
                    del managed[manager]
        managed[me] = Owned({path}, version, now)
        live["metadata"]["managedFields"] = encode(managed)

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
