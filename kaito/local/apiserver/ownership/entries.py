"""managedFields as a client reads and writes them: one entry for each manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from kaito.local.apiserver.ownership.paths import IllFormed, Path, listed, paths, printed, trie
from kaito.local.apiserver.status import StatusError

OPERATIONS = ("Apply", "Update")


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
    """The paths of one manager in one version. `time` is "" where none is noted."""

    fields: set[Path]
    version: str
    time: str


Managed = dict[Manager, Owned]


class Conflicts(Exception):
    """An apply met fields of others; `found` names managers and paths."""

    def __init__(self, found: list[tuple[Manager, Path]]) -> None:
        super().__init__("conflicts")
        self.found = sorted(found, key=lambda c: (c[0], listed(c[1])))

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
            for manager in dict.fromkeys(m for m, _ in self.found):
                lines.append(f"conflicts with {manager.text()}:")
                lines += [f"- {printed(p)}" for m, p in self.found if m == manager]
            message = f"Apply failed with {len(self.found)} conflicts: " + "\n".join(lines)
        return StatusError(409, "Conflict", message, {"causes": causes})


def identify(name: str, operation: str, version: str, subresource: str) -> Manager:
    return Manager(name, operation, "" if operation == "Apply" else version, subresource)


def decode(entries: Any) -> Managed:
    """Raises IllFormed on entries that the server would not write."""
    managed: Managed = {}
    for entry in entries or ():
        if not isinstance(entry, dict) or entry.get("fieldsType") != "FieldsV1":
            raise IllFormed("invalid fields type")
        operation, version = entry.get("operation"), entry.get("apiVersion")
        if operation not in OPERATIONS or not version:
            raise IllFormed("invalid operation or version")
        key = identify(
            entry.get("manager") or "", operation, version, entry.get("subresource") or ""
        )
        fields = paths(entry.get("fieldsV1") or {})
        managed[key] = Owned(fields, version, entry.get("time") or "")
    return managed


def lenient(entries: Any) -> Managed:
    """As `decode`; nothing where the entries are ill-formed."""
    try:
        return decode(entries)
    except IllFormed:
        return {}


def encode(managed: Managed) -> list[dict[str, Any]]:
    """The entries: appliers first, each sort by time."""
    entries = []
    order = sorted(
        managed.items(),
        key=lambda i: (i[0].operation, i[1].time, i[0].name, i[1].version, i[0].subresource),
    )
    for manager, owned in order:
        entry: dict[str, Any] = {"manager": manager.name} if manager.name else {}
        entry["operation"] = manager.operation
        entry["apiVersion"] = owned.version
        if owned.time:
            entry["time"] = owned.time
        entry["fieldsType"] = "FieldsV1"
        entry["fieldsV1"] = trie(owned.fields)
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return entries


def is_reset(metadata: dict[str, Any]) -> bool:
    """Does a client ask to forget all owners?"""
    entries = metadata.get("managedFields")
    return entries == [] or entries == [{}]
