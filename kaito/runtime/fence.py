"""Read your own writes: what a reconcile has written, its next run shall see.

Caches lag behind writes. A reconcile that runs on a cache from before its own last write takes
decisions twice, and twice the GPU nodes cost real money. The client notes every successful write
in the list that the controller opened for the running reconcile; before the same key is handed
out again, the controller waits until the informers concerned have passed those writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from kaito.runtime.resource import Key, Resource


@dataclass(frozen=True, slots=True)
class Write:
    """One successful write: the object, and the version (or the uid's removal) to wait for."""

    resource: Resource[Any]
    key: Key
    uid: str
    resource_version: str
    """"" when the object is gone for good."""
    labels: Mapping[str, str] | None = None
    """As written, None when not known: an informer whose selector they miss will not see it."""


_writes: ContextVar[list[Write] | None] = ContextVar("kaito_runtime_writes", default=None)


def open_ledger() -> list[Write]:
    """From here on, writes made in this task are noted in the list returned."""
    ledger: list[Write] = []
    _writes.set(ledger)
    return ledger


def note(write: Write) -> None:
    """Note a write in the running reconcile's list; nothing happens outside of one."""
    ledger = _writes.get()
    if ledger is not None:
        ledger.append(write)


def at_least(seen: str, wanted: str) -> bool:
    """Whether resourceVersion `seen` is `wanted` or later.

    The rule of apimachinery's CompareResourceVersion: both are decimals without leading zeros;
    the longer one is later, equal lengths compare as text. Versions of another shape (some
    aggregated servers) are only ever equal.
    """
    if seen == wanted:
        return True
    if not (_comparable(seen) and _comparable(wanted)):
        return False
    return (len(seen), seen) > (len(wanted), wanted)


def _comparable(version: str) -> bool:
    return version.isascii() and version.isdigit() and version[0] != "0"
