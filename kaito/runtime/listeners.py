"""The handlers of one cache, and those that came late and are still being told what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import islice
from typing import Any

import structlog

from kaito.runtime.change import Change, Handler
from kaito.runtime.resource import Key
from kaito.runtime.store import Store

BATCH = 256  # objects replayed between two looks at the event loop

log = structlog.get_logger("kaito.runtime.informer")


class _Listener:
    """A handler, and the keys that it is still to be told of, oldest first."""

    __slots__ = ("handler", "order", "pending")

    def __init__(self, handler: Handler, keys: tuple[Key, ...]) -> None:
        self.handler = handler
        self.order = iter(keys)
        self.pending = set(keys)


class Listeners:
    """Tells each handler of each change, and each late one first of what there is.

    A replay of many objects is spread over turns of the event loop. A change of an object whose
    turn has not come takes its place: a handler hears of an object as added before anything else.
    """

    def __init__(self, store: Store[Any]) -> None:
        self._store = store
        self._listeners: tuple[_Listener, ...] = ()
        self._late: list[_Listener] = []
        self._wake = asyncio.Event()
        self._running = False

    def __len__(self) -> int:
        return len(self._listeners)

    def add(self, handler: Handler) -> Callable[[], None]:
        """Tell this handler, too; what is returned ends that."""
        listener = _Listener(handler, self._store.keys())
        self._listeners += (listener,)
        self._replay(listener)
        if self._running and listener.pending:
            self._late.append(listener)
            self._wake.set()
        while listener.pending and not self._running:
            self._replay(listener)

        def undo() -> None:
            listener.pending.clear()
            self._listeners = tuple(each for each in self._listeners if each is not listener)

        return undo

    async def run(self) -> None:
        """Go on with replays until cancelled."""
        self._running = True
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._late:
                    if self._late[0].pending:
                        self._replay(self._late[0])
                    else:
                        del self._late[0]
                    await asyncio.sleep(0)
        finally:
            self._running = False

    def tell(self, change: Change) -> None:
        """A change that the store has gone through already."""
        for listener in self._listeners:
            if listener.pending and change.key in listener.pending:
                listener.pending.remove(change.key)
                if change.kind != "deleted":
                    self._tell(listener, change.as_first())
            else:
                self._tell(listener, change)

    def _replay(self, listener: _Listener) -> None:
        store = self._store
        for key in islice(listener.order, BATCH):
            if key not in listener.pending:
                continue  # changed since, or the replay was ended
            listener.pending.remove(key)
            header, body = store.header(key), store.body(key)
            if header is not None and body is not None:
                change = Change(store.resource, key, header, body, kind="added", initial=True)
                self._tell(listener, change)

    def _tell(self, listener: _Listener, change: Change) -> None:
        try:
            listener.handler(change)
        except Exception:  # one bad object must not stop the others
            log.exception("handler failed", resource=str(self._store.resource), key=str(change.key))
