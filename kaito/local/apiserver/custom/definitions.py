"""Custom resource definitions at work: accepted, served, changed and taken away.

Runs as one task woken by writes of definitions. Serving begins and ends here; what a definition
may say is checked where it is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from kaito.local.apiserver.behaviour import Behaviour, ScalePaths
from kaito.local.apiserver.core import Call, Core, User
from kaito.local.apiserver.creates import ownership
from kaito.local.apiserver.custom.printing import printer
from kaito.local.apiserver.custom.scalefields import spec_errors, status_errors
from kaito.local.apiserver.custom.shapes import VersionShape
from kaito.local.apiserver.custom.structural import build, to_node
from kaito.local.apiserver.deleteoptions import DeleteOptions
from kaito.local.apiserver.fields import FieldError
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.jsontext import encode
from kaito.local.apiserver.kinds import Kind, Subresource, version_rank
from kaito.local.apiserver.namespaces import internal_call
from kaito.local.apiserver.status import StatusError
from kaito.local.apiserver.storage import Event, Record, Stale

Object = dict[str, Any]
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
USER = User("system:apiserver", ("system:masters",))
GROUP, PLURAL = "apiextensions.k8s.io", "customresourcedefinitions"


class Definitions:
    """Serves what definitions define."""

    def __init__(self, core: Core, handlers: Handlers) -> None:
        self._core = core
        self._handlers = handlers
        self._served: dict[str, list[Kind]] = {}
        self._specs: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self._dirty: set[str] = set()
        self.terminating: set[str] = set()

    @property
    def _kind(self) -> Kind:
        found = self._core.kinds.get(GROUP, "v1", PLURAL)
        assert found is not None
        return found

    def push(self, event: Event) -> None:
        record = event.new or event.old
        assert record is not None
        self._dirty.add(record.key)
        self._wake.set()

    async def restore(self) -> None:
        """Serve what was stored before."""
        self._served.clear()
        self._specs.clear()
        bucket = self._core.store.bucket(self._kind.bucket)
        bucket.join(self)
        for key in list(bucket.keys()):
            self._settle(key)

    async def run(self) -> None:
        while True:
            self._wake.clear()
            while self._dirty:
                key = self._dirty.pop()
                self._settle(key)
                await self._finalize(key)
            await self._wake.wait()

    def _settle(self, key: str) -> None:
        """Bring what is served in line with one definition."""
        record = self._core.store.bucket(self._kind.bucket).objects.get(key)
        if record is None:
            self._withdraw(key)
            return
        obj = self._kind.value(record)
        accepted = self._accept(obj, record)
        if accepted is None:
            return
        if not accepted:
            self._withdraw(key)
            return
        self._serve(key, obj)

    def _accept(self, obj: Object, record: Record) -> bool | None:
        """Settle names and conditions; None when the status was written (a new event follows)."""
        spec, status = obj["spec"], obj.setdefault("status", {})
        name = obj["metadata"]["name"]
        accepted = {k: v for k, v in (status.get("acceptedNames") or {}).items() if v}
        wanted, conflict = self._settle_names(name, spec, accepted)
        conditions = [dict(c) for c in status.get("conditions") or ()]
        before = encode([_sorted(accepted), conditions])
        now = self._core.stamp()
        if conflict is None:
            _condition(
                conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now
            )
            if not _is_true(conditions, "Established"):
                _condition(
                    conditions,
                    "Established",
                    "True",
                    "InitialNamesAccepted",
                    "the initial names have been accepted",
                    now,
                )
        else:
            _condition(conditions, "NamesAccepted", "False", conflict[0], conflict[1], now)
            if not _is_true(conditions, "Established"):
                _condition(
                    conditions,
                    "Established",
                    "False",
                    "NotAccepted",
                    "not all names are accepted",
                    now,
                )
        if encode([_sorted(wanted), conditions]) != before:
            live = self._kind.value(record)
            status["acceptedNames"] = {"plural": "", "kind": "", **wanted}
            status["conditions"] = conditions
            rules = ownership(self._core.kinds, self._kind, "status")
            rules.update(live, obj, "kube-apiserver", now)
            try:
                self._core.save(self._kind, obj, expect=record.revision)
            except Stale:
                self._dirty.add(record.key)
        return _is_true(conditions, "Established")

    def _settle_names(
        self, name: str, spec: Object, accepted: Object
    ) -> tuple[Object, tuple[str, str] | None]:
        """The names that are free for this definition, and the last conflict found."""
        taken: set[str] = set()
        kinds: set[str] = set()
        bucket = self._core.store.bucket(self._kind.bucket)
        for key, record in bucket.objects.items():
            other = record.value()
            if key == name or other["spec"]["group"] != spec["group"]:
                continue
            held = (other.get("status") or {}).get("acceptedNames") or {}
            taken |= {
                held.get("plural", ""),
                held.get("singular", ""),
                *(held.get("shortNames") or ()),
            }
            kinds |= {held.get("kind", ""), held.get("listKind", "")}
        names, wanted = spec["names"], dict(accepted)
        conflict: tuple[str, str] | None = None
        for part in ("plural", "singular"):
            text = names.get(part, "")
            if text and text in taken:
                conflict = f"{part.title()}Conflict", f'"{text}" is already in use'
            elif text:
                wanted[part] = text
        shorts = names.get("shortNames") or []
        busy = [t for t in shorts if t in taken]
        if busy:
            conflict = "ShortNamesConflict", f'"{busy[0]}" is already in use'
        elif shorts:
            wanted["shortNames"] = shorts
        for part, label in (("kind", "Kind"), ("listKind", "ListKind")):
            text = names.get(part, "")
            if text and text in kinds:
                conflict = f"{label}Conflict", f'"{text}" is already in use'
            elif text:
                wanted[part] = text
        if names.get("categories"):
            wanted["categories"] = names["categories"]
        return wanted, conflict

    def _serve(self, key: str, obj: Object) -> None:
        terminating = bool(obj["metadata"].get("deletionTimestamp"))
        self.terminating.add(key) if terminating else self.terminating.discard(key)
        mark = encode([obj["spec"], terminating])
        if self._specs.get(key) == mark:
            return
        self._specs[key] = mark
        versions = obj["spec"]["versions"]
        fresh = [self._build(obj, v) for v in versions if v.get("served")]
        siblings = {k.version: k.node for k in fresh}
        for version in versions:
            if version["name"] not in siblings:
                schema = build((version.get("schema") or {}).get("openAPIV3Schema") or {})
                siblings[version["name"]] = to_node(schema, self._core.kinds.types, root=True)
        old = {k.version: k for k in self._served.get(key, ())}
        kept = {k.version for k in fresh}
        for version, kind in old.items():
            if version not in kept:
                self._core.kinds.remove(kind)
        for kind in fresh:
            kind.siblings = siblings
            self._core.kinds.add(kind)
        self._served[key] = fresh
        self._core.store.bucket(fresh[0].bucket if fresh else f"{obj['spec']['group']}/")

    def _withdraw(self, key: str) -> None:
        known = self._specs.pop(key, None) is not None
        if known:
            self._dirty |= set(self._core.store.bucket(self._kind.bucket).objects)
            self._wake.set()
        self.terminating.discard(key)
        for kind in self._served.pop(key, ()):
            self._core.kinds.remove(kind)
            for watch in tuple(self._handlers.watches):
                if watch.bucket.name == kind.bucket:
                    watch.end()
            self._core.store.forget(kind.bucket)

    def _build(self, obj: Object, version: Object) -> Kind:
        spec = obj["spec"]
        names, group = spec["names"], spec["group"]
        types = self._core.kinds.types
        shape = VersionShape(version, types.node("V1ObjectMeta"))
        if not version.get("storage"):
            stored = next((v for v in spec["versions"] if v.get("storage")), None)
            if stored is not None:
                shape.stored_as = build((stored.get("schema") or {}).get("openAPIV3Schema") or {})
        subs = version.get("subresources") or {}
        subresources: dict[str, Subresource] = {}
        verbs = ("get", "patch", "update")
        if "status" in subs:
            subresources["status"] = Subresource(verbs, names["kind"])
        scale = None
        if "scale" in subs:
            subresources["scale"] = Subresource(verbs, "Scale", "autoscaling", "v1")
            paths = subs["scale"]
            scale = ScalePaths(
                paths["specReplicasPath"],
                paths["statusReplicasPath"],
                paths.get("labelSelectorPath", ""),
            )
        has_status = "status" in subs
        return Kind(
            group=group,
            version=version["name"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            kind=names["kind"],
            list_kind=names.get("listKind") or names["kind"] + "List",
            namespaced=spec["scope"] == "Namespaced",
            verbs=VERBS,
            node=to_node(shape.schema, types, root=True),
            behaviour=self._behaviour(shape, version, spec, scale, has_status=has_status),
            bucket=f"{group}/{names['plural']}",
            columns=printer(version),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            subresources=subresources,
            shape=shape,
            definition=obj["metadata"]["name"],
            deprecation=_deprecation(spec, version),
        )

    @staticmethod
    def _behaviour(
        shape: VersionShape,
        version: Object,
        spec: Object,
        scale: ScalePaths | None,
        *,
        has_status: bool,
    ) -> Behaviour:
        """What one version does; objects can be selected by the fields of every version."""
        from kaito.local.apiserver.custom.jsonpaths import JsonPath

        def fields(of: Object) -> Iterator[str]:
            return (p["jsonPath"] for p in of.get("selectableFields") or ())

        paths = {p.lstrip("."): JsonPath(p) for of in spec["versions"] for p in fields(of)}

        forgiven: list[str] = []

        def selectable(obj: Object) -> dict[str, str]:
            found = {}
            for name, path in paths.items():
                values = path.find(obj)
                if values:
                    value = values[0]
                    found[name] = str(value).lower() if isinstance(value, bool) else str(value)
                else:
                    found[name] = ""
            return found

        def validate(obj: Object) -> list[FieldError]:
            return [*shape.validate(obj), *scaled(obj)]

        def scaled(obj: Object) -> list[FieldError]:
            return [*spec_errors(obj, scale), *status_errors(obj, scale)]

        def checked(new: Object, old: Object) -> list[FieldError]:
            forgiven[:] = []
            return shape.validate(new, old, forgiven)

        def validate_update(new: Object, old: Object) -> list[FieldError]:
            return [*checked(new, old), *scaled(new)]

        def validate_status(new: Object, old: Object) -> list[FieldError]:
            """Only the status is looked at, and messages name its fields without it."""
            found = checked(new, old)
            named = [
                replace(
                    e, detail=e.detail.replace(f"{e.field} in body", f"{e.field[7:]} in body", 1)
                )
                if e.field.partition(".")[0] == "status"
                else e
                for e in found
            ]
            return [*named, *status_errors(new, scale)]

        def warnings(obj: Object) -> list[str]:
            found = list(forgiven)
            forgiven[:] = []
            return found

        return Behaviour(
            validate=validate,
            validate_update=validate_update,
            validate_status=validate_status,
            warnings=warnings,
            selectable=selectable,
            selectors=frozenset(p.lstrip(".") for p in fields(version)),
            generation=True,
            has_status=has_status,
            status_owns_metadata=False,
            blind_update=False,
            ignored=(("f:status",),) if has_status else (),
            scale=scale,
        )

    async def _finalize(self, key: str) -> None:
        """Take the instances of a deleted definition away, then its finalizer."""
        core, kind = self._core, self._kind
        record = core.store.bucket(kind.bucket).objects.get(key)
        if record is None:
            return
        obj = kind.value(record)
        meta = obj["metadata"]
        if not meta.get("deletionTimestamp") or FINALIZER not in (meta.get("finalizers") or ()):
            return
        now = core.stamp()
        conditions = obj.setdefault("status", {}).setdefault("conditions", [])
        left = await self._clear(key)
        if left:
            _condition(
                conditions,
                "Terminating",
                "True",
                "InstanceDeletionInProgress",
                "CustomResource deletion is in progress",
                now,
            )
        else:
            _condition(
                conditions,
                "Terminating",
                "False",
                "InstanceDeletionCompleted",
                "removed all instances",
                now,
            )
            meta["finalizers"] = [f for f in meta["finalizers"] if f != FINALIZER]
        record = core.store.bucket(kind.bucket).objects.get(key)
        if record is None:
            return
        try:
            if not left and not meta["finalizers"]:
                core.remove(kind, record)
            elif encode(obj) != encode(kind.value(record)):
                core.save(kind, obj, expect=record.revision)
        except Stale:
            self._dirty.add(key)
        if left:
            self._watch_instances(key)

    def _watch_instances(self, key: str) -> None:
        """Look again when an instance of a terminating definition goes."""
        served = self._served.get(key)
        if served:
            bucket = self._core.store.bucket(served[0].bucket)
            if not any(isinstance(s, _Recheck) for s in bucket.sinks):
                bucket.join(_Recheck(self, key))

    def recheck(self, key: str) -> None:
        self._dirty.add(key)
        self._wake.set()

    async def _clear(self, key: str) -> int:
        served = self._served.get(key) or []
        if not served:
            return 0
        kind = served[0]
        bucket = self._core.store.buckets.get(kind.bucket)
        if bucket is None:
            return 0
        for name in list(bucket.keys()):
            namespace, _, bare = name.rpartition("/")
            record = bucket.objects.get(name)
            if record is None or record.value()["metadata"].get("deletionTimestamp"):
                continue
            call: Call = internal_call(kind, namespace, bare, "delete", USER)
            try:
                await self._handlers.deleter.delete(call, namespace, bare, DeleteOptions())
            except StatusError:
                continue
        return len(bucket.objects)


class _Recheck:
    def __init__(self, definitions: Definitions, key: str) -> None:
        self._definitions = definitions
        self._key = key

    def push(self, event: Event) -> None:
        if event.new is None:
            self._definitions.recheck(self._key)


def _sorted(names: Object) -> Object:
    return dict(sorted(names.items()))


def _is_true(conditions: list[Object], kind: str) -> bool:
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def _condition(
    conditions: list[Object], kind: str, status: str, reason: str, message: str, now: str
) -> None:
    fresh = {
        "type": kind,
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    for i, old in enumerate(conditions):
        if old["type"] == kind:
            if old["status"] == status:
                fresh["lastTransitionTime"] = old["lastTransitionTime"]
            conditions[i] = fresh
            return
    conditions.append(fresh)


def _deprecation(spec: Object, version: Object) -> str:
    """What users of a deprecated version are told: which one to use instead, if there is any."""
    if not version.get("deprecated"):
        return ""
    if version.get("deprecationWarning"):
        return str(version["deprecationWarning"])
    group, kind, name = spec["group"], spec["names"]["kind"], version["name"]
    text = f"{group}/{name} {kind} is deprecated"
    for other in spec["versions"]:
        fine = other.get("served") and not other.get("deprecated")
        if fine and version_rank(other["name"]) < version_rank(name):
            return f"{text}; use {group}/{other['name']} {kind}"
    return text
