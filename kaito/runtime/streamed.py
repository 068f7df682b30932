"""A running watch, event by event, and the list that it may begin with.

Asked for initial events, a server sends each object as an ADDED event and then a bookmark that
ends the list (KEP-3157). Neither side ever holds the whole list: that is what it is for. Not every
server can do it, and some that cannot do not say so: they never send that bookmark.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from kaito.runtime.clock import Clock, deadline
from kaito.runtime.errors import RuntimeFailure, api_error
from kaito.runtime.pages import ListMeta, Page
from kaito.runtime.transport import Reply
from kaito.runtime.wire import LineSplitter, open_bookmark, split_event

LIST_SECONDS = 30.0  # without another object of the list, or the bookmark that ends it


class NotStreamed(RuntimeFailure):
    """The server does not send lists as the beginning of a watch."""


class WatchStream:
    """The lines of a running watch. Close it when done."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self._chunks = reply.chunks()
        self._splitter = LineSplitter()
        self._rest: list[bytes] = []

    async def initial_pages(self, clock: Clock) -> AsyncGenerator[Page, None]:
        """The list that the watch begins with; the last page has its version.

        NotStreamed when the watch ends, or 30 seconds pass without an object, before the list has
        ended.
        """
        heard = clock.monotonic()
        while True:
            try:
                async with deadline(clock, heard + LIST_SECONDS - clock.monotonic()):
                    chunk = await anext(self._chunks, b"")
            except TimeoutError:
                raise NotStreamed(f"No bookmark ended the list in {LIST_SECONDS:g} s.") from None
            if not chunk:
                raise NotStreamed("The watch ended before the list did.")
            lines = self._splitter.feed(chunk)
            items: list[bytes] = []
            for position, line in enumerate(lines):
                kind, body = split_event(line)
                if kind == "BOOKMARK":
                    bookmark = open_bookmark(body)
                    if bookmark.ends_list:
                        self._rest = lines[position + 1 :]
                        yield Page(items, ListMeta(bookmark.resource_version))
                        return
                elif kind == "ERROR":
                    raise api_error(0, body)
                elif kind == "DELETED":
                    yield Page(items)
                    yield Page(gone=[body])
                    items = []
                else:
                    items.append(body)
                    # Changes alone may go on for ever on a server that lists nothing.
                    heard = clock.monotonic() if kind == "ADDED" else heard
            if items:
                yield Page(items)

    async def batches(self) -> AsyncGenerator[list[bytes], None]:
        """The lines, as many at once as come at once."""
        if self._rest:
            rest, self._rest = self._rest, []
            yield rest
        async for chunk in self._chunks:
            yield self._splitter.feed(chunk)

    async def aclose(self) -> None:
        """Cut the connection."""
        await self._reply.aclose()
