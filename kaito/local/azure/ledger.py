"""Pools and operations on disk, so that a restarted cluster still holds its pools.

One small JSON file each, replaced atomically: a write costs the same however many pools there
are, and a crash leaves either the old file or the new one. Nothing is synced to the device; a
power cut may cost the last writes of a development tool.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from kaito.local.azure.operation import Operation
from kaito.local.azure.pool import Pool

T = TypeVar("T", Pool, Operation)


class Ledger:
    """The directory that holds them; it is made when it is not there."""

    def __init__(self, directory: Path) -> None:
        self._pools = directory / "pools"
        self._operations = directory / "operations"
        for each in (self._pools, self._operations):
            each.mkdir(parents=True, exist_ok=True)

    def pools(self) -> Iterator[Pool]:
        """Every pool that was kept. msgspec.DecodeError when a file was tampered with."""
        return _read_all(self._pools, Pool)

    def operations(self) -> Iterator[Operation]:
        return _read_all(self._operations, Operation)

    def keep(self, item: Pool | Operation) -> None:
        path = self._path(item)
        draft = path.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(item))
        draft.replace(path)

    def drop(self, item: Pool | Operation) -> None:
        self._path(item).unlink(missing_ok=True)

    def _path(self, item: Pool | Operation) -> Path:
        # Both names have been checked or made by us: no path can hide in them.
        if isinstance(item, Pool):
            return self._pools / f"{item.name}.json"
        return self._operations / f"{item.id}.json"


def _read_all(directory: Path, kind: type[T]) -> Iterator[T]:
    for path in sorted(directory.glob("*.json")):
        yield msgspec.json.decode(path.read_bytes(), type=kind)
