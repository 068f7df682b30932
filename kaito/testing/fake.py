"""The smallest API server that informers and controllers can live on: a dictionary with watches.

It stores what it is given. No schemas, defaults, validation, admission or garbage collection: use
the local cluster where those matter. What it does have is what goes wrong between a server and
its clients: cut and mute watches, compaction, refusals, hung calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kaito.runtime import Call, ConnectionFailed, Key, Object, Reply, Resource, rfc3339
from kaito.runtime.selectors import label_test
from kaito.testing.script import ScriptedReply, Stream, status_body

_METADATA_ONLY = "PartialObjectMetadata"

Fault = Callable[[Call], Reply | Exception | None]
"""Asked before each call: an answer or exception to give instead, None to serve it."""


class _Watch:
    def __init__(self, plural: str, namespace: str, call: Call) -> None:
        self.plural = plural
        self.namespace = namespace
        self.call = call
        self.stream = Stream()


class FakeApi:
    """A Transport onto objects in memory."""

    host = "fake"

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.fault: Fault | None = None
        self.hang: Callable[[Call], bool] | None = None
        self.mute = False
        """While true, running watches are told nothing; `unmute` delivers what they missed."""
        self._objects: dict[str, dict[Key, Object]] = {}
        self._journal: list[tuple[int, str, str, Object]] = []
        self._missed: list[tuple[str, str, Object]] = []
        self._watches: list[_Watch] = []
        self._version = 100
        self._oldest = 0
        self._uids = 0

    # What a test does to the server's side

    def put(self, resource: Resource[Any], name: str, namespace: str = "", **fields: Any) -> Object:
        """Create or replace an object behind the clients' backs."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        metadata |= fields.pop("metadata", {})
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **fields}
        return self._store(resource.plural, {**body, "metadata": metadata})

    def remove(self, resource: Resource[Any], name: str, namespace: str = "") -> None:
        """Delete an object behind the clients' backs."""
        self._drop(resource.plural, Key(namespace, name))

    def object(self, resource: Resource[Any], name: str, namespace: str = "") -> Object | None:
        """What is stored, None when it is not there."""
        return self._objects.get(resource.plural, {}).get(Key(namespace, name))

    def objects(self, resource: Resource[Any]) -> list[Object]:
        return list(self._objects.get(resource.plural, {}).values())

    def compact(self) -> None:
        """Forget the past: versions before now can no longer be watched from."""
        self._oldest = self._version
        self._journal.clear()

    def cut(self) -> None:
        """Break every running watch off."""
        for watch in self._watches:
            watch.stream.fail(ConnectionFailed("cut by the test"))
        self._watches.clear()

    def bookmark(self) -> None:
        """Send every running watch a bookmark."""
        for watch in self._watches:
            watch.stream.bookmark(str(self._version))

    def unmute(self) -> None:
        """Deliver what was held back."""
        self.mute = False
        for plural, kind, obj in self._missed:
            self._tell(plural, kind, obj)
        self._missed.clear()

    @property
    def watches(self) -> int:
        return len([watch for watch in self._watches if not watch.stream.closed])

    def writes(self) -> list[Call]:
        """The calls that were no reads."""
        return [call for call in self.calls if call.method != "GET"]

    # What clients see

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        if self.hang is not None and self.hang(call):
            await asyncio.get_running_loop().create_future()
        if self.fault is not None and (instead := self.fault(call)) is not None:
            if isinstance(instead, Exception):
                raise instead
            return instead
        await asyncio.sleep(0)
        return self._serve(call)

    async def aclose(self) -> None:
        return None

    def _serve(self, call: Call) -> Reply:
        plural, key, subresource = _parse(call.path)
        stored = self._objects.setdefault(plural, {})
        body: Object = msgspec.json.decode(call.body) if call.body else {}
        if call.method == "POST":
            name = body["metadata"]["name"]
            if Key(key.namespace, name) in stored:
                return ScriptedReply.refusal(409, "AlreadyExists")
            body["metadata"].update({"namespace": key.namespace} if key.namespace else {})
            return ScriptedReply(201, self._store(plural, body))
        if call.method == "GET" and not key.name:
            return (
                self._watch(call, plural, key)
                if "watch" in call.query
                else self._list(call, plural, key)
            )
        apply = call.headers.get("Content-Type", "").startswith("application/apply")
        apply = apply and not subresource
        found = stored.get(key)
        if found is None and not apply:
            return ScriptedReply.refusal(404, "NotFound", f"{plural} {key} not found")
        old = found or {}
        if call.method == "GET":
            return ScriptedReply(200, _shown(old, call))
        if call.method == "DELETE":
            return self._delete(plural, key, old, body.get("preconditions", {}))
        expected = body.get("metadata", {}).get("resourceVersion")
        if found is not None and expected not in (None, old["metadata"]["resourceVersion"]):
            return ScriptedReply.refusal(409, "Conflict")
        new = _merge(old, body) if call.method == "PATCH" else body
        if subresource:
            new = {**old, "status": new.get("status", {})}
        new["metadata"] = {**new["metadata"], "uid": old.get("metadata", {}).get("uid", "")}
        if found is not None and _same(new, found):
            return ScriptedReply(200, found)
        return ScriptedReply(200, self._store(plural, new))

    def _delete(
        self, plural: str, key: Key, old: Object, preconditions: Mapping[str, str]
    ) -> Reply:
        metadata = old["metadata"]
        if any(metadata[name] != value for name, value in preconditions.items()):
            return ScriptedReply.refusal(409, "Conflict")
        if metadata.get("finalizers"):
            if "deletionTimestamp" in metadata:
                return ScriptedReply(200, old)
            marked = {**metadata, "deletionTimestamp": rfc3339(0)}
            return ScriptedReply(200, self._store(plural, {**old, "metadata": marked}))
        self._drop(plural, key)
        details = {"name": key.name, "uid": metadata["uid"]}
        return ScriptedReply(200, {"kind": "Status", "status": "Success", "details": details})

    def _list(self, call: Call, plural: str, key: Key) -> Reply:
        items = [
            obj
            for where, obj in self._objects[plural].items()
            if key.namespace in ("", where.namespace) and _selected(obj, call.query)
        ]
        page: Object = {"metadata": {"resourceVersion": str(self._version)}}
        if _METADATA_ONLY in call.headers.get("Accept", ""):
            page["kind"] = f"{_METADATA_ONLY}List"
        return ScriptedReply(200, {**page, "items": [_shown(obj, call) for obj in items]})

    def _watch(self, call: Call, plural: str, key: Key) -> Reply:
        watch = _Watch(plural, key.namespace, call)
        if "sendInitialEvents" in call.query:
            for obj in self._objects[plural].values():
                _deliver(watch, "ADDED", obj)
            ends = {"k8s.io/initial-events-end": "true"}
            version = str(self._version)
            watch.stream.event(
                "BOOKMARK", {"metadata": {"resourceVersion": version, "annotations": ends}}
            )
        else:
            since = int(call.query.get("resourceVersion", self._version))
            if since < self._oldest:
                return ScriptedReply.refusal(410, "Expired", "too old resource version")
            for at, of, kind, obj in self._journal:
                if at > since and of == plural:
                    _deliver(watch, kind, obj)
        self._watches.append(watch)
        return watch.stream

    def _store(self, plural: str, obj: Object) -> Object:
        metadata = obj["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        objects = self._objects.setdefault(plural, {})
        old = objects.get(key)
        self._version += 1
        if not metadata.get("uid"):
            self._uids += 1
            metadata["uid"] = old["metadata"]["uid"] if old else f"uid-{self._uids}"
        metadata["resourceVersion"] = str(self._version)
        metadata["generation"] = _generation(old, obj)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            objects[key] = obj
            self._drop(plural, key)
            return obj
        objects[key] = obj
        self._record(plural, "MODIFIED" if old else "ADDED", obj)
        return obj

    def _drop(self, plural: str, key: Key) -> None:
        obj = self._objects[plural].pop(key)
        self._version += 1
        last = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        self._record(plural, "DELETED", last)

    def _record(self, plural: str, kind: str, obj: Object) -> None:
        frozen = msgspec.json.decode(msgspec.json.encode(obj))
        self._journal.append((self._version, plural, kind, frozen))
        if self.mute:
            self._missed.append((plural, kind, frozen))
        else:
            self._tell(plural, kind, frozen)

    def _tell(self, plural: str, kind: str, obj: Object) -> None:
        for watch in self._watches:
            if watch.plural == plural:
                _deliver(watch, kind, obj)


def refusal_event(code: int, reason: str, **details: Any) -> Mapping[str, Any]:
    """The object of an ERROR event."""
    return status_body(code, reason, details=details)


def _deliver(watch: _Watch, kind: str, obj: Object) -> None:
    inside = watch.namespace in ("", obj["metadata"].get("namespace", ""))
    if inside and _selected(obj, watch.call.query):
        watch.stream.event(kind, _shown(obj, watch.call))


def _shown(obj: Object, call: Call) -> Object:
    """An object as this call asks for it: whole, or its metadata alone."""
    if _METADATA_ONLY not in call.headers.get("Accept", ""):
        return obj
    return {"kind": _METADATA_ONLY, "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _parse(path: str) -> tuple[str, Key, str]:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts, "", "")[:3]
    return plural, Key(namespace, name), subresource


def _selected(obj: Object, query: Mapping[str, str]) -> bool:
    metadata = obj["metadata"]
    fields = [term.partition("=") for term in query.get("fieldSelector", "").split(",") if term]
    return label_test(query.get("labelSelector", ""))(metadata.get("labels", {})) and all(
        metadata.get(name.removeprefix("metadata.")) == value for name, _, value in fields
    )


def _merge(old: Object, patch: Object) -> Object:
    merged = dict(old)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merge(old.get(name) or {}, value)
        else:
            merged[name] = value
    return merged


def _same(new: Object, old: Object) -> bool:
    moved = ("resourceVersion", "generation")

    def still(obj: Object) -> Object:
        metadata = {name: value for name, value in obj["metadata"].items() if name not in moved}
        return {**obj, "metadata": metadata}

    return still(new) == still(old)


def _generation(old: Object | None, new: Object) -> int:
    if old is None:
        return 1
    generation: int = old["metadata"].get("generation", 1)
    ignored = ("metadata", "status")
    parts = [{name: v for name, v in obj.items() if name not in ignored} for obj in (old, new)]
    return generation if parts[0] == parts[1] else generation + 1
