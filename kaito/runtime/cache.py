"""The writing side of one kind's cache: what feeds put in, and who is told.

The store and its indexes are up to date before any handler hears of a change. An object that
cannot be read is left out and named in the log; it harms no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeAlias, TypeVar

import structlog

from kaito.runtime.change import Change, ChangeKind
from kaito.runtime.errors import UnreadableAnswer
from kaito.runtime.fence import at_least
from kaito.runtime.listeners import Listeners
from kaito.runtime.resource import Key, Resource
from kaito.runtime.store import Index, WritableStore
from kaito.runtime.wire import Header, name_of_unreadable, open_object

T = TypeVar("T")

Transform: TypeAlias = Callable[[bytes], bytes]
"""Rewrites an object's JSON before it is cached, to leave out what nobody reads."""

Entry: TypeAlias = tuple[Key, Header, bytes]

log = structlog.get_logger("kaito.runtime.informer")


class Cache(Generic[T]):
    """A store, its listeners, and what live reads know beyond the watch.

    `told` is called after each change, when every handler has heard of it.
    """

    def __init__(
        self,
        resource: Resource[T],
        *,
        keep_manager: str,
        indexes: Mapping[str, Index] | None,
        transform: Transform | None,
        told: Callable[[Key], None],
    ) -> None:
        self.resource = resource
        self.store = WritableStore(resource, indexes)
        self.listeners = Listeners(self.store)
        self.live: dict[Key, str] = {}
        """Keys that were read past the watch, and the version at which that is true."""
        self.unreadable: dict[Key, str] = {}
        """What could not be read, and why."""
        self._keep_manager = keep_manager
        self._transform = transform
        self._told = told

    def open(self, body: bytes) -> Entry | None:
        """An object as it is to be cached; None, and a line in the log, if it is none."""
        try:
            if self._transform is not None:
                body = self._transform(body)
            entry = open_object(body, self._keep_manager, self.resource.answered_kind)
        except UnreadableAnswer as error:
            self._refuse(body, str(error))
            return None
        except Exception as error:  # noqa: BLE001 - a transform's concerns its object alone
            self._refuse(body, f"The transform failed: {error!r}.")
            return None
        if self.unreadable:
            self.unreadable.pop(entry[0], None)
        return entry

    def knows(self, key: Key, header: Header) -> bool:
        """Whether the cache holds this version or, after a live read, a later one.

        Only asked of watch events: a list is believed even when its versions run backwards, as
        they do after etcd was restored from a backup.
        """
        known = self.store.header(key)
        version = self.live.get(key, "") if known is None else known.resource_version
        return bool(version) and at_least(version, header.resource_version)

    def outdated(self, key: Key, version: str) -> bool:
        """Whether a live read has found `key` in a later state than a list of `version` has."""
        live = self.live.get(key)
        return live is not None and live != version and at_least(live, version)

    def put(self, key: Key, header: Header, body: bytes, *, initial: bool = False) -> None:
        """Insert or replace an object."""
        old = self.store.put(key, header, body)
        kind: ChangeKind = "added" if old is None else "modified"
        self._tell(Change(self.resource, key, header, body, kind=kind, old=old, initial=initial))

    def remove(self, key: Key, header: Header | None = None, body: bytes = b"") -> None:
        """Forget an object, whose last state is given if it is known better than cached."""
        known = self.store.remove(key)
        if self.unreadable:
            self.unreadable.pop(key, None)
        if known is None:
            return
        last_header, last_body = (header, body) if header is not None else known
        self._tell(Change(self.resource, key, last_header, last_body, kind="deleted", old=known[0]))

    def _tell(self, change: Change) -> None:
        self.listeners.tell(change)
        self._told(change.key)

    def _refuse(self, body: bytes, why: str) -> None:
        key, _ = name_of_unreadable(body)
        # Told once, not at every event or list.
        if self.unreadable.get(key) != why:
            self.unreadable[key] = why
            log.warning(
                "object skipped",
                resource=str(self.resource),
                key=str(key) if key.name else "unknown",
                error=why,
            )
