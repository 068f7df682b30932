"""An API server that is a stream of prepared watch events: no sockets, no other process.

For measuring what the library does with bytes, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import msgspec

from kaito.runtime import Call, Reply
from test.benchmark.workspaces import workspace

NAMESPACE = "bench"
CHUNK = 64 * 1024  # what one read of a busy socket brings


class Body:
    """An answer."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self._chunks = chunks

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self._chunks])

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        return None


class StreamTransport:
    """Answers a list with nothing, the watch with `events`, and a write with the object written.

    `finished` is set when the last event has been taken.
    """

    host = "stream"

    def __init__(self, events: Iterator[bytes]) -> None:
        self._events = events
        self.finished = asyncio.Event()

    async def send(self, call: Call) -> Reply:
        if call.method != "GET":
            return Body(self._written(call))
        if call.query.get("watch"):
            return Body(self._watch())
        return Body(self._once(b'{"metadata":{"resourceVersion":"1"},"items":[]}'))

    async def aclose(self) -> None:
        return None

    async def _watch(self) -> AsyncIterator[bytes]:
        for chunk in self._events:
            yield chunk
            await asyncio.sleep(0)
        self.finished.set()
        await asyncio.Event().wait()

    async def _once(self, body: bytes) -> AsyncIterator[bytes]:
        yield body

    async def _written(self, call: Call) -> AsyncIterator[bytes]:
        name = call.path.rsplit("/", 1)[-1]
        metadata = {
            "namespace": NAMESPACE,
            "name": name,
            "uid": f"uid-{name}",
            # One that the watch has passed, so that no reconcile waits for it.
            "resourceVersion": "1",
        }
        yield msgspec.json.encode({"metadata": metadata})


def event(kind: str, name: str, version: int, *, generation: int = 1) -> bytes:
    """One line of a watch: a Workspace as a server sends it, managedFields included, 3 KB."""
    obj = workspace(NAMESPACE, name)
    obj["metadata"] |= {
        "uid": f"uid-{name}",
        "resourceVersion": str(version),
        "generation": generation,
        "creationTimestamp": "2025-01-01T00:00:00Z",
        "managedFields": [
            {
                "manager": "kubectl",
                "operation": "Update",
                "apiVersion": obj["apiVersion"],
                "time": "2025-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {"f:annotations": {".": {}, "f:example.com/description": {}}},
                    "f:inference": {".": {}, "f:template": {}},
                    "f:resource": {".": {}, "f:count": {}, "f:instanceType": {}},
                },
            }
        ],
    }
    return msgspec.json.encode({"type": kind, "object": obj}) + b"\n"


def from_file(path: Path) -> Iterator[bytes]:
    """As a socket delivers: without regard for lines."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
