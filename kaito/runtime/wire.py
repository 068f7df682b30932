"""Bytes of the watch protocol and of single objects, split without building the objects.

msgspec finds where a member begins and ends and reads the few fields of the header; bodies stay
bytes.
"""

from __future__ import annotations

from sys import intern
from typing import Any

import msgspec

from kaito.runtime.errors import OversizedLine, UnreadableAnswer
from kaito.runtime.metadata import Owner
from kaito.runtime.resource import Key

# etcd refuses requests over 1.5 MiB and API servers bodies over 3 MiB, so an honest event is far
# below this; beyond it we would rather fail than fill the memory.
MAX_LINE = 16 * 1024 * 1024


class Header(msgspec.Struct, frozen=True, gc=False):
    """What predicates, mappers and indexes see of an object without decoding its body."""

    uid: str
    resource_version: str
    generation: int
    deleting: bool
    labels: dict[str, str]
    owners: tuple[Owner, ...]
    created: str
    annotations_hash: int
    """Equal for equal annotations (as bytes) within this process; 0 when there are none."""
    finalizers: tuple[str, ...]


class _Metadata(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deletion_timestamp: str | None = None
    creation_timestamp: str | None = None
    labels: dict[str, str] | None = None
    annotations: msgspec.Raw = msgspec.Raw()
    finalizers: tuple[str, ...] | None = None
    owner_references: tuple[Owner, ...] | None = None
    managed_fields: msgspec.Raw = msgspec.Raw()


class _Body(msgspec.Struct, gc=False):
    metadata: _Metadata
    kind: str = ""


class _BareMetadata(msgspec.Struct, rename="camel"):
    name: str = ""
    namespace: str = ""
    resource_version: str = ""


class _Bare(msgspec.Struct):
    metadata: _BareMetadata


class _Envelope(msgspec.Struct, gc=False):
    type: str
    object: msgspec.Raw


class _ManagedBy(msgspec.Struct):
    manager: str = ""
    operation: str = ""


# What bytes that are none of ours do to a decoder; the last is JSON that is nested too deep.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_body = msgspec.json.Decoder(_Body).decode
_decode_bare = msgspec.json.Decoder(_Bare).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_manager = msgspec.json.Decoder(_ManagedBy).decode
_encode = msgspec.json.Encoder().encode


class LineSplitter:
    """Cuts a stream of chunks into lines, in time linear in the bytes however long a line is."""

    __slots__ = ("_held", "_limit", "_tail")

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._tail: list[bytes] = []
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes. OversizedLine when one passes the limit."""
        lines = chunk.split(b"\n")
        if self._tail:
            if len(lines) == 1:
                self._hold(chunk)
                return []
            self._hold(lines[0])
            lines[0] = b"".join(self._tail)
            self._tail.clear()
            self._held = 0
        last = lines.pop()
        if last:
            self._hold(last)
        return [line for line in lines if line]

    def _hold(self, part: bytes) -> None:
        self._held += len(part)
        if self._held > self._limit:
            raise OversizedLine(f"A watch event is longer than {self._limit} bytes.")
        self._tail.append(part)


def split_event(line: bytes) -> tuple[str, bytes]:
    """The type of a watch event and its object's bytes. UnreadableAnswer if it is no event."""
    try:
        envelope = _decode_envelope(line)
    except UNREADABLE as error:
        raise UnreadableAnswer(f"A line of the watch is no event: {error}.") from error
    return envelope.type, bytes(envelope.object)


def open_object(body: bytes, keep_manager: str = "", kind: str = "") -> tuple[Key, Header, bytes]:
    """An object's key, its header, and its body as we keep it.

    managedFields are dropped, except what `keep_manager` has applied: the test whether a write
    would change anything needs to know which fields are ours. UnreadableAnswer when the bytes are
    no object, or one that calls itself something other than `kind`.
    """
    try:
        found = _decode_body(body)
        if kind and found.kind not in ("", kind):
            raise msgspec.ValidationError(f"it is a {found.kind}")
        meta = found.metadata
        annotations = bytes(meta.annotations)
        header = Header(
            uid=meta.uid,
            resource_version=meta.resource_version,
            generation=meta.generation,
            deleting=meta.deletion_timestamp is not None,
            labels=meta.labels or {},
            owners=meta.owner_references or (),
            created=meta.creation_timestamp or "",
            annotations_hash=hash(annotations) if annotations not in (b"", b"null", b"{}") else 0,
            finalizers=meta.finalizers or (),
        )
        # One string for all objects of a namespace.
        key = Key(intern(meta.namespace), meta.name)
        managed = bytes(meta.managed_fields)
        if managed and managed != b"null":
            body = _without_managers(body, managed, keep_manager)
    except UNREADABLE as error:
        raise UnreadableAnswer(f"The object is no {kind or 'object'}: {error}.") from error
    return key, header, body


def name_of_unreadable(body: bytes) -> tuple[Key, str]:
    """Key and version of what `open_object` refuses, as far as they can be made out."""
    try:
        metadata = _decode_bare(body).metadata
    except UNREADABLE:
        return Key("", ""), ""
    return Key(metadata.namespace, metadata.name), metadata.resource_version


class Bookmark(msgspec.Struct):
    """How far a watch has come."""

    resource_version: str
    ends_list: bool
    """Whether the objects that were there at the beginning have all been sent."""


def open_bookmark(body: bytes) -> Bookmark:
    """The object of a BOOKMARK event. UnreadableAnswer if it is none."""
    try:
        metadata = _decode_body(body).metadata
    except UNREADABLE as error:
        raise UnreadableAnswer(f"A bookmark of the watch is none: {error}.") from error
    ends_list = b'"k8s.io/initial-events-end":"true"' in bytes(metadata.annotations)
    return Bookmark(metadata.resource_version, ends_list)


def _without_managers(body: bytes, managed: bytes, keep_manager: str) -> bytes:
    members: dict[str, Any] = _decode_members(body)
    metadata: dict[str, Any] = _decode_members(members["metadata"])
    kept = []
    if keep_manager:
        for element in _decode_elements(managed):
            entry = _decode_manager(element)
            if entry.manager == keep_manager and entry.operation == "Apply":
                kept.append(element)
    if kept:
        metadata["managedFields"] = kept
    else:
        del metadata["managedFields"]
    members["metadata"] = metadata
    # What the encoder returns was cut down from a larger block, and keeps the rest of that block
    # out of use: a quarter of the cache. A copy has its exact size.
    return memoryview(_encode(members)).tobytes()
