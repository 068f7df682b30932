"""Who owns which fields, after updates and after server-side apply.

Pure functions over decoded objects. Times are text; the caller decides what now is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from kaito.local.apiserver.jsontext import TextError, encode_sorted, parse_json
from kaito.local.apiserver.ownership import checking, merging
from kaito.local.apiserver.ownership.atoms import MemberError, same
from kaito.local.apiserver.ownership.comparing import Comparison, compare, field_set
from kaito.local.apiserver.ownership.entries import (
    Conflicts,
    Managed,
    Manager,
    Owned,
    encode,
    identify,
    is_reset,
    lenient,
)
from kaito.local.apiserver.ownership.paths import Path, trie
from kaito.local.apiserver.schema import Node
from kaito.local.apiserver.typed import zero_of

Object = dict[str, Any]
MANY_UPDATERS = 10  # beyond it the oldest are merged into one entry for each version
STRIPPED = {
    ("f:apiVersion",),
    ("f:kind",),
    ("f:metadata",),
    *(
        ("f:metadata", f"f:{name}")
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
}
KUBECTL = "kubectl"
PRUNING = "failed to prune fields: "
BACK = "failed add back owned items: "
DANGLING = "failed add back dangling items: "
MERGED = "failed to convert merged object "
PRUNED = "failed to convert pruned object "
LAST = "to last applied version"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Unconvertible(ValueError):
    """Somebody owns fields in a version that the definition does not have; its text says which."""


class View(NamedTuple):
    """A kind in another version: its shape, and how an object looks in it."""

    node: Node
    convert: Callable[[Object], Object]


Views = Callable[[str], View | None]


def alone(version: str) -> View | None:
    """The views of a kind that has one version."""
    return None


@dataclass(slots=True)
class _Comparisons:
    """What a write changed, seen in each version that somebody owns fields in."""

    rules: Ownership
    old: Object
    new: Object
    found: dict[str, Comparison | None]

    def at(self, version: str) -> Comparison | None:
        """None where nobody serves the version any more. Raises Unconvertible."""
        if version not in self.found:
            self.found[version] = self.rules.compared(version, self.old, self.new)
        return self.found[version]


class Ownership:
    """The rules for one resource in one version, on the object itself or a subresource.

    `ignored` are path prefixes that this endpoint never owns; `only` the prefix it may own alone.
    `views` finds the other versions of the resource; both prefixes hold in those too, `everywhere`.
    """

    def __init__(
        self,
        node: Node,
        version: str,
        subresource: str = "",
        *,
        ignored: tuple[Path, ...] = (),
        only: tuple[Path, ...] = (),
        views: Views = alone,
        everywhere: bool = True,
    ) -> None:
        self.node = node
        self.version = version
        self.subresource = subresource
        self._ignored = ignored
        self._only = only
        self._views = views
        self._everywhere = everywhere

    def _mine(self, found: set[Path]) -> set[Path]:
        if self._ignored:
            found = {p for p in found if not any(p[: len(i)] == i for i in self._ignored)}
        if self._only:
            found = {p for p in found if any(p[: len(o)] == o for o in self._only)}
        return found

    def compared(self, version: str, old: Object, new: Object) -> Comparison | None:
        node = self.node
        if version != self.version:
            view = self._views(version)
            if view is None:
                return None
            node = view.node
            if old:
                old = _converted(view, old, "failed to convert old object")
            new = _converted(view, new, "failed to convert new object")
        found = compare(node, old, new)
        if version != self.version and not self._everywhere:
            return found
        return Comparison(
            self._mine(found.added), self._mine(found.removed), self._mine(found.modified)
        )

    def _compare(self, old: Object, new: Object) -> _Comparisons:
        return _Comparisons(self, old, new, {})

    def _reconciled(self, managed: Managed, live: Object) -> Managed:
        """The owners with fields below what the schema calls atomic by now drawn together."""
        found: Managed = {}
        for manager, owned in managed.items():
            node = self.node
            if owned.version != self.version:
                view = self._views(owned.version)
                if view is None:
                    continue
                node = view.node
                if live:
                    view.convert(live)
            fields = {node.reconciled(p) for p in owned.fields}
            found[manager] = Owned(fields, owned.version, owned.time)
        return found

    def update(self, live: Object, new: Object, manager: str, now: str) -> None:
        """Set `new`'s managedFields after a create, replace or patch. `live` is {} on create."""
        live_meta, new_meta = live.get("metadata") or {}, new["metadata"]
        if self.subresource:
            managed = lenient(live_meta.get("managedFields"))
        elif is_reset(new_meta):
            managed = {}
        else:
            managed = lenient(new_meta.get("managedFields")) or lenient(
                live_meta.get("managedFields")
            )
        new_meta.pop("managedFields", None)
        if not managed and live_meta.get("uid"):
            return  # nobody owns anything: tracking begins anew with the first apply
        try:
            managed = self._updated(_bare(live), new, managed, manager, now)
        except (Unconvertible, MemberError):
            return
        if managed:
            new_meta["managedFields"] = encode(managed)

    def _updated(
        self, live: Object, new: Object, managed: Managed, manager: str, now: str
    ) -> Managed:
        me = identify(manager, "Update", self.version, self.subresource)
        comparisons = self._compare(live, new)
        managed = self._taken(comparisons, self._reconciled(managed, live), None)
        own = comparisons.at(self.version)
        assert own is not None
        written = own.written() - STRIPPED
        if written:
            if me in managed:
                written |= managed[me].fields
            managed[me] = Owned(written, self.version, now)
        return capped(managed)

    @staticmethod
    def _taken(comparisons: _Comparisons, managed: Managed, me: Manager | None) -> Managed:
        """The owners after a write took what it changed and removed from all but `me`."""
        left: Managed = {}
        for manager, owned in managed.items():
            fields = owned.fields
            if manager != me:
                found = comparisons.at(owned.version)
                if found is None:
                    continue
                fields = fields - found.added - found.modified - found.removed
            if fields:
                left[manager] = Owned(fields, owned.version, owned.time)
        return left

    def apply(
        self, live: Object, applied: Object, manager: str, *, force: bool, now: str
    ) -> tuple[Object, bool]:
        """The object after a server-side apply, managedFields set, and whether more changed.

        `live` is an empty object of the kind when the apply creates it. Raises Conflicts, Mismatch,
        Unconvertible, MemberError.
        """
        checking.validate(self.node, applied)
        bare = _bare(live)
        managed = lenient((live.get("metadata") or {}).get("managedFields"))
        if not managed and bare["metadata"].get("uid"):
            empty = zero_of(self.node) if self.node.name else {}
            empty = {**empty, "apiVersion": live["apiVersion"], "kind": live["kind"]}
            managed = self._updated(empty, bare, managed, "before-first-apply", now)
        try:
            merged, managed = self._applied(bare, applied, managed, manager, force, now)
        except Conflicts as conflict:
            if manager != KUBECTL:
                raise
            self._forgive(bare, conflict)
            merged, managed = self._applied(bare, applied, managed, manager, True, now)
        changed = not same(merged, bare)
        merged = {**merged, "metadata": dict(merged.get("metadata") or {})}
        if manager == KUBECTL:
            _note_applied(merged["metadata"], applied)
        if managed:
            merged["metadata"]["managedFields"] = encode(managed)
        return merged, changed

    def _applied(
        self, live: Object, applied: Object, managed: Managed, manager: str, force: bool, now: str
    ) -> tuple[Object, Managed]:
        managed = self._reconciled(managed, live)
        me = identify(manager, "Apply", self.version, self.subresource)
        last = managed.get(me)
        mine = self._mine(field_set(self.node, applied))
        managed[me] = Owned(mine, self.version, last.time if last else "")
        merged = merging.merge(self.node, live, applied)
        if last is not None and (last.version != self.version or not last.fields <= mine):
            merged = self._pruned(merged, managed, last)
        comparisons = self._compare(live, merged)
        if not force:
            self._refuse(comparisons, managed, me)
        managed = self._taken(comparisons, managed, me)
        if me in managed:
            managed[me].fields -= STRIPPED
            if not managed[me].fields:
                del managed[me]
            elif not same(merged, live):
                managed[me].time = now
        return merged, managed

    @staticmethod
    def _refuse(comparisons: _Comparisons, managed: Managed, me: Manager) -> None:
        """Raises Conflicts where the write changes what others own."""
        found = []
        for manager, owned in managed.items():
            if manager != me and (seen := comparisons.at(owned.version)) is not None:
                found += [(manager, path) for path in owned.fields & seen.written()]
        if found:
            raise Conflicts(found)

    def _forgive(self, live: Object, conflict: Conflicts) -> None:
        """Raises Conflicts over what client-side apply did not set as it is now."""
        text = (live["metadata"].get("annotations") or {}).get(LAST_APPLIED)
        if not text:
            raise conflict
        try:
            before = parse_json(text.encode())
            checking.validate(self.node, before)
        except (TextError, checking.Mismatch):
            raise conflict from None
        if not isinstance(before, dict) or before.get("apiVersion") != self.version:
            raise conflict
        found = compare(self.node, before, live)
        covered = field_set(self.node, before) - found.written() - found.removed
        left = [(m, p) for m, p in conflict.found if p not in covered]
        if left:
            raise Conflicts(left)

    def _pruned(self, merged: Object, managed: Managed, last: Owned) -> Object:
        """Drop what this applier applied before and no longer does, unless others own it."""
        if not last.fields:
            return merged
        seen = self._seen(merged, self.version, last.version, PRUNING + MERGED + LAST)
        if seen is None:
            return merged
        node, before = seen
        named = merging.with_named_fields
        last_named = named(node, last.fields)
        whole, whole_at = before, last.version
        pruned, pruned_at = merging.remove(node, before, trie(last_named)), last.version
        for version in dict.fromkeys([last.version, *(o.version for o in managed.values())]):
            words = f"at version {version}"
            one = self._seen(whole, whole_at, version, PRUNING + BACK + MERGED + words)
            two = self._seen(pruned, pruned_at, version, PRUNING + BACK + PRUNED + words)
            if one is None or two is None:
                continue
            shape, whole = one
            whole_at = pruned_at = version
            owned = set[Path]().union(*(o.fields for o in managed.values() if o.version == version))
            gone = named(shape, field_set(*one)) - named(shape, field_set(*two))
            pruned = merging.remove(shape, whole, trie(gone - named(shape, owned)))
        left = self._seen(pruned, pruned_at, last.version, PRUNING + DANGLING + PRUNED + LAST)
        assert left is not None
        gone = named(node, field_set(node, before)) - named(node, field_set(*left))
        kept = merging.remove(node, before, trie(gone & last_named))
        found = self._seen(kept, last.version, self.version, PRUNING.removesuffix(": "))
        assert found is not None
        return found[1]

    def _seen(self, obj: Object, at: str, version: str, words: str) -> tuple[Node, Object] | None:
        """An object of the version `at` in another one; None where nobody serves that any more."""
        if at == version == self.version:
            return self.node, obj
        view = self._views(version)
        if view is None:
            return None
        return view.node, obj if at == version else _converted(view, obj, words)


def _converted(view: View, obj: Object, words: str) -> Object:
    """Raises Unconvertible, with what was being done."""
    try:
        return view.convert(obj)
    except Unconvertible as error:
        raise Unconvertible(f"{words}: {error}") from error


def _bare(obj: Object) -> Object:
    """An object without its managedFields; {} stays."""
    if not obj:
        return obj
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k != "managedFields"}
    return {**obj, "metadata": metadata}


def capped(managed: Managed) -> Managed:
    """The owners with the oldest updaters drawn into one entry for each version."""
    updaters = sorted(
        (m for m in managed if m.operation == "Update"), key=lambda m: (managed[m].time, m)
    )
    excess = len(updaters) - MANY_UPDATERS
    first: dict[str, Manager] = {}
    for manager in updaters:
        if excess <= 0:
            break
        version = managed[manager].version
        if version not in first:
            first[version] = manager
            continue
        bucket = identify("ancient-changes", "Update", version, "")
        if bucket not in managed:
            managed[bucket] = managed.pop(first[version])
        owned = managed[manager]
        fields = owned.fields | managed[bucket].fields
        managed.pop(manager)
        managed[bucket] = Owned(fields, version, owned.time)
        excess -= 1
    return managed


def _note_applied(metadata: Object, applied: Object) -> None:
    """Keep the note of kubectl's client-side apply in step, where there is one."""
    notes = metadata.get("annotations") or {}
    if not notes.get(LAST_APPLIED):
        return
    own = {k: v for k, v in (applied.get("metadata") or {}).items() if k != "managedFields"}
    if "annotations" in own:
        own["annotations"] = {k: v for k, v in own["annotations"].items() if k != LAST_APPLIED}
    text = encode_sorted({**applied, "metadata": own}).decode() + "\n"
    metadata["annotations"] = {**notes, LAST_APPLIED: text}
