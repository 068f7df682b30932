"""One call and its answer: deadlines, repetitions, counting, and errors with a type.

Calls are repeated only where that is safe: when the server itself asks for it with Retry-After,
and reads whose connection broke. Everything else is the caller's decision.
"""

from __future__ import annotations

import re

import structlog

from kaito.runtime.clock import Clock, deadline
from kaito.runtime.errors import (
    ApiError,
    CallTimedOut,
    ConnectionFailed,
    ServerError,
    TooManyRequests,
    api_error,
)
from kaito.runtime.metrics import Metrics
from kaito.runtime.transport import Call, Reply, Transport

MAX_RETRIES = 10  # client-go's limit for answers that carry Retry-After
RECONNECT_SECONDS = 1.0  # client-go's pause before a broken read is repeated
WARNINGS_KEPT = 512  # distinct warnings remembered, so that each is logged once
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')  # RFC 7234, 5.5, as API servers send it

log = structlog.get_logger("kaito.runtime.client")


class Exchange:
    """Sends calls over one transport."""

    def __init__(self, transport: Transport, metrics: Metrics, clock: Clock) -> None:
        self.transport = transport
        self._metrics = metrics
        self._clock = clock
        self._warned: dict[str, None] = {}

    async def send(self, call: Call) -> bytes:
        """One call and its whole answer; ApiError for an error status.

        A pause that the server asks for is slept through here only when it is no longer than
        the call may take; a longer one is the caller's, who reads it from `.retry_after`.
        """
        longest = float("inf") if call.timeout is None else call.timeout
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._once(call)
            except ApiError as error:
                # Only when the server says when: anything else might be sent twice in vain.
                asked = isinstance(error, TooManyRequests | ServerError)
                if error.retry_after is None or not asked or attempt > MAX_RETRIES:
                    raise
                if error.retry_after > longest:
                    raise
                code, pause = str(error.status.code), error.retry_after
            except ConnectionFailed:
                if call.method != "GET" or attempt > 1:
                    raise
                code, pause = "<error>", RECONNECT_SECONDS
            self._metrics.request_retries.labels(code, call.method, self.transport.host).inc()
            await self._clock.sleep(pause)

    async def open(self, call: Call, seconds: float) -> Reply:
        """A call whose body may last, once its head has come within `seconds`."""
        try:
            async with deadline(self._clock, seconds):
                reply = await self.transport.send(call)
                self._count(call, str(reply.status))
                if reply.status >= 400:
                    try:
                        raise api_error(reply.status, await reply.read(), call, reply.headers)
                    finally:
                        await reply.aclose()
        except TimeoutError as error:
            raise _late(call, seconds, error) from None
        return reply

    async def _once(self, call: Call) -> bytes:
        started = self._clock.monotonic()
        code = "<error>"
        try:
            async with deadline(self._clock, call.timeout):
                reply = await self.transport.send(call)
                try:
                    body = await reply.read()
                    code = str(reply.status)
                finally:
                    await reply.aclose()
        except TimeoutError as error:
            raise _late(call, call.timeout, error) from None
        finally:
            self._count(call, code)
            took = self._clock.monotonic() - started
            self._metrics.request_duration.labels(call.method, self.transport.host).observe(took)
        if reply.status >= 400:
            raise api_error(reply.status, body, call, reply.headers)
        if "warning" in reply.headers:
            self._warn(call, reply.headers["warning"])
        return body

    def _warn(self, call: Call, header: str) -> None:
        for text in _WARNING.findall(header):
            if text not in self._warned:
                if len(self._warned) >= WARNINGS_KEPT:
                    self._warned.clear()
                self._warned[text] = None
                log.warning(
                    "the server warns", warning=re.sub(r"\\(.)", r"\1", text), call=str(call)
                )

    def _count(self, call: Call, code: str) -> None:
        self._metrics.requests.labels(code, call.method, self.transport.host).inc()


def _late(call: Call, seconds: float | None, error: TimeoutError) -> CallTimedOut:
    if isinstance(error, CallTimedOut):
        return error
    return CallTimedOut(f"{call} got no complete answer within {seconds} s.", call)
