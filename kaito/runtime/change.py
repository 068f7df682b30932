"""Something that happened to an object, as handlers of an informer hear of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from kaito.runtime.resource import Key, Resource
from kaito.runtime.store import View
from kaito.runtime.wire import Header

ChangeKind: TypeAlias = Literal["added", "modified", "deleted"]


class Change(View):
    """Something happened to an object. `.object` is its latest state (the last known, if deleted).

    Added or modified is decided by what the cache held, not by what the server called it.
    """

    __slots__ = ("initial", "kind", "old")

    def __init__(
        self,
        resource: Resource[Any],
        key: Key,
        header: Header,
        body: bytes,
        *,
        kind: ChangeKind,
        old: Header | None = None,
        initial: bool = False,
    ) -> None:
        super().__init__(resource, key, header, body)
        self.kind = kind
        self.old = old
        """The header before, None for an added object."""
        self.initial = initial
        """Whether this is part of the first list, or of a replay to a late handler."""

    @property
    def replaced(self) -> bool:
        """Whether another object of the same name took the place of the old one."""
        return self.old is not None and self.old.uid != self.header.uid

    def as_first(self) -> Change:
        """The same for somebody who has never heard of this object."""
        return Change(self._resource, self.key, self.header, self._body, kind="added", initial=True)


Handler: TypeAlias = Callable[[Change], None]
"""Maps a change to work and returns at once."""
