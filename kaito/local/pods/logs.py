"""What `kubectl logs` shows: the output of a pod's process, from the file it is written to.

Times are not kept with the lines, so `sinceSeconds`, `sinceTime` and `timestamps` are not honoured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from kaito.local.apiserver.core import Call
from kaito.local.apiserver.http import Query, Response
from kaito.runtime import Clock, Key

NOTHING_RUNS = b"This container is simulated: nothing runs in it, and it writes no log.\n"
# How often a followed file is looked at; people read no faster.
FOLLOW_SECONDS = 0.2


class PodLogs:
    """Answers log requests. `log_file` says where a container writes, None when nothing runs;
    `ended` whether it will write no more."""

    def __init__(
        self,
        log_file: Callable[[Key, str], Path | None],
        ended: Callable[[Key, str], bool],
        clock: Clock,
    ) -> None:
        self._log_file = log_file
        self._ended = ended
        self._clock = clock

    async def serve(self, call: Call, container: str) -> Response:
        """The API server's request for the log of a container that exists."""
        return self.read(Key(call.target.namespace, call.target.name), container, call.query)

    def read(self, key: Key, container: str, query: Query) -> Response:
        """The answer to GET .../pods/NAME/log with these parameters."""
        path = self._log_file(key, container)
        if path is None:
            return _text(NOTHING_RUNS)
        written = path.read_bytes() if path.exists() else b""
        shown = _last_lines(written, query.get("tailLines"))
        limit = query.get("limitBytes")
        if limit.isdigit():
            shown = shown[: int(limit)]
        if not query.flag("follow"):
            return _text(shown)
        return _text(self._follow(key, container, path, shown, len(written)))

    async def _follow(
        self, key: Key, container: str, path: Path, shown: bytes, offset: int
    ) -> AsyncIterator[bytes]:
        yield shown
        while True:
            # Asked before reading: what was written before the end is still read.
            over = self._ended(key, container)
            if path.exists():
                with path.open("rb") as file:
                    file.seek(offset)
                    if more := file.read():
                        offset += len(more)
                        yield more
            if over:
                return
            await self._clock.sleep(FOLLOW_SECONDS)


def _last_lines(written: bytes, count: str) -> bytes:
    if not count.isdigit():
        return written
    lines = written.splitlines(keepends=True)
    return b"".join(lines[max(0, len(lines) - int(count)) :])


def _text(body: bytes | AsyncIterator[bytes]) -> Response:
    return Response(200, {"content-type": "text/plain"}, body)
