"""Server-side apply that sends nothing when nothing would change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kaito.runtime.client import Client
from kaito.runtime.comparison import would_change
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Key, Object
from kaito.runtime.store import Store


class _Unread(msgspec.Struct):
    """What is made of an answer that nobody looks at."""


def _nothing(_: Object | None) -> None:
    """What is done before a request where nobody says otherwise."""


class Applier:
    """Applies desired objects as one field manager, compared against caches."""

    def __init__(self, client: Client, *, metrics: Metrics | None = None) -> None:
        self._client = client
        self._metrics = metrics or client.metrics

    async def apply(
        self,
        store: Store[Any],
        desired: Object,
        *,
        before: Callable[[Object | None], None] = _nothing,
    ) -> bool:
        """Make the object so; True when a request was needed. Raises what Client.apply raises.

        `before` is called with what is there when a request is needed; what it raises keeps the
        request from being sent, and is raised.
        """
        return await self._apply(store, desired, "", before)

    async def apply_status(self, store: Store[Any], desired: Object) -> bool:
        """Make the object's status so. `desired` holds its names and its status, nothing else."""
        return await self._apply(store, desired, "status", _nothing)

    async def _apply(
        self,
        store: Store[Any],
        desired: Object,
        subresource: str,
        before: Callable[[Object | None], None],
    ) -> bool:
        resource = store.resource
        key = Key.of(desired)
        current = store.object(key if resource.namespaced else Key("", key.name))
        needed = current is None or would_change(
            current, desired, manager=self._client.field_manager, subresource=subresource
        )
        if needed:
            before(current)
            await self._client.apply(resource.read_as(_Unread), desired, subresource=subresource)
        self._metrics.applies.labels(str(resource), "yes" if needed else "no").inc()
        return needed
