"""The ConfigMaps, Secrets and claims that running pods name: each followed as long as one does.

Nothing else of these kinds is cached, however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from kaito.local.kinds import CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, SECRETS
from kaito.runtime import Client, Clock, Informer, Key, Object, Resource, Scope

KINDS: dict[str, Resource[Object]] = {
    "configmap": CONFIG_MAPS,
    "secret": SECRETS,
    "persistentvolumeclaim": PERSISTENT_VOLUME_CLAIMS,
}
Named = tuple[str, Key]
"""One of KINDS, and which."""


@dataclass(slots=True)
class _Followed:
    informer: Informer[Object]
    task: asyncio.Task[None]
    holders: set[Key] = field(default_factory=set)


class Objects:
    """`wake` is told of each pod whose objects have changed. Tasks are born in the crew given."""

    def __init__(self, client: Client, clock: Clock, wake: Callable[[Key], None]) -> None:
        self._client = client
        self._clock = clock
        self._wake = wake
        self._followed: dict[Named, _Followed] = {}

    async def hold(self, crew: asyncio.TaskGroup, pod: Key, wanted: Iterable[Named]) -> None:
        """Follow these for a pod. Returns when each is known, or known to be absent."""
        for named in wanted:
            followed = self._followed.get(named)
            if followed is None:
                followed = self._followed[named] = self._follow(crew, named)
            followed.holders.add(pod)
            await followed.informer.wait_synced()

    def get(self, named: Named) -> Object | None:
        """The object as it is now; None when there is none or nobody holds it."""
        followed = self._followed.get(named)
        return followed.informer.store.get(named[1]) if followed is not None else None

    def release(self, pod: Key) -> None:
        """The pod is gone; what it alone held is followed no more."""
        for named, followed in list(self._followed.items()):
            followed.holders.discard(pod)
            if not followed.holders:
                followed.task.cancel()
                del self._followed[named]

    def _follow(self, crew: asyncio.TaskGroup, named: Named) -> _Followed:
        kind, key = named
        scope = Scope(namespaces=(key.namespace,), fields=f"metadata.name={key.name}")
        informer = Informer(self._client, KINDS[kind], scope=scope, clock=self._clock)
        informer.on_change(lambda _: self._tell(named))
        return _Followed(informer, crew.create_task(informer.run(), name=f"follow/{kind}/{key}"))

    def _tell(self, named: Named) -> None:
        followed = self._followed.get(named)
        for pod in followed.holders if followed is not None else ():
            self._wake(pod)
