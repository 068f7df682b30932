"""Creation of objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from kaito.local.apiserver import meta as metadata
from kaito.local.apiserver import names
from kaito.local.apiserver.admission import Admission, Review
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.opaque import copied
from kaito.local.apiserver.options import WriteOptions
from kaito.local.apiserver.ownership import checking
from kaito.local.apiserver.ownership.managers import Ownership, Unconvertible, View, Views
from kaito.local.apiserver.status import (
    StatusError,
    already_exists,
    bad_request,
    forbidden,
    invalid,
    not_found,
    plain_failure,
)
from kaito.local.apiserver.storage import Stale

Object = dict[str, Any]
CLEARED = (
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "uid",
    "creationTimestamp",
)
UNSEEN = (("f:metadata",), ("f:spec",))  # parts of a custom resource that its status never owns
RETRIES = 8  # attempts at a free generated name


def views(kinds: Kinds, kind: Kind) -> Views:
    """The other versions of a kind, as ownership sees them."""

    def custom(version: str) -> View:
        group, _, name = version.rpartition("/")
        node = kind.siblings.get(name)
        if group != kind.group or node is None:
            raise Unconvertible(f"request to convert CR to an invalid group/version: {version}")

        def convert(obj: Object) -> Object:
            shown = {**obj, "apiVersion": version}
            try:
                checking.validate(node, shown)
            except checking.Mismatch as error:
                raise Unconvertible(str(error)) from error
            return shown

        return View(node, convert)

    def built_in(version: str) -> View | None:
        found = next(
            (k for k in kinds if (k.bucket, k.api_version) == (kind.bucket, version)), None
        )
        if found is None:
            return None
        other = found

        def convert(obj: Object) -> Object:
            stored = kind.stored(copied(obj))
            return other.shape.read(stored) if other.shape else stored

        return View(other.node, convert)

    return custom if kind.custom else built_in


def ownership(kinds: Kinds, kind: Kind, subresource: str = "") -> Ownership:
    """Who may own what through the object itself or through a subresource."""
    behaviour = kind.behaviour
    seen = views(kinds, kind)
    if subresource == "status":
        return Ownership(
            kind.node,
            kind.api_version,
            subresource,
            ignored=UNSEEN if kind.custom else behaviour.status_ignored,
            only=(("f:status",),) if not (kind.custom or behaviour.status_owns_metadata) else (),
            views=seen,
        )
    ignored = () if subresource in behaviour.parts else behaviour.ignored
    return Ownership(
        kind.node,
        kind.api_version,
        subresource,
        ignored=ignored,
        views=seen,
        everywhere=not kind.custom,
    )


def check_namespace(call: Call, obj: Object) -> None:
    """The object's namespace becomes the path's. Raises StatusError where they differ."""
    meta = obj["metadata"]
    wanted = call.target.namespace
    given = meta.get("namespace", "")
    if call.kind.namespaced:
        if given and given != wanted:
            raise bad_request(
                "the namespace of the provided object does not match the namespace "
                "sent on the request"
            )
        meta["namespace"] = wanted
    elif given:
        del meta["namespace"]


def check_name(name: str) -> None:
    """Whether a name can be part of a path at all. Raises StatusError."""
    if faults := names.path_segment(name):
        raise bad_request(f"Name parameter invalid: {go_quote(name)}: {', '.join(faults)}")


def check_place(call: Call, meta: Object) -> None:
    """An object's namespace becomes the path's, its name is the path's. Raises StatusError."""
    check_namespace(call, {"metadata": meta})
    name, wanted = meta.get("name", ""), call.target.name
    if not name:
        raise bad_request(
            f"the name of the object ({wanted} based on URL) was undeterminable: "
            "name must be provided"
        )
    if name != wanted:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({wanted})"
        )


class Creator:
    """Creates objects of any kind."""

    def __init__(self, core: Core, admission: Admission) -> None:
        self._core = core
        self._admission = admission

    async def create(
        self,
        call: Call,
        obj: Object,
        options: WriteOptions,
        *,
        applied: bool = False,
        mutate: Callable[[Object], Awaitable[None]] | None = None,
    ) -> Object:
        """The stored object. `obj` is decoded; `applied` says that ownership is already set."""
        kind, core = call.kind, self._core
        meta = obj.setdefault("metadata", {})
        check_namespace(call, obj)
        for name in CLEARED:
            meta.pop(name, None)
        if not applied:
            kind.behaviour.default(obj)
        if repeated := metadata.without_repeated_owners(meta, late=applied):
            options.warn(repeated)
        now = core.stamp()
        self._live_namespace(kind, meta)
        generated = not meta.get("name") and meta.get("generateName")
        for attempt in range(RETRIES if generated else 1):
            attempted = obj if not generated else {**obj, "metadata": dict(meta)}
            if generated:
                prefix = meta["generateName"][:58]
                attempted["metadata"]["name"] = prefix + core.suffix()
            try:
                return await self._store(call, attempted, options, now, applied=applied)
            except StatusError as error:
                if not generated or error.reason != "AlreadyExists" or attempt == RETRIES - 1:
                    raise
        raise AssertionError("unreachable")

    def _live_namespace(self, kind: Kind, meta: Object) -> None:
        if not kind.namespaced:
            return
        name = meta["namespace"]
        namespaces = self._core.kinds.get("", "v1", "namespaces")
        assert namespaces is not None
        found = self._core.record(namespaces, "", name)
        if found is None:
            raise not_found("", "namespaces", name)
        if found.selectable.get("status.phase") == "Terminating":
            error = forbidden(
                kind.group,
                kind.plural,
                meta.get("name", ""),
                f"unable to create new content in namespace {name} because it is being terminated",
            )
            assert error.details is not None
            error.details["causes"] = [
                {
                    "reason": "NamespaceTerminating",
                    "field": "metadata.namespace",
                    "message": f"namespace {name} is being terminated",
                }
            ]
            raise error

    async def _store(
        self, call: Call, obj: Object, options: WriteOptions, now: str, *, applied: bool
    ) -> Object:
        kind, core, behaviour = call.kind, self._core, call.kind.behaviour
        meta = obj["metadata"]
        if not applied:
            ownership(core.kinds, kind).update(empty(kind), obj, options.manager, now)
        review = Review("CREATE", call, obj, None, options)
        await self._admission.mutate(review)
        obj = review.object
        meta = obj["metadata"]
        version = meta.pop("resourceVersion", None)
        if version not in (None, "", "0") and not options.dry_run:
            raise plain_failure("resourceVersion should not be set on objects to be created")
        if behaviour.generation:
            meta["generation"] = 1
        if behaviour.keeps_status:
            pass
        elif behaviour.has_status and not kind.custom:
            obj["status"] = _zero_status(kind)
        elif behaviour.has_status:
            obj.pop("status", None)
        behaviour.before_create(obj)
        meta["uid"] = core.new_uid()
        meta["creationTimestamp"] = now
        if behaviour.after_identity is not None:
            behaviour.after_identity(obj, meta["uid"])
        errors = metadata.validate(
            meta,
            namespaced=kind.namespaced,
            rule=behaviour.name_rule,
            custom=kind.custom or kind.plural in metadata.LOOSE,
            prefixed=True,
        )
        errors += behaviour.validate(obj)
        if errors:
            raise invalid(kind.error_group, kind.kind, meta.get("name", ""), errors)
        for text in (*behaviour.name_warnings(obj), *behaviour.warnings(obj)):
            options.warn(text)
        for text in metadata.finalizer_warnings(meta, {}) if kind.custom else ():
            options.warn(text)
        await self._admission.validate(review)
        existing = core.record(kind, meta.get("namespace", ""), meta["name"])
        if existing is not None:
            error = already_exists(kind.group, kind.plural, meta["name"])
            if b'"deletionTimestamp"' in existing.raw and existing.value()["metadata"].get(
                "deletionTimestamp"
            ):
                error.message = "object is being deleted: " + error.message
            raise error
        if options.dry_run:
            if version:
                meta["resourceVersion"] = version
            return kind.kept(obj)
        try:
            record = core.save(kind, obj, expect=0)
        except Stale as error:
            raise already_exists(kind.group, kind.plural, meta["name"]) from error
        if kind.custom:
            return kind.value(record)
        meta["resourceVersion"] = str(record.revision)
        return obj


def empty(kind: Kind) -> Object:
    """What a new object is compared with: nothing, or the zero value of a built-in kind."""
    if kind.custom:
        return {}
    from kaito.local.apiserver.typed import zero_of

    found: Object = zero_of(kind.node)
    return found


def _zero_status(kind: Kind) -> Any:
    from kaito.local.apiserver.typed import zero_of

    known = kind.node.fields.get("status")
    return zero_of(known.node) if known is not None else {}
