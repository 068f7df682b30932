"""Requests and responses of the API server, free of any transport."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.scalars import LONGEST
from kaito.local.apiserver.status import bad_request

JSON = "application/json"
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Request:
    """One request. Header names are lower case; `query` is the raw query string."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    """The body as it comes, for handlers that want it so; `body` is empty then."""

    def parameters(self) -> Query:
        return Query(self.query)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body piece by piece, however it comes."""
        if self.stream is None:
            yield self.body
            return
        async for chunk in self.stream:
            yield chunk


class Socket(Protocol):
    """A WebSocket that has been opened."""

    @property
    def protocol(self) -> str:
        """Which of the protocols offered was chosen."""

    async def receive(self) -> bytes | None:
        """The next message; None when there will be no more."""

    async def send(self, data: bytes) -> None:
        """Send a binary message. ConnectionError when the other side has gone."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An answer that makes a WebSocket of the connection, which `serve` then uses to its end."""

    protocols: tuple[str, ...]
    serve: Callable[[Socket], Awaitable[None]]


@dataclass(slots=True)
class Response:
    """One answer. A body that is an iterator is streamed until it ends or is closed."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""
    warnings: list[str] = field(default_factory=list)
    upgrade: Upgrade | None = None

    @classmethod
    def json(cls, body: object, status: int = 200) -> Response:
        return cls(status, {"content-type": JSON}, _encode(body))

    @classmethod
    def text(cls, body: str, status: int = 200) -> Response:
        headers = {
            "content-type": "text/plain; charset=utf-8",
            "x-content-type-options": "nosniff",
        }
        return cls(status, headers, body.encode())


class Query:
    """The parameters of a query string: the first value of a name counts."""

    __slots__ = ("_all",)

    def __init__(self, raw: str) -> None:
        self._all: dict[str, list[str]] = {}
        if raw:
            for name, value in parse_qsl(raw, keep_blank_values=True):
                self._all.setdefault(name, []).append(value)

    def get(self, name: str, default: str = "") -> str:
        values = self._all.get(name)
        return values[0] if values else default

    def all(self, name: str) -> list[str]:
        return self._all.get(name, [])

    def flag(self, name: str) -> bool:
        """A boolean as the server reads it: anything but "0" and "false" is true, if empty."""
        values = self._all.get(name)
        return values is not None and values[0].lower() not in {"0", "false"}

    def number(self, name: str) -> int | None:
        """A number of 64 bits; None when unset. Raises StatusError (400)."""
        values = self._all.get(name)
        if values is None:
            return None
        text = values[0]
        if not re.fullmatch(r"[-+]?[0-9]+", text):
            raise bad_request(f"strconv.ParseInt: parsing {go_quote(text)}: invalid syntax")
        if not -(2**63) <= int(text[:LONGEST]) < 2**63:
            raise bad_request(f"strconv.ParseInt: parsing {go_quote(text)}: value out of range")
        return int(text)

    def __contains__(self, name: str) -> bool:
        return name in self._all
