"""Faults on request: answers that a healthy server would not give, for tests of clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from kaito.local.apiserver.core import Clock
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.status import StatusError
from kaito.local.apiserver.watches import Cut


class Answer(Protocol):
    """What a fault does with a request: answers it, raises, or gives None to let it pass."""

    async def act(self, request: Request, clock: Clock) -> Response | None: ...


@dataclass(frozen=True, slots=True)
class TooMany:
    """429 with Retry-After in seconds."""

    retry_after: int = 1

    async def act(self, request: Request, clock: Clock) -> Response | None:
        raise StatusError(
            429,
            "TooManyRequests",
            "too many requests, please try again later",
            {"retryAfterSeconds": self.retry_after},
            retry_after=self.retry_after,
        )


@dataclass(frozen=True, slots=True)
class Fails:
    """A Status of failure, 500 unless said otherwise; 503 is what a starting server says."""

    code: int = 500
    reason: str = "InternalError"
    message: str = "Internal error occurred: injected fault"
    retry_after: int | None = None

    async def act(self, request: Request, clock: Clock) -> Response | None:
        raise StatusError(self.code, self.reason, self.message, {}, retry_after=self.retry_after)


@dataclass(frozen=True, slots=True)
class Delays:
    """Latency in seconds before the request is served as usual."""

    seconds: float

    async def act(self, request: Request, clock: Clock) -> Response | None:
        await clock.sleep(self.seconds)
        return None


@dataclass(frozen=True, slots=True)
class Resets:
    """The connection breaks. With `after` the request is served first, then its answer is lost."""

    after: bool = False

    async def act(self, request: Request, clock: Clock) -> Response | None:
        if self.after:
            return None
        raise Cut("connection reset by a fault")


@dataclass(frozen=True, slots=True)
class Hangs:
    """No answer ever comes; the client must give up."""

    async def act(self, request: Request, clock: Clock) -> Response | None:
        import asyncio

        await asyncio.Event().wait()
        return None


@dataclass(slots=True)
class Fault:
    """Applies `answer` to `times` requests that match, None being every one, after having let
    the first `spared` of them pass."""

    answer: Answer
    match: Callable[[Request], bool] = field(default=lambda request: True)
    times: int | None = 1
    seen: int = 0
    spared: int = 0


class Faults:
    """The faults of one server, tried in the order they were added."""

    def __init__(self, clock: Clock, cut_watches: Callable[[], int]) -> None:
        self._clock = clock
        self._cut_watches = cut_watches
        self._faults: list[Fault] = []
        self.webhooks_down: set[str] = set()
        """Names of webhooks that do not answer; "" stands for all of them."""

    def webhook_is_down(self, name: str) -> bool:
        return name in self.webhooks_down or "" in self.webhooks_down

    def add(self, fault: Fault) -> Fault:
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()
        self.webhooks_down.clear()

    def cut_watches(self) -> int:
        """Break every open watch; gives how many there were."""
        return self._cut_watches()

    async def before(self, request: Request) -> tuple[Response | None, bool]:
        """An answer that replaces the real one, and whether the real one shall be lost."""
        lost = False
        for fault in tuple(self._faults):
            if fault.times is not None and fault.seen >= fault.times:
                continue
            if not fault.match(request):
                continue
            if fault.spared:
                fault.spared -= 1
                continue
            fault.seen += 1
            if isinstance(fault.answer, Resets) and fault.answer.after:
                lost = True
                continue
            response = await fault.answer.act(request, self._clock)
            if response is not None:
                return response, lost
        return None, lost
