"""Admission webhooks: plain functions behind HTTPS.

    webhooks = Webhooks()
    webhooks.validate("/validate/widgets", check)     # raises Denied, may return warnings
    webhooks.mutate("/mutate/widgets", complete)      # returns the object as it shall be

Facts of controller-runtime's server: port 9443, bodies up to 7 MiB (an old and a new object of
3 MiB each), the media type exactly application/json, the uid echoed even when a handler fails.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import structlog
from aiohttp import web

from kaito.runtime.admission import Denied, NotAReview, Question, Review, TooDeep
from kaito.runtime.clock import Clock, SystemClock, deadline
from kaito.runtime.metrics import Metrics
from kaito.runtime.resource import Object

PORT = 9443
BODY_LIMIT = 7 * 1024 * 1024
DEFAULT_SECONDS = 10.0  # of a call, where the server does not say; its own default
MARGIN = 0.9  # of the server's timeout, so that our answer comes before it gives up

Validate: TypeAlias = Callable[[Review], Awaitable[Sequence[str] | None]]
"""Raises Denied to refuse; what is returned are warnings for the user."""
Mutate: TypeAlias = Callable[[Review], Awaitable[Object | None]]
"""Raises Denied to refuse; what is returned is the object as it shall be, None: as it is."""
_Judge: TypeAlias = Callable[[Question], Awaitable[bytes]]

log = structlog.get_logger("kaito.runtime.webhooks")


class Webhooks:
    """Handlers by path. A handler that fails refuses its one request and is logged."""

    def __init__(self, *, metrics: Metrics | None = None, clock: Clock | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._clock = clock or SystemClock()
        self._judges: dict[str, _Judge] = {}

    def validate(self, path: str, handler: Validate) -> None:
        """Have `handler` judge what is asked at `path`. ValueError: the path is taken."""

        async def judge(question: Question) -> bytes:
            return question.admit(warnings=await handler(question.review) or ())

        self._add(path, judge)

    def mutate(self, path: str, handler: Mutate) -> None:
        """Have `handler` change what is asked at `path`. ValueError: the path is taken."""

        async def judge(question: Question) -> bytes:
            return question.admit(wanted=await handler(question.review))

        self._add(path, judge)

    def routes(self) -> list[web.RouteDef]:
        """For a server (`serving.Site`)."""
        return [web.post(path, self._answerer(path)) for path in self._judges]

    def _add(self, path: str, judge: _Judge) -> None:
        if not path.startswith("/"):
            raise ValueError(f"The path of a webhook begins with a slash; {path!r} does not.")
        if path in self._judges:
            raise ValueError(f"There is a webhook at {path} already.")
        self._judges[path] = judge
        # Made now, so that rate() is right from the first scrape.
        for code in ("200", "500"):
            self._metrics.webhook_requests.labels(path, code)
        self._metrics.webhook_late.labels(path)

    def _answerer(self, path: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        judge = self._judges[path]
        latency = self._metrics.webhook_latency.labels(path)
        in_flight = self._metrics.webhook_in_flight.labels(path)

        async def answer(request: web.Request) -> web.Response:
            started = self._clock.monotonic()
            in_flight.inc()
            code = 500
            try:
                response = await self._respond(path, judge, request)
                code = response.status
                return response
            finally:
                in_flight.dec()
                latency.observe(self._clock.monotonic() - started)
                self._metrics.webhook_requests.labels(path, str(code)).inc()

        return answer

    async def _respond(self, path: str, judge: _Judge, request: web.Request) -> web.Response:
        if request.headers.get("Content-Type") != "application/json":
            return web.Response(status=415, text="The media type must be application/json.\n")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            return web.Response(status=415, text="The body must not be compressed.\n")
        seconds = _seconds(request.query.get("timeout"))
        try:
            async with deadline(self._clock, seconds):
                body = await _read(request)
        except (web.RequestPayloadError, ConnectionError):
            return web.Response(status=400, text="The body breaks off or is garbled.\n")
        except TimeoutError:
            return web.Response(status=408, text=f"No whole body within {seconds:g} s.\n")
        if body is None:
            return web.Response(status=413, text=f"The body is longer than {BODY_LIMIT} bytes.\n")
        try:
            question = Question.read(body)
        except NotAReview as error:
            return web.Response(status=400, text=f"{error}\n")
        except TooDeep as error:
            return web.Response(body=error.answer, content_type="application/json")
        answer = await self._judged(path, judge, question, seconds)
        return web.Response(body=answer, content_type="application/json")

    async def _judged(self, path: str, judge: _Judge, question: Question, seconds: float) -> bytes:
        asked = {"path": path, "uid": question.review.uid, "key": str(question.review.key)}
        started = self._clock.monotonic()
        scope: asyncio.Timeout | None = None
        try:
            async with deadline(self._clock, seconds) as scope:
                return await judge(question)
        except Denied as denied:
            return question.deny(denied)
        except Exception as error:
            if scope is not None and scope.expired():
                late = f"{path} took longer than {seconds:g} s."
                return question.deny(Denied(late, reason="Timeout", code=504))
            self._metrics.webhook_panics.inc()
            log.exception("webhook crashed", type=type(error).__name__, **asked)
            # What it raised may quote what the asker shall not see.
            said = f"{path} failed; its log tells why, under the uid {question.review.uid}."
            return question.deny(Denied(said, reason="InternalError", code=500))
        finally:
            # Code that does not await is not cut off, but it is found out here.
            took = self._clock.monotonic() - started
            if took > seconds or (scope is not None and scope.expired()):
                self._metrics.webhook_late.labels(path).inc()
                log.warning("webhook late", seconds=seconds, took=round(took, 3), **asked)


async def _read(request: web.Request) -> bytes | None:
    """The body, None when it is too long."""
    parts, total = [], 0
    async for chunk in request.content.iter_any():
        total += len(chunk)
        if total > BODY_LIMIT:
            return None
        parts.append(chunk)
    return b"".join(parts)


def _seconds(text: str | None) -> float:
    """What the API server's `?timeout=` leaves us; it writes whole seconds as a Go duration."""
    given = re.fullmatch(r"(\d+)s", text or "")
    return MARGIN * (float(given[1]) if given else DEFAULT_SECONDS)
