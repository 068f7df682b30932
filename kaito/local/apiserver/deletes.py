"""Deletion: finalizers, grace, propagation, preconditions, one object or a collection."""

from __future__ import annotations

import math
from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.admission import Admission, Review
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.deleteoptions import DeleteOptions
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.meta import FOREGROUND, ORPHAN
from kaito.local.apiserver.options import WriteOptions
from kaito.local.apiserver.status import conflict, not_found
from kaito.local.apiserver.storage import Record, Stale

Object = dict[str, Any]
# What is said where a deletion says nothing of dependents.
SILENT = {
    ("batch", "jobs"): (
        "child pods are preserved by default when jobs are deleted; set "
        "propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress "
        "this warning"
    )
}


class Deleter:
    """Deletes objects of any kind."""

    def __init__(self, core: Core, admission: Admission) -> None:
        self._core = core
        self._admission = admission

    async def delete(
        self, call: Call, namespace: str, name: str, options: DeleteOptions
    ) -> tuple[Object, bool]:
        """The object as it was last, and whether it is gone. Raises StatusError."""
        kind, core = call.kind, self._core
        note = SILENT.get((kind.group, kind.plural))
        if note and options.silent and note not in call.warnings:
            call.warnings.append(note)
        while True:
            record = core.record(kind, namespace, name)
            if record is None:
                raise not_found(kind.group, kind.plural, name)
            obj = kind.value(record)
            self.check(kind, obj, options)
            review = Review(
                "DELETE", call, obj, obj, WriteOptions("", dry_run=options.dry_run), name=name
            )
            await self._admission.validate(review)
            try:
                return self._mark(kind, record, obj, options)
            except Stale:
                continue

    @staticmethod
    def check(kind: Kind, obj: Object, options: DeleteOptions) -> None:
        """The object is the one and in the state that was meant. Raises StatusError."""
        meta = obj["metadata"]
        checks = (
            ("UID", options.uid, meta["uid"], "deleted and then recreated"),
            (
                "ResourceVersion",
                options.resource_version,
                meta["resourceVersion"],
                "modified",
            ),
        )
        for what, wanted, found, done in checks:
            if wanted is None or wanted == found:
                continue
            if kind.behaviour.hold is not None:
                why = (
                    f"Precondition failed: {what} in precondition: {wanted}, "
                    f"{what} in object meta: {found}"
                )
                raise conflict(kind.group, kind.plural, meta["name"], why)
            why = (
                f"the {what} in the precondition ({wanted}) does not match the {what} in record "
                f"({found}). The object might have been {done}"
            )
            raise conflict(kind.error_group, kind.kind, meta["name"], why)

    def _mark(
        self, kind: Kind, record: Record, obj: Object, options: DeleteOptions
    ) -> tuple[Object, bool]:
        meta = obj["metadata"]
        graceful = kind.behaviour.grace is not None
        pending = bool(meta.get("deletionTimestamp"))
        before = (
            meta.get("deletionTimestamp"),
            meta.get("deletionGracePeriodSeconds"),
            list(meta.get("finalizers") or ()),
        )
        if graceful and pending and not self._shorten(meta, options):
            return obj, False
        finalizers = self._finalizers(kind, meta, options)
        if finalizers:
            meta["finalizers"] = finalizers
        else:
            meta.pop("finalizers", None)
        hold = kind.behaviour.hold
        if hold is not None and hold(obj, self._core.stamp()):
            return self._held(kind, record, obj, options, pending=pending)
        if graceful and not pending:
            self._stamp(kind, obj, self._grace(kind, obj, options))
        elif not graceful and finalizers and not pending:
            self._stamp(kind, obj, 0)
        stays = bool(finalizers or (graceful and meta["deletionGracePeriodSeconds"]))
        after = (
            meta.get("deletionTimestamp"),
            meta.get("deletionGracePeriodSeconds"),
            list(meta.get("finalizers") or ()),
        )
        if (graceful or stays) and after != before and not options.dry_run:
            record = self._core.save(kind, obj, expect=record.revision)
            meta["resourceVersion"] = str(record.revision)
        if not stays and not options.dry_run:
            meta["resourceVersion"] = str(self._core.remove(kind, record))
        return obj, not stays

    @staticmethod
    def _shorten(meta: Object, options: DeleteOptions) -> bool:
        """Bring a pending deletion forward; False where there is nothing more to do."""
        left = meta.get("deletionGracePeriodSeconds") or 0
        if not left:
            return True
        wanted = options.grace
        if wanted is not None and wanted < 0:
            wanted = 1
        if wanted is None or wanted >= left:
            return False
        due = times.parse(meta["deletionTimestamp"]).timestamp() - left
        meta["deletionTimestamp"] = times.stamp(due + wanted)
        meta["deletionGracePeriodSeconds"] = wanted
        return True

    def _stamp(self, kind: Kind, obj: Object, grace: int) -> None:
        meta = obj["metadata"]
        meta["deletionTimestamp"] = times.stamp(math.floor(self._core.clock.now()) + grace)
        meta["deletionGracePeriodSeconds"] = grace
        if meta.get("generation", 0) > 0:
            meta["generation"] += 1

    def _grace(self, kind: Kind, obj: Object, options: DeleteOptions) -> int:
        assert kind.behaviour.grace is not None
        wanted = options.grace
        if wanted is None:
            wanted = kind.behaviour.grace(obj)
        elif wanted < 0:
            wanted = 1
        phase = (obj.get("status") or {}).get("phase")
        if not (obj.get("spec") or {}).get("nodeName") or phase in {"Succeeded", "Failed"}:
            return 0
        return wanted

    @staticmethod
    def _finalizers(kind: Kind, meta: Object, options: DeleteOptions) -> list[str]:
        found = list(meta.get("finalizers") or ())
        if kind.plural == "events" and not kind.custom:
            return [f for f in found if f not in {ORPHAN, FOREGROUND}]
        if options.propagation == "Orphan" or options.orphan:
            wanted = ORPHAN
        elif options.propagation == "Foreground":
            wanted = FOREGROUND
        elif options.propagation == "Background" or options.orphan is False:
            wanted = ""
        elif kind.behaviour.orphans_by_default and not any(
            f in found for f in (ORPHAN, FOREGROUND)
        ):
            wanted = ORPHAN
        else:
            return found
        found = [f for f in found if f not in {ORPHAN, FOREGROUND} or f == wanted]
        if wanted and wanted not in found:
            found.append(wanted)
        return found

    def _held(
        self, kind: Kind, record: Record, obj: Object, options: DeleteOptions, *, pending: bool
    ) -> tuple[Object, bool]:
        """Store the mark of a kind that ends in its own way, once."""
        if not pending and not options.dry_run:
            saved = self._core.save(kind, obj, expect=record.revision)
            obj["metadata"]["resourceVersion"] = str(saved.revision)
        return obj, False
