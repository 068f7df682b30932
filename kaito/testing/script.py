"""A server that answers what a test tells it to, call by call.

For tests about single exchanges and broken ones. It keeps no state: `FakeApi` does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from kaito.runtime import Call, Reply


class ScriptedReply:
    """A whole answer: a status, headers with lower-case names, and a body (JSON unless bytes)."""

    def __init__(
        self, status: int = 200, body: Any = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = dict(headers or {})
        self.closed = False
        self._body = body if isinstance(body, bytes) else msgspec.json.encode(body)

    @classmethod
    def refusal(
        cls,
        code: int,
        reason: str,
        message: str = "",
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ScriptedReply:
        """An answer with a Status, as API servers refuse."""
        return cls(code, status_body(code, reason, message, details=details), headers)

    async def read(self) -> bytes:
        return self._body

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._body:
            yield self._body

    async def aclose(self) -> None:
        self.closed = True


class Stream:
    """The answer to a watch, written by the test while it is being read."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.closed = False
        self._chunks: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def event(self, kind: str, obj: Mapping[str, Any]) -> None:
        """Send one watch event."""
        self.raw(msgspec.json.encode({"type": kind, "object": obj}) + b"\n")

    def bookmark(self, version: str) -> None:
        """Send a bookmark."""
        self.event("BOOKMARK", {"kind": "Any", "metadata": {"resourceVersion": version}})

    def raw(self, chunk: bytes) -> None:
        """Send bytes as they are."""
        self._chunks.put_nowait(chunk)

    def end(self) -> None:
        """End the stream in good order."""
        self._chunks.put_nowait(None)

    def fail(self, error: Exception) -> None:
        """Break the stream off."""
        self._chunks.put_nowait(error)

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._chunks.get()) is not None:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def aclose(self) -> None:
        self.closed = True


Answer: TypeAlias = Reply | Exception | Callable[[Call], Reply]


class Script:
    """A transport that gives `answers` in order and then never answers again.

    An exception is raised, a function is asked with the call.
    """

    host = "script"

    def __init__(self, *answers: Answer) -> None:
        self.calls: list[Call] = []
        self.closed = False
        self._answers = deque(answers)

    def add(self, *answers: Answer) -> None:
        """Append to the script."""
        self._answers.extend(answers)

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        if not self._answers:
            await asyncio.get_running_loop().create_future()
        answer = self._answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer(call) if callable(answer) else answer

    async def aclose(self) -> None:
        self.closed = True


def status_body(
    code: int, reason: str, message: str = "", *, details: Mapping[str, Any] | None = None
) -> Mapping[str, Any]:
    """A meta/v1 Status of a failure."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message or f"{reason}, said the script",
        "details": dict(details or {}),
    }
