"""Built-in kinds that are stored otherwise than shown: events of two groups, revisions."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.opaque import KeptText

Object = dict[str, Any]
NEWER = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
OLDER = {v: k for k, v in NEWER.items()}
OMITTED = {"reportingController": "", "reportingInstance": ""}


class NewerEvents:
    """Events are kept in the form of core/v1; this shows them as events.k8s.io/v1 does."""

    epoch = 0

    def read(self, obj: Object) -> Object:
        found = {NEWER.get(k, k): v for k, v in obj.items()}
        for name, empty in OMITTED.items():
            if found.get(name) == empty:
                del found[name]
        found.setdefault("eventTime", None)
        return found

    def write(self, obj: Object) -> Object:
        kept = {OLDER.get(k, k): v for k, v in obj.items()}
        for name in ("reportingComponent", "reportingInstance"):
            kept.setdefault(name, "")
        kept.setdefault("source", {})
        kept.setdefault("involvedObject", {})
        for name in ("firstTimestamp", "lastTimestamp", "eventTime"):
            kept.setdefault(name, None)
        return kept


SHAPES: dict[tuple[str, str], NewerEvents | KeptText] = {
    ("events.k8s.io", "events"): NewerEvents(),
    ("apps", "controllerrevisions"): KeptText("data"),
}
