"""What one reflector fills: the part of a cache that one namespace, or all of them, make up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from kaito.runtime.cache import Cache
from kaito.runtime.clock import Clock
from kaito.runtime.fence import at_least
from kaito.runtime.pages import Page
from kaito.runtime.reflector import YIELD_EVERY
from kaito.runtime.resource import Key
from kaito.runtime.wire import Header, name_of_unreadable


class Feed:
    """A reflector's sink. `moved` is called when the watch has come to a new version."""

    def __init__(
        self, cache: Cache[Any], namespace: str, *, clock: Clock, moved: Callable[[], None]
    ) -> None:
        self._cache = cache
        self._clock = clock
        self._moved = moved
        self.namespace = namespace
        self.synced = asyncio.Event()
        self.version = ""
        self._reached = ""  # of what the cache holds; ahead of `version` amid a chunk of events
        self.heard_at = clock.monotonic()

    def covers(self, key: Key) -> bool:
        """Whether objects of this key come from here."""
        return self.namespace in ("", key.namespace)

    def has_passed(self, version: str) -> bool:
        """Whether the cache holds the state of `version`, or a later one."""
        return bool(self._reached) and at_least(self._reached, version)

    async def replace(self, pages: AsyncIterator[Page]) -> str:
        """Hold exactly the objects of these pages; return the list's version."""
        staged, version = await self._stage(pages)
        cache = self._cache
        if self.version and not at_least(version, self.version):
            # The server has gone back in time: what was read then is of another history.
            self._forget_live(lambda key: True)
        # From here on a read of an earlier state comes too late.
        self._reached = version
        for key in [key for key in cache.unreadable if self.covers(key) and key not in staged]:
            del cache.unreadable[key]
        turns = 0
        # Deletions first, as client-go does: a name that moved is free before it is taken.
        for key in cache.store:
            if key not in staged and self.covers(key) and not cache.outdated(key, version):
                cache.remove(key)
                turns += 1
                if turns % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        initial = not self.synced.is_set()
        for key, found in staged.items():
            if found is not None and not cache.outdated(key, version):
                cache.put(key, *found, initial=initial)
                turns += 1
                if turns % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
        self.synced.set()
        return version

    async def _stage(
        self, pages: AsyncIterator[Page]
    ) -> tuple[dict[Key, tuple[Header, bytes] | None], str]:
        """The members of a list, None for those that the store holds already, and its version."""
        cache, store = self._cache, self._cache.store
        staged: dict[Key, tuple[Header, bytes] | None] = {}
        version = ""
        turns = 0
        async for page in pages:
            self.heard_at = self._clock.monotonic()
            if page.begins_anew:
                staged.clear()
            version = page.metadata.resource_version
            for item in page.items:
                body = bytes(item)
                entry = cache.open(body)
                if entry is None:
                    # It is there, in whatever state: the one we can read stays.
                    staged[name_of_unreadable(body)[0]] = None
                else:
                    key, header, body = entry
                    old = store.header(key)
                    same = old is not None and (old.uid, old.resource_version) == (
                        header.uid,
                        header.resource_version,
                    )
                    # No second copy of what is there.
                    staged[key] = None if same else (header, body)
                turns += 1
                if turns % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            for body in page.gone:
                staged.pop(name_of_unreadable(body)[0], None)
        return staged, version

    def event(self, kind: str, body: bytes) -> str:
        """ADDED, MODIFIED or DELETED; returns the object's version, "" if it is not known."""
        cache = self._cache
        entry = cache.open(body)
        if entry is None:
            key, version = name_of_unreadable(body)
            if kind == "DELETED":
                cache.remove(key)
            return version
        key, header, body = entry
        if kind == "DELETED":
            # A live read may have found what came later: a successor of this name, or the object
            # itself, selected anew.
            if not cache.outdated(key, header.resource_version):
                cache.remove(key, header, body)
        elif not cache.knows(key, header):
            cache.put(key, header, body)
        self._reached = header.resource_version
        return header.resource_version

    def heard(self, version: str) -> None:
        """The server is alive, and `version` has been reached."""
        self.heard_at = self._clock.monotonic()
        if version != self.version:
            self.version = self._reached = version
            live = self._cache.live
            if live:
                self._forget_live(lambda key: at_least(version, live[key]))
            self._moved()

    def _forget_live(self, which: Callable[[Key], bool]) -> None:
        live = self._cache.live
        for key in [key for key in live if self.covers(key) and which(key)]:
            del live[key]
