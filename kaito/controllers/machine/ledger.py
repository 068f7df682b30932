"""The ledger: every pool that was asked for, what became of it, and how long it was paid for.

A record for people, and nothing is decided by it: losing it harms nothing, and what is still there
is entered again from the cloud's own list. It is bounded in entries and in bytes; the oldest that
are over go first. Nothing here reads a clock or writes anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Annotated

import msgspec

MOST_ENTRIES = 1000  # AKS allows 100 pools
MOST_BYTES = 256 * 1024
"""Of the text; a ConfigMap holds a MiB."""
LONGEST = 64
"""Characters of a name or an instance type: whoever writes claims may write long ones."""


LAST_SECOND = 253402300799
"""9999-12-31T23:59:59Z: people may edit the text, and no calendar goes further."""

Time = Annotated[int, msgspec.Meta(ge=0, le=LAST_SECOND)]


class Outcome(StrEnum):
    """What became of a pool last."""

    ASKED = "asked for"
    READY = "ready"
    REFUSED = "refused"
    FAILED = "failed"
    LEAKED = "leaked"
    SWEPT = "swept"
    DELETING = "deleting"
    DELETED = "deleted"
    GONE = "gone"
    """Deleted, and not by this provisioner."""


class Entry(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One pool, or one request that was refused. Times are whole seconds since the epoch."""

    pool: str
    size: str
    """The instance type."""
    asked: Time
    outcome: Outcome
    changed: Time
    """When it was last written; of two entries of one pool the later holds."""
    cause: str = ""
    """Of a refusal or a failure."""
    ready_after: int | None = None
    """Seconds from the request until the cloud called it ready; None when it never did."""
    leaked: Time | None = None
    """Since when it is known to be without a claim."""
    ended: Time | None = None
    """When it was gone."""
    attempts: int = 1
    """Requests in a row that were refused."""

    @property
    def identity(self) -> tuple[str, int]:
        return self.pool, self.asked

    @property
    def over(self) -> bool:
        """Whether nothing becomes of it any more."""
        return self.ended is not None or self.outcome is Outcome.REFUSED

    @property
    def lifetime(self) -> int | None:
        """Seconds from the request until it was gone; None while it is there."""
        return None if self.ended is None else max(0, self.ended - self.asked)


class Ledger:
    """Entries by pool and by when it was asked for."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[tuple[str, int], Entry] = {}
        self._last: dict[str, Entry] = {}
        self.changed = False
        """Whether there is something that has not been written yet; whoever writes it resets it."""
        self._take(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> Sequence[Entry]:
        """All, the oldest request first."""
        return sorted(self._entries.values(), key=lambda entry: (entry.asked, entry.pool))

    def last(self, pool: str) -> Entry | None:
        """The last entry of a pool's name."""
        return self._last.get(pool[:LONGEST])

    def open(self) -> Sequence[Entry]:
        """Entries of pools that are believed to be there."""
        return [entry for entry in self._entries.values() if not entry.over]

    def put(self, entry: Entry) -> None:
        """Write an entry, in the place of an earlier one of the same pool and request."""
        cut = msgspec.structs.replace(
            entry, pool=entry.pool[:LONGEST], size=entry.size[:LONGEST], cause=entry.cause[:LONGEST]
        )
        self._enter(cut)
        self.changed = True
        if len(self._entries) > MOST_ENTRIES:
            self._keep()

    def merge(self, others: Iterable[Entry]) -> None:
        """Take in what somebody else has written; of two versions of an entry the later holds."""
        before = dict(self._entries)
        self._take(others)
        self.changed = self.changed or before != self._entries

    def _take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            known = self._entries.get(entry.identity)
            if known is None or known.changed < entry.changed:
                self._enter(entry)
        self._keep()

    def _enter(self, entry: Entry) -> None:
        self._entries[entry.identity] = entry
        last = self._last.get(entry.pool)
        if last is None or last.asked <= entry.asked:
            self._last[entry.pool] = entry

    def _keep(self) -> None:
        kept = bounded(self._entries.values())
        self._entries = {entry.identity: entry for entry in kept}
        self._last = {entry.pool: entry for entry in kept}


def bounded(entries: Iterable[Entry], most: int = MOST_ENTRIES) -> list[Entry]:
    """At most so many: those that are over go first, and of these the oldest."""
    kept = sorted(entries, key=lambda entry: (not entry.over, entry.changed), reverse=True)[:most]
    return sorted(kept, key=lambda entry: (entry.asked, entry.pool))


def encode(entries: Iterable[Entry], most_bytes: int = MOST_BYTES) -> str:
    """A line of JSON for each, as many as fit."""
    left = most_bytes
    lines: dict[tuple[str, int], bytes] = {}
    ranked = sorted(entries, key=lambda entry: (not entry.over, entry.changed), reverse=True)
    for entry in ranked:
        line = msgspec.json.encode(entry)
        left -= len(line) + 1
        if left < 0:
            break
        lines[entry.identity] = line
    ordered = sorted(lines, key=lambda identity: (identity[1], identity[0]))
    return "".join(f"{lines[identity].decode()}\n" for identity in ordered)


def decode(text: str) -> list[Entry]:
    """The entries of a text; lines that are none are left out, for people may edit it."""
    found: list[Entry] = []
    for line in text.split("\n")[: 2 * MOST_ENTRIES]:
        try:
            entry = msgspec.json.decode(line, type=Entry)
        except (msgspec.DecodeError, UnicodeEncodeError):
            continue
        if len(entry.pool) <= LONGEST and len(entry.size) <= LONGEST:
            found.append(entry)
    return found
