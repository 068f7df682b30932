"""managedFields: who owns which fields, after updates and after server-side apply.

Pure functions over decoded objects. Times are text; the caller decides what now is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from kaito.local.apiserver.jsontext import encode_sorted
from kaito.local.apiserver.ownership import structured
from kaito.local.apiserver.ownership.paths import (
    IllFormed,
    Path,
    listed,
    paths,
    printed,
    trie,
)
from kaito.local.apiserver.schema import Node
from kaito.local.apiserver.status import StatusError
from kaito.local.apiserver.typed import zero_of

MANY_UPDATERS = 10  # beyond it the oldest are merged into one entry
STRIPPED = {
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    ("f:metadata", "f:name"),
    ("f:metadata", "f:namespace"),
    ("f:metadata", "f:creationTimestamp"),
    ("f:metadata", "f:selfLink"),
    ("f:metadata", "f:uid"),
    ("f:metadata", "f:clusterName"),
    ("f:metadata", "f:generation"),
    ("f:metadata", "f:managedFields"),
    ("f:metadata", "f:resourceVersion"),
}
KUBECTL = "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Manager(NamedTuple):
    """Who a field set belongs to. Appliers are the same in every version."""

    name: str
    operation: str
    api_version: str
    subresource: str

    def text(self) -> str:
        shown = f'"{self.name}"'
        if self.subresource:
            shown += f' with subresource "{self.subresource}"'
        return f"{shown} using {self.api_version}" if self.operation == "Update" else shown


@dataclass(slots=True)
class Owned:
    fields: set[Path]
    version: str
    time: str


class Conflicts(Exception):
    """An apply met fields of others; `found` names managers and paths."""

    def __init__(self, found: list[tuple[Manager, Path]]) -> None:
        super().__init__("conflicts")
        self.found = found

    def status(self) -> StatusError:
        causes = [
            {
                "reason": "FieldManagerConflict",
                "message": f"conflict with {m.text()}",
                "field": printed(p),
            }
            for m, p in self.found
        ]
        if len(self.found) == 1:
            manager, path = self.found[0]
            message = (
                f"Apply failed with 1 conflict: conflict with {manager.text()}: {printed(path)}"
            )
        else:
            lines = []
            for manager in sorted({m for m, _ in self.found}, key=lambda m: m.name):
                lines.append(f"conflicts with {manager.text()}:")
                lines += [f"- {printed(p)}" for m, p in self.found if m == manager]
            message = f"Apply failed with {len(self.found)} conflicts: " + "\n".join(lines)
        return StatusError(409, "Conflict", message, {"causes": causes})


Managed = dict[Manager, Owned]


def identify(name: str, operation: str, version: str, subresource: str) -> Manager:
    return Manager(name, operation, "" if operation == "Apply" else version, subresource)


def decode(entries: Any) -> Managed:
    """Raises IllFormed on entries that the server would not write."""
    managed: Managed = {}
    for entry in entries or ():
        if not isinstance(entry, dict) or entry.get("fieldsType", "") not in {"FieldsV1"}:
            raise IllFormed("invalid fields type")
        operation = entry.get("operation", "")
        if operation not in {"Apply", "Update"}:
            raise IllFormed("invalid operation")
        key = identify(
            entry.get("manager", ""),
            operation,
            entry.get("apiVersion", ""),
            entry.get("subresource", ""),
        )
        managed[key] = Owned(
            paths(entry.get("fieldsV1") or {}), entry.get("apiVersion", ""), entry.get("time", "")
        )
    return managed


def encode(managed: Managed) -> list[dict[str, Any]]:
    entries = []
    order = sorted(
        managed.items(),
        key=lambda i: (i[0].operation, i[1].time, i[0].name, i[1].version, i[0].subresource),
    )
    for manager, owned in order:
        entry: dict[str, Any] = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": owned.version,
        }
        if owned.time:
            entry["time"] = owned.time
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = trie(owned.fields)
        if manager.subresource:
            entry["subresource"] = manager.subresource
        if not manager.name:
            del entry["manager"]
        entries.append(entry)
    return entries


def lenient(entries: Any) -> Managed:
    try:
        return decode(entries)
    except (IllFormed, TypeError, AttributeError):
        return {}


def is_reset(metadata: dict[str, Any]) -> bool:
    entries = metadata.get("managedFields")
    return entries == [] or entries == [{}]


class Ownership:
    """The rules for one resource in one version, on the object itself or a subresource.

    `ignored` are path prefixes that this endpoint never owns; `only` the prefix it may own alone.
    """

    def __init__(
        self,
        node: Node,
        version: str,
        subresource: str = "",
        *,
        ignored: tuple[Path, ...] = (),
        only: tuple[Path, ...] = (),
    ) -> None:
        self.node = node
        self.version = version
        self.subresource = subresource
        self._ignored = ignored
        self._only = only

    def _mine(self, found: set[Path]) -> set[Path]:
        if self._ignored:
            found = {p for p in found if not any(p[: len(i)] == i for i in self._ignored)}
        if self._only:
            found = {p for p in found if any(p[: len(o)] == o for o in self._only)}
        return found

    def update(self, live: dict[str, Any], new: dict[str, Any], manager: str, now: str) -> None:
        """Set `new`'s managedFields after a create, replace or patch. `live` is {} on create."""
        live_meta, new_meta = live.get("metadata") or {}, new["metadata"]
        if self.subresource:
            managed = lenient(live_meta.get("managedFields"))
        elif is_reset(new_meta):
            new_meta.pop("managedFields")
            return
        else:
            managed = lenient(new_meta.get("managedFields")) or lenient(
                live_meta.get("managedFields")
            )
        new_meta.pop("managedFields", None)
        if not managed and live_meta.get("uid"):
            return  # nobody owns anything: tracking begins anew with the first apply
        bare = (
            {**live, "metadata": {k: v for k, v in live_meta.items() if k != "managedFields"}}
            if live
            else live
        )
        self._record(bare, new, managed, manager, now)
        if managed:
            new_meta["managedFields"] = encode(managed)

    def _record(
        self, live: dict[str, Any], new: dict[str, Any], managed: Managed, manager: str, now: str
    ) -> None:
        me = identify(manager, "Update", self.version, self.subresource)
        before = set(managed[me].fields) if me in managed else None
        comparison = self._settle(live, new, managed, me, force=True)
        mine = managed.get(me) or Owned(set(), self.version, "")
        fields = (
            self._mine((mine.fields - comparison.removed) | comparison.modified | comparison.added)
            - STRIPPED
        )
        if not fields:
            managed.pop(me, None)
            return
        managed[me] = Owned(fields, self.version, mine.time if fields == before else now)
        self._cap(managed)

    def _cap(self, managed: Managed) -> None:
        updaters = sorted(
            (m for m in managed if m.operation == "Update"), key=lambda m: (managed[m].time, m.name)
        )
        excess = len(updaters) - MANY_UPDATERS
        if excess <= 0:
            return
        for old in updaters[: excess + 1]:
            owned = managed.pop(old)
            key = identify("ancient-changes", "Update", owned.version, old.subresource)
            before = managed.get(key)
            managed[key] = Owned(
                owned.fields | (before.fields if before else set()), owned.version, owned.time
            )

    def _settle(
        self, live: Any, new: Any, managed: Managed, me: Manager, *, force: bool
    ) -> structured.Comparison:
        """Take changed and removed fields from the others. Raises Conflicts unless forced."""
        comparison = structured.compare(self.node, live or {}, new)
        comparison.added = self._mine(comparison.added)
        comparison.modified = self._mine(comparison.modified)
        comparison.removed = self._mine(comparison.removed)
        changed = comparison.added | comparison.modified
        conflicts: dict[Manager, set[Path]] = {}
        for manager, owned in managed.items():
            if manager != me:
                both = owned.fields & changed
                if both:
                    conflicts[manager] = both
        if conflicts and not force:
            raise Conflicts(
                [(m, p) for m in sorted(conflicts) for p in sorted(conflicts[m], key=listed)]
            )
        for manager in list(managed):
            if manager == me:
                continue
            owned = managed[manager]
            left = owned.fields - conflicts.get(manager, set()) - comparison.removed
            if left:
                managed[manager] = Owned(left, owned.version, owned.time)
            else:
                del managed[manager]
        return comparison

    def apply(
        self, live: dict[str, Any], applied: dict[str, Any], manager: str, *, force: bool, now: str
    ) -> dict[str, Any]:
        """The object after a server-side apply, managedFields set. Raises Conflicts, Mismatch.

        `live` is an empty object of the kind when the apply creates it.
        """
        structured.validate(self.node, applied)
        managed = lenient((live.get("metadata") or {}).get("managedFields"))
        metadata = {k: v for k, v in (live.get("metadata") or {}).items() if k != "managedFields"}
        bare = {**live, "metadata": metadata}
        if not managed and metadata.get("uid"):
            empty = zero_of(self.node) if self.node.name else {}
            self._record(
                {**empty, "apiVersion": live["apiVersion"], "kind": live["kind"]},
                bare,
                managed,
                "before-first-apply",
                now,
            )
        me = identify(manager, "Apply", self.version, self.subresource)
        last = managed.get(me)
        mine = self._mine(structured.field_set(self.node, applied))
        managed[me] = Owned(mine, self.version, last.time if last else "")
        merged = structured.merge(self.node, bare, applied)
        if last is not None and last.fields:
            merged = self._prune(merged, managed, last.fields)
        attempt = {m: Owned(set(o.fields), o.version, o.time) for m, o in managed.items()}
        try:
            self._settle(bare, merged, attempt, me, force=force)
        except Conflicts as conflict:
            if not self._last_applied_covers(bare, merged, conflict):
                raise
            self._settle(bare, merged, attempt, me, force=True)
        managed = attempt
        managed[me].fields -= STRIPPED
        if not managed[me].fields:
            del managed[me]
        if merged != bare and me in managed:
            managed[me].time = now
        merged = {**merged, "metadata": dict(merged["metadata"])}
        if manager == KUBECTL:
            _note_applied(merged["metadata"], applied)
        if managed:
            merged["metadata"]["managedFields"] = encode(managed)
        return merged

    def _last_applied_covers(
        self, live: dict[str, Any], merged: dict[str, Any], conflict: Conflicts
    ) -> bool:
        """May the conflicts be ignored, since client-side apply set all those fields before?"""
        import json

        text = ((live.get("metadata") or {}).get("annotations") or {}).get(LAST_APPLIED)
        if not text:
            return False
        try:
            before = json.loads(text)
        except ValueError:
            return False
        covered = structured.field_set(self.node, before)
        return all(p in covered for _, p in conflict.found)

    def _prune(self, merged: Any, managed: Managed, last: set[Path]) -> Any:
        """Drop what this applier applied before and no longer does, unless others own it."""
        node = self.node
        named = structured.with_named_fields
        last_named = named(node, last)
        pruned = structured.remove(node, merged, trie(last_named))
        owned = set[Path]().union(*(o.fields for o in managed.values()))
        everything = named(node, structured.field_set(node, merged))
        left = named(node, structured.field_set(node, pruned))
        pruned = structured.remove(node, merged, trie(everything - left - named(node, owned)))
        left = named(node, structured.field_set(node, pruned))
        return structured.remove(node, merged, trie((everything - left) & last_named))


def _note_applied(metadata: dict[str, Any], applied: dict[str, Any]) -> None:
    """Keep the note of kubectl's client-side apply in step, where there is one."""
    notes = metadata.get("annotations") or {}
    if LAST_APPLIED not in notes:
        return
    own = {k: v for k, v in applied["metadata"].items() if k != "managedFields"}
    if "annotations" in own:
        own["annotations"] = {k: v for k, v in own["annotations"].items() if k != LAST_APPLIED}
    text = encode_sorted({**applied, "metadata": own}).decode() + "\n"
    metadata["annotations"] = {**notes, LAST_APPLIED: text}
