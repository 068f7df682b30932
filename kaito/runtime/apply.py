"""Server-side apply that sends nothing when nothing would change."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from kaito.runtime.client import Client
from kaito.runtime.comparison import would_change
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Key, Object
from kaito.runtime.store import Store


class _Unread(msgspec.Struct):
    """What is made of an answer that nobody looks at."""


class Umpire(Protocol):
    """Who is asked before an object that is there is written, and told what came of it."""

    def may_write(self, current: Object, desired: Object) -> bool:
        """Whether to send the request; what this raises is raised by Applier.apply."""

    def wrote(self, current: Object, desired: Object, answer: Object) -> None:
        """The request was answered with the object as it is now."""


class Applier:
    """Applies desired objects as one field manager, compared against caches."""

    def __init__(self, client: Client, *, metrics: Metrics | None = None) -> None:
        self._client = client
        self._metrics = metrics or client.metrics

    async def apply(
        self, store: Store[Any], desired: Object, *, umpire: Umpire | None = None
    ) -> bool:
        """Make the object so; True when a request was needed. Raises what Client.apply raises."""
        return await self._apply(store, desired, "", umpire)

    async def apply_status(self, store: Store[Any], desired: Object) -> bool:
        """Make the object's status so. `desired` holds its names and its status, nothing else."""
        return await self._apply(store, desired, "status", None)

    async def _apply(
        self, store: Store[Any], desired: Object, subresource: str, umpire: Umpire | None
    ) -> bool:
        resource = store.resource
        key = Key.of(desired)
        current = store.object(key if resource.namespaced else Key("", key.name))
        needed = current is None or would_change(
            current, desired, manager=self._client.field_manager, subresource=subresource
        )
        if needed and umpire is not None and current is not None:
            needed = umpire.may_write(current, desired)
        if needed and umpire is not None and current is not None:
            answer: Object = await self._client.apply(
                resource.read_as(dict), desired, subresource=subresource
            )
            umpire.wrote(current, desired, answer)
        elif needed:
            await self._client.apply(resource.read_as(_Unread), desired, subresource=subresource)
        self._metrics.applies.labels(str(resource), "yes" if needed else "no").inc()
        return needed
