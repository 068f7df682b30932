"""Who we are to the API server: bearer tokens that rotate.

Rules of client-go: a token file is read again each minute; a failed read keeps the old token; a
401 discards a token only if it is still the one in use, so that a burst of refused calls does not
throw away a fresh one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import structlog

from kaito.runtime.clock import Clock
from kaito.runtime.errors import ConnectionFailed

REREAD_SECONDS = 60.0  # client-go's period for service account token files

log = structlog.get_logger("kaito.runtime.credentials")


class Credentials(Protocol):
    """Supplies the Authorization header."""

    async def authorization(self) -> str | None:
        """The header's value now, None for anonymous calls.

        ConnectionFailed when there is none to be had now: that may pass, as a lost network does.
        """

    def refused(self, authorization: str | None) -> None:
        """The server answered 401 to this value: do not offer it again if there is another."""


class Anonymous:
    """No header; the connection's client certificate may speak for us."""

    async def authorization(self) -> str | None:
        return None

    def refused(self, authorization: str | None) -> None:
        return None


class Fixed:
    """A header value that never changes."""

    def __init__(self, value: str) -> None:
        self._value = value

    async def authorization(self) -> str | None:
        return self._value

    def refused(self, authorization: str | None) -> None:
        return None


class TokenFile:
    """A bearer token in a file that somebody else rotates, as the kubelet does."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._value: str | None = None
        self._read_at = float("-inf")

    async def authorization(self) -> str | None:
        if self._clock.monotonic() - self._read_at >= REREAD_SECONDS:
            try:
                # A few hundred bytes on a memory file system: cheaper than a thread.
                token = self._path.read_text().strip()
                if not (token.isascii() and token.isprintable() and token):
                    raise ValueError("it holds no token")
            except (OSError, ValueError) as error:
                if self._value is None:
                    raise ConnectionFailed(
                        f"The token {self._path} is unreadable: {error}"
                    ) from error
                log.warning("token kept", path=str(self._path), error=str(error))
            else:
                self._value = f"Bearer {token}"
            self._read_at = self._clock.monotonic()
        return self._value

    def refused(self, authorization: str | None) -> None:
        if authorization == self._value:
            self._read_at = float("-inf")


class Refreshed:
    """A header value that a loader supplies: an exec plugin, OIDC.

    `load` returns the value and the seconds it may be used (None: until it is refused). It runs
    alone, however many calls wait for it, in whichever of the process's event loops (a lease has
    one of its own); a failure is that of all who waited.
    """

    def __init__(
        self, load: Callable[[], Awaitable[tuple[str | None, float | None]]], clock: Clock
    ) -> None:
        self._load = load
        self._clock = clock
        self._guard = threading.Lock()  # never held while anything is awaited
        self._loading: concurrent.futures.Future[ConnectionFailed | None] | None = None
        self._value: str | None = None
        self._good_until = float("-inf")

    async def authorization(self) -> str | None:
        while self._clock.monotonic() >= self._good_until:
            with self._guard:
                loading, ours = self._loading, self._loading is None
                if loading is None:
                    self._loading = loading = concurrent.futures.Future()
                    # Who gives up waiting must not call it off for the others.
                    loading.set_running_or_notify_cancel()
            if ours:
                await self._renew(loading)
                break  # however short it lasts: it is as fresh as can be
            failure = await asyncio.wrap_future(loading)
            if failure is not None:
                raise ConnectionFailed(str(failure)) from failure
        return self._value

    async def _renew(self, loading: concurrent.futures.Future[ConnectionFailed | None]) -> None:
        failure: ConnectionFailed | None = None
        try:
            try:
                self._value, seconds = await self._load()
            except ConnectionFailed:
                raise
            except Exception as error:
                # Whatever a loader raises, the call cannot be made.
                raise ConnectionFailed(f"No credentials: {error}") from error
            lasts = float("inf") if seconds is None else max(seconds, 1.0)
            self._good_until = self._clock.monotonic() + lasts
        except ConnectionFailed as error:
            failure = error
            raise
        finally:
            with self._guard:
                self._loading = None
            loading.set_result(failure)

    def refused(self, authorization: str | None) -> None:
        if authorization == self._value:
            self._good_until = float("-inf")
