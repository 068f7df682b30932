"""What all handlers share: the store, the kinds, the clock and the source of names."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from kaito.local.apiserver import times
from kaito.local.apiserver.http import Query, Request
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.paths import Target
from kaito.local.apiserver.storage import Record, Store

Object = dict[str, Any]
LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Clock(Protocol):
    """Seconds since the epoch, and waiting."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class WallClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        import asyncio

        await asyncio.sleep(seconds)


@dataclass(slots=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict)


@dataclass(slots=True)
class Core:
    store: Store
    kinds: Kinds
    clock: Clock
    random: random.Random = field(default_factory=random.Random)
    new_uid: Callable[[], str] = field(default=lambda: str(uuid.uuid4()))

    def stamp(self) -> str:
        return times.stamp(self.clock.now())

    def suffix(self) -> str:
        return "".join(self.random.choices(LETTERS, k=5))

    def record(self, kind: Kind, namespace: str, name: str) -> Record | None:
        bucket = self.store.buckets.get(kind.bucket)
        return bucket.objects.get(kind.key(namespace, name)) if bucket else None

    def save(self, kind: Kind, obj: Object, *, expect: int) -> Record:
        """Write an object; its resourceVersion is set. Raises Stale."""
        meta = obj["metadata"]
        stored = kind.stored(obj)
        selectable = {"metadata.name": meta["name"]}
        if kind.namespaced:
            selectable["metadata.namespace"] = meta["namespace"]
        selectable.update(kind.behaviour.selectable(obj))
        key = kind.key(meta.get("namespace", ""), meta["name"])
        return self.store.put(
            kind.bucket,
            key,
            stored,
            expect=expect,
            labels=meta.get("labels") or {},
            selectable=selectable,
            version=kind.version,
            encode=kind.encode,
        )

    def remove(self, kind: Kind, record: Record) -> int:
        return self.store.drop(kind.bucket, record.key, expect=record.revision)


@dataclass(slots=True)
class Call:
    """One request to a resource, with all that was found out about it."""

    request: Request
    query: Query
    target: Target
    kind: Kind
    user: User
    verb: str
    warnings: list[str] = field(default_factory=list)
