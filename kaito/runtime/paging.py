"""Reading a list: page after page, or one answer cut into pages while it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import msgspec

from kaito.runtime.clock import Clock, deadline
from kaito.runtime.errors import CallTimedOut, Expired, UnreadableAnswer
from kaito.runtime.exchange import Exchange
from kaito.runtime.pages import Page, PageSplitter, split_page
from kaito.runtime.transport import Call


async def read_pages(
    exchange: Exchange, call: Call, *, kind: str = "", clock: Clock, silence: float
) -> AsyncGenerator[Page, None]:
    """The pages of the list that `call` asks for, by a limit in its query or all at once.

    `kind` is what the list has to call itself, any kind of list by default.
    When a continue token expires on the way, the list begins anew, all at once. The errors are
    those of a call; a whole list may take any time, but no part of it more than `silence` seconds.
    """
    anew = False
    first = call
    while True:
        last = Page()
        answer = (
            _page(exchange, call, kind)
            if "limit" in call.query
            else _whole(exchange, call, kind, clock, silence)
        )
        try:
            async with aclosing(answer) as parts:
                async for last in parts:
                    last.begins_anew, anew = anew, False
                    yield last
        except Expired:
            if "continue" not in call.query:
                raise
            call = replace(first, query=_without(first, "limit", "resourceVersion"))
            anew = True
            continue
        if not last.metadata.next:
            return
        # A continue token carries its version; sending one again is an error.
        query = {**_without(call, "resourceVersion"), "continue": last.metadata.next}
        call = replace(call, query=query)


async def _page(exchange: Exchange, call: Call, kind: str) -> AsyncGenerator[Page, None]:
    body = await exchange.send(call)
    try:
        yield split_page(body, kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_list(call, error) from error


async def _whole(
    exchange: Exchange, call: Call, kind: str, clock: Clock, silence: float
) -> AsyncGenerator[Page, None]:
    call = replace(call, timeout=None)
    reply = await exchange.open(call, silence)
    splitter = PageSplitter(kind)
    try:
        chunks = reply.chunks()
        while True:
            try:
                async with deadline(clock, silence):
                    chunk = await anext(chunks, b"")
            except TimeoutError:
                raise CallTimedOut(f"{call} was silent for {silence:g} s.", call) from None
            if not chunk:
                break
            items = splitter.feed(chunk)
            if items:
                yield Page(items)
    finally:
        await reply.aclose()
    try:
        yield splitter.finish()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _no_list(call, error) from error


def _without(call: Call, *names: str) -> dict[str, str]:
    return {name: text for name, text in call.query.items() if name not in names}


def _no_list(call: Call, error: Exception) -> UnreadableAnswer:
    return UnreadableAnswer(f"The answer is no list: {error}.", call)
