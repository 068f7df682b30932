"""One HTTP exchange as two values, so that a server can stand behind a socket or in a test.

This module moves bytes. It knows no Kubernetes, repeats nothing and decides nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

NO_PAIRS: Mapping[str, str] = {}

Headers: TypeAlias = Mapping[str, str | tuple[str, ...]]
"""Headers by name; one with several values is sent as often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request. `timeout` is seconds for the whole exchange, None for a stream that may last."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    timeout: float | None = 30.0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Reply(Protocol):
    """The answer to a call, body not yet read. Read it whole or in chunks, then close it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Header names are lower case."""

    async def read(self) -> bytes:
        """The whole body."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives."""

    async def aclose(self) -> None:
        """Give the connection back, or cut it when the body was not read to its end."""


class Transport(Protocol):
    """Carries calls to a server.

    `send` raises ConnectionFailed when no answer came; an HTTP error status is an answer.
    """

    @property
    def host(self) -> str:
        """The server's name for metrics and logs."""

    async def send(self, call: Call) -> Reply: ...

    async def aclose(self) -> None: ...
