"""Events: what happened to an object, for the people who run `kubectl describe`.

Recording never waits and never fails its caller. Equal events are counted up in one object
instead of repeated; the queue is bounded and drops when full, because an event is a hint and not
a record. Written as core/v1 Events.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal

import structlog

from kaito.runtime.client import Client
from kaito.runtime.clock import Clock, SystemClock, rfc3339
from kaito.runtime.errors import NotFound, describe
from kaito.runtime.resource import Key, Object, Resource

EVENTS: Resource[Object] = Resource("", "v1", "events", "Event")
QUEUE = 1000  # client-go's
REMEMBERED = 4096  # client-go's: events whose repetitions are still recognised
MAX_MESSAGE = 1024  # characters, the API's limit
CLUSTER_SCOPED = "default"  # the namespace for events about cluster-scoped objects

log = structlog.get_logger("kaito.runtime.events")


@dataclass(frozen=True, slots=True)
class _Event:
    regarding: tuple[tuple[str, str], ...]
    type: str
    reason: str
    message: str

    @property
    def key(self) -> Key:
        regarding = dict(self.regarding)
        digest = hashlib.sha256(repr(self).encode()).hexdigest()[:16]
        namespace = regarding.get("namespace") or CLUSTER_SCOPED
        # Cut to the limit of names, and never so that a label ends in a sign.
        name = regarding["name"][:200].rstrip("-.")
        return Key(namespace, f"{name}.{digest}")


class EventRecorder:
    """Writes events in the background while `run` runs."""

    def __init__(self, client: Client, *, component: str, clock: Clock | None = None) -> None:
        self._client = client
        self._component = component
        self._clock = clock or SystemClock()
        self._queue: asyncio.Queue[tuple[_Event, float]] = asyncio.Queue(QUEUE)
        self._counts: OrderedDict[_Event, int] = OrderedDict()

    def event(
        self,
        regarding: Object,
        *,
        type: Literal["Normal", "Warning"] = "Normal",  # noqa: A002 - the field's name
        reason: str,
        message: str,
    ) -> None:
        """Record that something happened to `regarding` (an object, or a reference to one)."""
        metadata = regarding.get("metadata", regarding)
        reference = {
            "apiVersion": regarding.get("apiVersion", ""),
            "kind": regarding.get("kind", ""),
            "namespace": metadata.get("namespace", ""),
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
        }
        event = _Event(tuple(reference.items()), type, reason, message[:MAX_MESSAGE])
        try:
            self._queue.put_nowait((event, self._clock.now()))
        except asyncio.QueueFull:
            log.warning("event dropped", reason=reason, name=reference["name"])

    async def run(self) -> None:
        """Write what is recorded, until cancelled."""
        while True:
            event, at = await self._queue.get()
            try:
                await self._write(event, at)
            except Exception as error:  # noqa: BLE001 - a hint must not end the process
                # Refused, unreachable or garbled: the next repetition is the retry.
                log.warning("event not written", reason=event.reason, **describe(error))

    async def _write(self, event: _Event, at: float) -> None:
        count = self._counts.pop(event, 0) + 1
        if count > 1:
            patch = {"count": count, "lastTimestamp": rfc3339(at)}
            try:
                await self._client.patch(EVENTS, event.key, patch)
            except NotFound:
                count = 1  # the server forgets events after an hour
        if count == 1:
            await self._create(event, at)
        self._counts[event] = count
        while len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)

    async def _create(self, event: _Event, at: float) -> None:
        key = event.key
        # Applied, not created: after a restart the same event is there already.
        await self._client.apply(
            EVENTS,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"namespace": key.namespace, "name": key.name},
                "involvedObject": {name: text for name, text in event.regarding if text},
                "type": event.type,
                "reason": event.reason,
                "message": event.message,
                "source": {"component": self._component},
                "reportingComponent": self._component,
                "firstTimestamp": rfc3339(at),
                "lastTimestamp": rfc3339(at),
                "count": 1,
            },
        )
