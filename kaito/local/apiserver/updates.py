"""Updates: replace, patch and apply, of an object or of its status, under one set of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver import meta as metadata
from kaito.local.apiserver.admission import Admission, Review
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.creates import Creator, check_name, check_place, ownership
from kaito.local.apiserver.facts import FLOWS
from kaito.local.apiserver.fields import FieldError, wrong
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.opaque import copied
from kaito.local.apiserver.options import WriteOptions
from kaito.local.apiserver.ownership.atoms import same
from kaito.local.apiserver.paths import Target
from kaito.local.apiserver.scalars import LONGEST
from kaito.local.apiserver.status import (
    StatusError,
    conflict,
    invalid,
    not_found,
    plain_failure,
)
from kaito.local.apiserver.storage import Record, Stale

Object = dict[str, Any]
Change = Callable[[Object], Object]
KEPT_METADATA = ("labels", "annotations", "finalizers", "ownerReferences")
# Kinds whose keys in the store go by other names than the kinds.
STORED_UNDER = {
    "endpoints": "services/endpoints",
    "ingresses": "ingress",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}
ATTEMPTS = 16  # retries of an update without a version of its own, when others write in between


def parse_version(text: str) -> int:
    """The revision an object names. Raises StatusError where it is no number."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise plain_failure(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    return int(text[:LONGEST])


class Updater:
    """Updates objects of any kind."""

    def __init__(self, core: Core, admission: Admission, creator: Creator) -> None:
        self._core = core
        self._admission = admission
        self._creator = creator

    async def replace(
        self, call: Call, obj: Object, options: WriteOptions, subresource: str = ""
    ) -> tuple[Object, bool]:
        """PUT: the stored object and whether it was created."""
        kind, target = call.kind, call.target
        meta = obj.setdefault("metadata", {})
        check_place(call, meta)
        name = meta["name"]
        check_name(name)
        if repeated := metadata.without_repeated_owners(meta, late=False):
            options.warn(repeated)
        kind.behaviour.default(obj)
        if self._core.record(kind, target.namespace, name) is None:
            if not kind.behaviour.create_by_update:
                raise not_found(kind.group, kind.plural, name)
            if meta.get("uid"):
                raise uid_conflict(kind, target, meta["uid"], "", dry_run=options.dry_run)
            parse_version(meta.get("resourceVersion", ""))
            if not options.dry_run:
                meta.pop("resourceVersion", None)
            return await self._creator.create(call, obj, options), True
        return await self.update(
            call, lambda live: copied(obj), options, subresource=subresource, replacing=True
        ), False

    async def update(
        self,
        call: Call,
        change: Change,
        options: WriteOptions,
        *,
        subresource: str = "",
        replacing: bool = False,
        owned: bool = False,
    ) -> Object:
        """Store what `change` makes of the live object; `owned` when it set managedFields.

        A change that makes no difference stores nothing and answers the live object.
        """
        kind, core = call.kind, self._core
        for _ in range(ATTEMPTS):
            record = core.record(kind, call.target.namespace, call.target.name)
            if record is None:
                raise not_found(kind.group, kind.plural, call.target.name)
            try:
                return await self._attempt(
                    call, record, change, options, subresource, replacing, owned
                )
            except Stale:
                continue
        raise conflict(kind.group, kind.plural, call.target.name)

    async def _attempt(
        self,
        call: Call,
        record: Record,
        change: Change,
        options: WriteOptions,
        subresource: str,
        replacing: bool,
        owned: bool,
    ) -> Object:
        kind, core, behaviour = call.kind, self._core, call.kind.behaviour
        live = kind.value(record)
        old_meta = live["metadata"]
        new = change(kind.value(record))
        meta = new["metadata"]
        given_uid = meta.get("uid", "")
        if not replacing:
            check_place(call, meta)
        if replacing and given_uid and given_uid != old_meta["uid"]:
            raise uid_conflict(
                kind, call.target, given_uid, old_meta["uid"], dry_run=options.dry_run
            )
        if not owned:
            rules = ownership(core.kinds, kind, subresource)
            rules.update(live, new, options.manager, core.stamp())
        review = Review("UPDATE", call, new, live, options, subresource)
        await self._admission.mutate(review)
        new = review.object
        kind.hollow(new)
        meta = new["metadata"]
        if repeated := metadata.without_repeated_owners(meta, late=True):
            options.warn(repeated)
        version = parse_version(meta.get("resourceVersion", ""))
        errors: list[FieldError] = []
        if not version and not behaviour.blind_update:
            errors.append(wrong("metadata.resourceVersion", 0, "must be specified for an update"))
            raise invalid(kind.group, kind.plural, call.target.name, errors)
        if version and version != record.revision:
            raise conflict(kind.group, kind.plural, call.target.name)
        self._prepare(kind, new, live, subresource)
        meta = new["metadata"]
        errors = metadata.update_errors(
            meta,
            old_meta,
            namespaced=kind.namespaced,
            rule=behaviour.name_rule,
            plural=kind.plural,
            custom=kind.custom,
            again=metadata.repeats(kind.plural, subresource, custom=kind.custom),
        )
        if subresource == "status":
            errors += behaviour.validate_status(new, live)
        elif subresource in behaviour.parts:
            errors += behaviour.parts[subresource].validate(new, live)
        elif not subresource or subresource == "scale" or behaviour.validate is not None:
            errors += behaviour.validate_update(new, live)
        if errors:
            raise invalid(kind.error_group, kind.kind, call.target.name, errors)
        for text in self._warnings(kind, new, live, subresource):
            options.warn(text)
        await self._admission.validate(review)
        return self._save(kind, record, new, live, options)

    @staticmethod
    def _warnings(kind: Kind, new: Object, live: Object, subresource: str) -> list[str]:
        """Built-in kinds that count generations warn again only when they count a new one."""
        behaviour = kind.behaviour
        if kind.custom:
            late = metadata.finalizer_warnings(new["metadata"], live["metadata"])
            return [*behaviour.warnings(new), *late]
        if subresource == "status":
            return behaviour.status_warnings(new)
        counted = new["metadata"].get("generation") != live["metadata"].get("generation")
        if subresource or (behaviour.generation and not counted):
            return []
        return behaviour.warnings(new)

    def _prepare(self, kind: Kind, new: Object, live: Object, subresource: str) -> None:
        """Put back what an update cannot touch; count a generation where something changed."""
        behaviour = kind.behaviour
        meta, old = new["metadata"], live["metadata"]
        if "generation" in old:
            meta["generation"] = old["generation"]
        else:
            meta.pop("generation", None)
        if subresource == "status":
            self._only_status(kind, new, live)
            behaviour.before_status(new, live)
        else:
            if subresource in behaviour.parts:
                for name in KEPT_METADATA:
                    _copy(meta, old, name)
                behaviour.parts[subresource].prepare(new, live)
            if behaviour.has_status:
                _copy(new, live, "status")
            if subresource != "finalize":
                behaviour.before_update(new, live)
            if behaviour.generation and changed(kind, new, live):
                meta["generation"] = old.get("generation", 0) + 1
        meta = new["metadata"]
        if not meta.get("uid"):
            meta["uid"] = old["uid"]
        meta["creationTimestamp"] = old["creationTimestamp"]
        meta.pop("selfLink", None)
        if old.get("deletionTimestamp"):
            meta["deletionTimestamp"] = old["deletionTimestamp"]
        if (
            old.get("deletionGracePeriodSeconds") is not None
            and meta.get("deletionGracePeriodSeconds") is None
        ):
            meta["deletionGracePeriodSeconds"] = old["deletionGracePeriodSeconds"]

    @staticmethod
    def _only_status(kind: Kind, new: Object, live: Object) -> None:
        if not kind.behaviour.status_owns_metadata:
            managed = new["metadata"].get("managedFields")
            version = new["metadata"].get("resourceVersion")
            uid = new["metadata"].get("uid")
            new["metadata"] = dict(live["metadata"])
            new["metadata"]["resourceVersion"] = version
            if uid and not kind.custom and kind.plural not in FLOWS:
                new["metadata"]["uid"] = uid
            if managed is not None:
                new["metadata"]["managedFields"] = managed
            else:
                new["metadata"].pop("managedFields", None)
        for name in {*new, *live} - {"metadata", "status", "apiVersion", "kind"}:
            _copy(new, live, name)

    def _save(
        self, kind: Kind, record: Record, new: Object, live: Object, options: WriteOptions
    ) -> Object:
        core, meta = self._core, new["metadata"]
        meta["resourceVersion"] = str(record.revision)
        settle_times(meta, live["metadata"])
        if new != live:
            new = kind.kept(new)
        if new == live and (not kind.custom or same(new, live)):
            return live
        inner = (new.get("spec") or {}).get("finalizers") if kind.plural == "namespaces" else None
        finished = (
            meta.get("deletionTimestamp")
            and not meta.get("finalizers")
            and not inner
            and not meta.get("deletionGracePeriodSeconds")
        )
        if finished:
            if not options.dry_run:
                core.remove(kind, record)
            return new
        if options.dry_run:
            return new
        saved = core.save(kind, new, expect=record.revision)
        if kind.custom:
            return kind.value(saved)
        meta["resourceVersion"] = str(saved.revision)
        return new


def uid_conflict(
    kind: Kind, target: Target, given: str, found: str, *, dry_run: bool
) -> StatusError:
    """The answer to a PUT over an object with another uid, or over none."""
    key = f"/{storage_path(kind)}/{kind.key(target.namespace, target.name)}"
    if not dry_run:
        key = f"/registry{key}"
    return conflict(
        kind.group,
        kind.plural,
        target.name,
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, "
        f"AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, "
        f"UID in object meta: {found}",
    )


def storage_path(kind: Kind) -> str:
    if kind.custom:
        return f"{kind.group}/{kind.plural}"
    return STORED_UNDER.get(kind.plural, kind.plural)


def _copy(new: Object, live: Object, name: str) -> None:
    if name in live:
        new[name] = live[name]
    else:
        new.pop(name, None)


def changed(kind: Kind, new: Object, live: Object) -> bool:
    """Did anything outside metadata (and status, where it is apart) change?"""
    if kind.behaviour.counts_nothing:
        return False
    if kind.behaviour.counts_annotations and new["metadata"].get("annotations") != live[
        "metadata"
    ].get("annotations"):
        return True
    if kind.behaviour.counts_labels and new["metadata"].get("labels") != live["metadata"].get(
        "labels"
    ):
        return True
    ignored = {"metadata", "apiVersion", "kind"}
    if kind.behaviour.has_status:
        ignored.add("status")
    return not same(
        {k: v for k, v in new.items() if k not in ignored},
        {k: v for k, v in live.items() if k not in ignored},
    )


def settle_times(meta: Object, old: Object) -> None:
    """Keep the old managedFields where only their times differ."""
    new_entries, old_entries = meta.get("managedFields"), old.get("managedFields")
    if not new_entries or not old_entries or len(new_entries) != len(old_entries):
        return

    def bare(entries: list[Object]) -> list[Object]:
        return [{k: v for k, v in e.items() if k != "time"} for e in entries]

    if new_entries != old_entries and bare(new_entries) == bare(old_entries):
        meta["managedFields"] = old_entries
