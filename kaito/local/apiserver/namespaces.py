"""The end of namespaces: everything inside is deleted, then the namespace goes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kaito.local.apiserver.core import Call, Core, User
from kaito.local.apiserver.deleteoptions import DeleteOptions
from kaito.local.apiserver.handlers import Handlers
from kaito.local.apiserver.http import Query, Request
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.paths import Target
from kaito.local.apiserver.status import StatusError
from kaito.local.apiserver.storage import Event, Record, Stale

Object = dict[str, Any]
CONTROLLER = User("system:serviceaccount:kube-system:namespace-controller", ("system:masters",))


def internal_call(kind: Kind, namespace: str, name: str, verb: str, user: User) -> Call:
    """A call that the server makes to itself."""
    return Call(
        Request(verb.upper(), "", headers={"user-agent": user.name.rpartition(":")[2]}),
        Query(""),
        Target(kind.group, kind.version, namespace, kind.plural, name, "", "", False),
        kind,
        user,
        verb,
    )


class Namespaces:
    """Finishes terminating namespaces, woken by every change."""

    def __init__(self, core: Core, handlers: Handlers) -> None:
        self._core = core
        self._handlers = handlers
        self._wake = asyncio.Event()

    def push(self, event: Event) -> None:
        self._wake.set()

    async def run(self) -> None:
        store = self._core.store
        store.moved.append(self._wake.set)
        try:
            while True:
                self._wake.clear()
                for key in self._terminating():
                    await self._finish(key)
                await self._wake.wait()
        finally:
            store.moved.remove(self._wake.set)

    def _terminating(self) -> list[str]:
        bucket = self._core.store.bucket("/namespaces")
        return [
            k
            for k, r in bucket.objects.items()
            if r.selectable.get("status.phase") == "Terminating"
        ]

    async def _finish(self, namespace: str) -> None:
        core = self._core
        left: Counter[str] = Counter()
        finalizing: Counter[str] = Counter()
        seen: set[str] = set()
        for kind in core.kinds:
            if not kind.namespaced or kind.reviewed or kind.bucket in seen:
                continue
            seen.add(kind.bucket)
            bucket = core.store.buckets.get(kind.bucket)
            if bucket is None or not bucket.objects:
                continue
            for key in list(bucket.keys(f"{namespace}/")):
                name = key.rpartition("/")[2]
                if not await self._delete(kind, namespace, name):
                    left[f"{kind.plural}.{kind.group}"] += 1
                    kept = core.record(kind, namespace, name)
                    if kept is not None:
                        finalizing.update(kept.value()["metadata"].get("finalizers") or ())
        kind_ = core.kinds.get("", "v1", "namespaces")
        assert kind_ is not None
        record = core.record(kind_, "", namespace)
        if record is None:
            return
        obj = kind_.value(record)
        if left:
            self._report(kind_, record, obj, left, finalizing)
            return
        finalizers = [
            f for f in (obj.get("spec") or {}).get("finalizers") or () if f != "kubernetes"
        ]
        try:
            if not finalizers and not obj["metadata"].get("finalizers"):
                core.remove(kind_, record)
            elif finalizers != obj["spec"].get("finalizers"):
                obj["spec"]["finalizers"] = finalizers
                core.save(kind_, obj, expect=record.revision)
        except Stale:
            self._wake.set()

    def _report(
        self, kind: Kind, record: Record, obj: Object, left: Counter[str], finalizing: Counter[str]
    ) -> None:
        """Write into the status what the namespace waits for."""
        status = obj.setdefault("status", {})
        old = {c["type"]: c for c in status.get("conditions") or ()}
        fresh = []
        for condition in waiting(left, finalizing):
            before = old.pop(condition["type"], {})
            same = before.get("status") == condition["status"]
            since = before["lastTransitionTime"] if same else self._core.stamp()
            fresh.append({**condition, "lastTransitionTime": since})
        if fresh == (status.get("conditions") or []):
            return
        status["conditions"] = fresh
        try:
            self._core.save(kind, obj, expect=record.revision)
        except Stale:
            self._wake.set()

    async def _delete(self, kind: Kind, namespace: str, name: str) -> bool:
        record = self._core.record(kind, namespace, name)
        if record is None:
            return True
        if b'"deletionTimestamp"' in record.raw and record.value()["metadata"].get(
            "deletionTimestamp"
        ):
            return False
        call = internal_call(kind, namespace, name, "delete", CONTROLLER)
        try:
            _, gone = await self._handlers.deleter.delete(
                call, namespace, name, DeleteOptions(propagation="Background")
            )
        except StatusError as error:
            return error.code == 404
        return gone


def waiting(left: Mapping[str, int], finalizing: Mapping[str, int]) -> list[Object]:
    """The conditions of a namespace in which objects are left, without their times."""
    resources = ", ".join(f"{name} has {left[name]} resource instances" for name in sorted(left))
    finalizers = ", ".join(
        f"{name} in {finalizing[name]} resource instances" for name in sorted(finalizing)
    )
    found = [
        (
            "NamespaceDeletionDiscoveryFailure",
            "False",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        (
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            f"Some resources are remaining: {resources}",
        ),
        (
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            f"Some content in the namespace has finalizers remaining: {finalizers}",
        ),
    ]
    if not finalizing:
        found.pop()
    return [
        {"type": kind, "status": status, "reason": reason, "message": message}
        for kind, status, reason, message in found
    ]
