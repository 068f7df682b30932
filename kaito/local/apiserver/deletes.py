"""Deletion: finalizers, grace, propagation, preconditions, one object or a collection."""

from __future__ import annotations

import math
from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.admission import Admission, Review
from kaito.local.apiserver.core import Call, Core
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.meta import FOREGROUND, ORPHAN
from kaito.local.apiserver.options import DeleteOptions, WriteOptions
from kaito.local.apiserver.status import bad_request, conflict, not_found
from kaito.local.apiserver.storage import Record, Stale

Object = dict[str, Any]


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
        if options.resource_version and not options.resource_version.isdigit():
            raise bad_request(
                f'strconv.ParseUint: parsing "{options.resource_version}": invalid syntax'
            )
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
        if options.uid and options.uid != meta["uid"]:
            raise conflict(
                kind.group,
                kind.kind,
                meta["name"],
                f"the UID in the precondition ({options.uid}) does not match the UID "
                f"in record ({meta['uid']}). The object might have been deleted and "
                "then recreated",
            )
        if options.resource_version and options.resource_version != meta["resourceVersion"]:
            raise conflict(
                kind.group,
                kind.kind,
                meta["name"],
                f"the ResourceVersion in the precondition ({options.resource_version}) "
                f"does not match the ResourceVersion in record "
                f"({meta['resourceVersion']}). The object might have been modified",
            )

    def _mark(
        self, kind: Kind, record: Record, obj: Object, options: DeleteOptions
    ) -> tuple[Object, bool]:
        meta = obj["metadata"]
        before = (
            meta.get("deletionTimestamp"),
            meta.get("deletionGracePeriodSeconds"),
            list(meta.get("finalizers") or ()),
        )
        finalizers = self._finalizers(kind, meta, options)
        if finalizers:
            meta["finalizers"] = finalizers
        else:
            meta.pop("finalizers", None)
        hold = kind.behaviour.hold
        if hold is not None and hold(obj, self._core.stamp()):
            return self._held(kind, record, obj, options, pending=bool(before[0]))
        grace = 0
        if kind.behaviour.grace is not None:
            grace = self._grace(kind, obj, options)
        pending = bool(meta.get("deletionTimestamp"))
        if not pending:
            if not finalizers and grace == 0:
                if kind.behaviour.grace is not None:
                    self._stamp(kind, obj, 0)
                return self._finish(kind, record, obj, options)
            self._stamp(kind, obj, grace)
        elif kind.behaviour.grace is not None:
            left = meta.get("deletionGracePeriodSeconds") or 0
            if grace < left:
                due = times.parse(meta["deletionTimestamp"]).timestamp() - left
                meta["deletionTimestamp"] = times.stamp(due + grace)
                meta["deletionGracePeriodSeconds"] = grace
            if not meta.get("deletionGracePeriodSeconds") and not finalizers:
                return self._finish(kind, record, obj, options)
        elif not finalizers:
            return self._finish(kind, record, obj, options)
        after = (
            meta.get("deletionTimestamp"),
            meta.get("deletionGracePeriodSeconds"),
            list(meta.get("finalizers") or ()),
        )
        if after != before and not options.dry_run:
            saved = self._core.save(kind, obj, expect=record.revision)
            meta["resourceVersion"] = str(saved.revision)
        return obj, False

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

    def _finish(
        self, kind: Kind, record: Record, obj: Object, options: DeleteOptions
    ) -> tuple[Object, bool]:
        if not options.dry_run:
            obj["metadata"]["resourceVersion"] = str(self._core.remove(kind, record))
        return obj, True

    def _held(
        self, kind: Kind, record: Record, obj: Object, options: DeleteOptions, *, pending: bool
    ) -> tuple[Object, bool]:
        """Store the mark of a kind that ends in its own way, once."""
        if not pending and not options.dry_run:
            saved = self._core.save(kind, obj, expect=record.revision)
            obj["metadata"]["resourceVersion"] = str(saved.revision)
        return obj, False
