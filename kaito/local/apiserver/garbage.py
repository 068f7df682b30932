"""Garbage collection: dependents follow their owners, as propagation policies say."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from kaito.local.apiserver.core import Core, User
from kaito.local.apiserver.deleteoptions import DeleteOptions
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.meta import FOREGROUND, ORPHAN
from kaito.local.apiserver.namespaces import internal_call
from kaito.local.apiserver.status import StatusError
from kaito.local.apiserver.storage import Bucket, Event, Record, Stale

Object = dict[str, Any]
USER = User("system:serviceaccount:kube-system:generic-garbage-collector", ("system:masters",))
BATCH = 200  # objects looked at between two turns of the event loop


class Node:
    """What the collector remembers of one object."""

    __slots__ = ("bucket", "dependents", "key", "owners", "uid")

    def __init__(self, uid: str, bucket: str, key: str) -> None:
        self.uid = uid
        self.bucket = bucket
        self.key = key
        self.owners: list[Object] = []
        self.dependents: set[str] = set()


class _Sink:
    def __init__(self, collector: Collector, bucket: str) -> None:
        self._collector = collector
        self._bucket = bucket

    def push(self, event: Event) -> None:
        self._collector.changed(self._bucket, event)


class Collector:
    """Watches every object's owners and finalizers; deletes and releases what it must."""

    def __init__(self, core: Core, handlers: Handlers) -> None:
        self._core = core
        self._handlers = handlers
        self._nodes: dict[str, Node] = {}
        self._waiting: dict[str, set[str]] = {}
        self._queue: deque[str] = deque()
        self._wake = asyncio.Event()
        self._sinks: dict[str, tuple[Bucket, _Sink]] = {}

    async def run(self) -> None:
        self._core.store.moved.append(self._attach)
        try:
            self._attach()
            while True:
                self._wake.clear()
                done = 0
                while self._queue:
                    await self._settle(self._queue.popleft())
                    done += 1
                    if done % BATCH == 0:
                        await asyncio.sleep(0)
                await self._wake.wait()
        finally:
            self._core.store.moved.remove(self._attach)
            for bucket, sink in self._sinks.values():
                bucket.leave(sink)

    def _attach(self) -> None:
        for name, bucket in self._core.store.buckets.items():
            known = self._sinks.get(name)
            if known is not None and known[0] is bucket:
                continue
            sink = self._sinks[name] = (bucket, _Sink(self, name))
            bucket.join(sink[1])
            for record in bucket.objects.values():
                self._learn(name, record)

    def changed(self, bucket: str, event: Event) -> None:
        if event.new is not None:
            self._learn(bucket, event.new)
        else:
            assert event.old is not None
            self._forget(event.old)

    def _learn(self, bucket: str, record: Record) -> None:
        interesting = b'"ownerReferences"' in record.raw or b'"deletionTimestamp"' in record.raw
        if not interesting:
            return
        meta = record.value()["metadata"]
        uid = meta["uid"]
        node = self._nodes.get(uid)
        if node is None:
            node = self._nodes[uid] = Node(uid, bucket, record.key)
            node.dependents = self._waiting.setdefault(uid, set())
        for owner in node.owners:
            self._waiting.get(owner["uid"], set()).discard(uid)
        node.owners = meta.get("ownerReferences") or []
        for owner in node.owners:
            self._waiting.setdefault(owner["uid"], set()).add(uid)
        if node.owners or meta.get("deletionTimestamp"):
            self._add(uid)
        if meta.get("deletionTimestamp"):
            for owner in node.owners:
                self._add(owner["uid"])

    def _forget(self, record: Record) -> None:
        meta = record.value()["metadata"]
        uid = meta["uid"]
        node = self._nodes.pop(uid, None)
        for owner in node.owners if node else ():
            self._waiting.get(owner["uid"], set()).discard(uid)
            self._add(owner["uid"])
        for dependent in self._waiting.get(uid, ()):
            self._add(dependent)
        if not self._waiting.get(uid):
            self._waiting.pop(uid, None)

    def _add(self, uid: str) -> None:
        self._queue.append(uid)
        self._wake.set()

    def _kind(self, bucket: str) -> Kind | None:
        return next((k for k in self._core.kinds if k.bucket == bucket and not k.reviewed), None)

    async def _settle(self, uid: str) -> None:
        node = self._nodes.get(uid)
        if node is None:
            return
        kind = self._kind(node.bucket)
        if kind is None:
            return
        record = self._core.store.bucket(node.bucket).objects.get(node.key)
        if record is None:
            return
        obj = kind.value(record)
        meta = obj["metadata"]
        if meta["uid"] != uid:
            return
        finalizers = meta.get("finalizers") or []
        if meta.get("deletionTimestamp"):
            if ORPHAN in finalizers:
                await self._orphan(kind, obj, record)
                return
            if FOREGROUND in finalizers:
                await self._foreground(kind, obj, record)
                return
        if meta.get("ownerReferences"):
            await self._owned(kind, obj, record)

    async def _owned(self, kind: Kind, obj: Object, record: Record) -> None:
        meta = obj["metadata"]
        solid, dangling, leaving = [], [], []
        for owner in meta["ownerReferences"]:
            found = self._owner(owner, meta.get("namespace", ""))
            if found is None:
                dangling.append(owner)
            elif found["metadata"].get("deletionTimestamp") and FOREGROUND in (
                found["metadata"].get("finalizers") or ()
            ):
                leaving.append(owner)
            else:
                solid.append(owner)
        if solid:
            if dangling or leaving:
                meta["ownerReferences"] = solid
                self._save(kind, obj, record)
            return
        if meta.get("deletionTimestamp"):
            return
        policy = "Foreground" if leaving and self._waiting.get(meta["uid"]) else ""
        if not policy:
            finalizers = meta.get("finalizers") or ()
            policy = (
                "Orphan"
                if ORPHAN in finalizers
                else "Foreground"
                if FOREGROUND in finalizers
                else "Background"
            )
        call = internal_call(kind, meta.get("namespace", ""), meta["name"], "delete", USER)
        try:
            await self._handlers.deleter.delete(
                call,
                meta.get("namespace", ""),
                meta["name"],
                DeleteOptions(uid=meta["uid"], propagation=policy),
            )
        except StatusError as error:
            if error.code == 409:
                self._add(meta["uid"])

    def _owner(self, owner: Object, namespace: str) -> Object | None:
        """The living owner of a reference; None when it is gone or another one."""
        kind = self._core.kinds.by_kind(owner.get("apiVersion", ""), owner.get("kind", ""))
        if kind is None:
            return {"metadata": {}}
        record = self._core.record(
            kind, namespace if kind.namespaced else "", owner.get("name", "")
        )
        if record is None:
            return None
        found = record.value()
        return found if found["metadata"]["uid"] == owner.get("uid") else None

    def _dependents(self, uid: str) -> list[tuple[Kind, Object, Record]]:
        found = []
        for dependent in list(self._waiting.get(uid, ())):
            node = self._nodes.get(dependent)
            kind = self._kind(node.bucket) if node else None
            if node is None or kind is None:
                continue
            record = self._core.store.bucket(node.bucket).objects.get(node.key)
            if record is not None:
                found.append((kind, kind.value(record), record))
        return found

    async def _orphan(self, kind: Kind, obj: Object, record: Record) -> None:
        uid = obj["metadata"]["uid"]
        for other, dependent, stored in self._dependents(uid):
            owners = [
                o for o in dependent["metadata"].get("ownerReferences") or () if o["uid"] != uid
            ]
            if owners:
                dependent["metadata"]["ownerReferences"] = owners
            else:
                dependent["metadata"].pop("ownerReferences", None)
            self._save(other, dependent, stored)
        self._release(kind, obj, record, ORPHAN)

    async def _foreground(self, kind: Kind, obj: Object, record: Record) -> None:
        uid = obj["metadata"]["uid"]
        blocking = 0
        for _, dependent, _ in self._dependents(uid):
            owner = next(
                (o for o in dependent["metadata"].get("ownerReferences") or () if o["uid"] == uid),
                None,
            )
            if owner is None:
                continue
            blocking += bool(owner.get("blockOwnerDeletion"))
            self._add(dependent["metadata"]["uid"])
        if not blocking:
            self._release(kind, obj, record, FOREGROUND)

    def _release(self, kind: Kind, obj: Object, record: Record, finalizer: str) -> None:
        meta = obj["metadata"]
        meta["finalizers"] = [f for f in meta["finalizers"] if f != finalizer]
        try:
            if not meta["finalizers"]:
                del meta["finalizers"]
                if not meta.get("deletionGracePeriodSeconds"):
                    self._core.remove(kind, record)
                    return
            self._core.save(kind, obj, expect=record.revision)
        except Stale:
            self._add(meta["uid"])

    def _save(self, kind: Kind, obj: Object, record: Record) -> None:
        try:
            self._core.save(kind, obj, expect=record.revision)
        except Stale:
            self._add(obj["metadata"]["uid"])
