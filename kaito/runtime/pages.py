"""Lists as pages of undecoded members, also where the server sends all of them in one answer.

A list of 20,000 objects of 3 KB is one body of 60 MB. Cut into pages while it arrives, it needs no
memory beside the cache that it fills.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

WINDOW = 256 * 1024  # bytes gathered before a page is cut from them
MARK = 12  # bytes with which every member begins: {"metadata" or {"apiVersion
TRIES = 4  # places at which a page may end, before waiting for more bytes


class ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "next": "continue"}):
    """The version at which a list is true, and the token of its next page."""

    resource_version: str = ""
    next: str = ""


class Page(msgspec.Struct):
    """A part of a list. Its metadata is known when the last part of an answer has come."""

    items: Sequence[msgspec.Raw | bytes] = ()
    """The members, each JSON."""
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    begins_anew: bool = False
    """Whether the list began again with this part: what came before is void."""
    gone: Sequence[bytes] = ()
    """Members of earlier parts that were deleted while the list was being sent."""


class _List(msgspec.Struct):
    kind: str = ""
    metadata: ListMeta | None = None
    items: list[msgspec.Raw] | None = None


_decode_list = msgspec.json.Decoder(_List).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


def split_page(body: bytes, kind: str = "") -> Page:
    """A whole answer as one page.

    msgspec.DecodeError if it is no list, but a Status, say, or one of another kind than `kind`.
    """
    found = _decode_list(body)
    if found.kind != kind if kind else found.kind and not found.kind.endswith("List"):
        raise msgspec.ValidationError(f"it is a {found.kind}")
    if found.items is None and (found.metadata is None or not found.metadata.resource_version):
        raise msgspec.ValidationError("it has neither items nor a version")
    return Page(found.items or [], found.metadata or ListMeta())


class PageSplitter:
    """Cuts the answer to a list into pages while it arrives.

    A page ends before a member that begins as the first one does. Whether that is a member of the
    list, and not something nested in one, msgspec says: what lies before it must be whole members.
    Where the layout is another, everything comes out as one page at the end.
    """

    def __init__(self, kind: str = "", *, window: int = WINDOW) -> None:
        self._kind = kind
        self._window = self._wanted = window
        self._parts: list[bytes] = []
        self._held = 0
        self._head = b""
        self._first = b""

    def feed(self, chunk: bytes) -> list[msgspec.Raw]:
        """The members that are complete by now, or none until there are many of them."""
        self._parts.append(chunk)
        self._held += len(chunk)
        if self._held < self._wanted:
            return []
        held = b"".join(self._parts)
        if not self._head:
            held = self._behead(held)
        items, rest = self._cut(held)
        self._parts = [rest]
        self._held = len(rest)
        # Twice as many bytes before the next attempt at a place where this one failed.
        self._wanted = self._window + len(rest) if items else 2 * self._wanted
        return items

    def finish(self) -> Page:
        """The last page, with the metadata. msgspec.DecodeError when it was no list."""
        return split_page(b"".join((self._head, *self._parts)), self._kind)

    def _behead(self, held: bytes) -> bytes:
        found = held.find(b'"items":[{')
        if found < 0:
            return held
        begin = found + len(b'"items":[')
        self._head = held[:begin]
        self._first = b"," + held[begin : begin + MARK]
        return held[begin:]

    def _cut(self, held: bytes) -> tuple[list[msgspec.Raw], bytes]:
        end = len(held)
        for _ in range(TRIES):
            end = held.rfind(self._first, 0, end) if self._first else -1
            if end < 0:
                break
            try:
                items = _decode_elements(b"".join((b"[", memoryview(held)[:end], b"]")))
            except msgspec.DecodeError:
                continue  # a place inside a member
            return items, held[end + 1 :]
        return [], held
