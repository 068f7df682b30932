"""What `kubectl logs` shows: the output of a container that is a process, from its log file.

Each line of a file is TIME STREAM F|P TEXT, as container runtimes write it (guard.py); P is a line
whose end is not there yet.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from kaito.local.apiserver import times
from kaito.local.apiserver.core import Call
from kaito.local.apiserver.http import Query, Response
from kaito.local.apiserver.status import bad_request
from kaito.local.pods import guard
from kaito.runtime import Clock, Key

NOTHING_RUNS = b"This container is simulated: nothing runs in it, and it writes no log.\n"
# How often a followed file is looked at; people read no faster.
FOLLOW_SECONDS = 0.2
TAIL_BYTES = 2048  # of a log that stands in for a termination message, as with a kubelet
TAIL_LINES = 80


class Source(NamedTuple):
    """Where a container writes. `file` is None when nothing runs in it; `waits` says why there is
    no log yet, "" when there is one."""

    file: Path | None
    waits: str = ""


Find = Callable[[Key, str, bool], Source]
"""The log of a pod's container; True asks for that of its previous run."""


class NoPrevious(Exception):
    """The container has not been started again."""


class PodLogs:
    """Answers log requests. `ended` says whether a container will write no more."""

    def __init__(self, find: Find, ended: Callable[[Key, str], bool], clock: Clock) -> None:
        self._find = find
        self._ended = ended
        self._clock = clock

    async def serve(self, call: Call, container: str) -> Response:
        """The API server's request for the log of a container that exists."""
        return self.read(Key(call.target.namespace, call.target.name), container, call.query)

    def read(self, key: Key, container: str, query: Query) -> Response:
        """The answer to GET .../pods/NAME/log with these parameters. Raises StatusError."""
        previous = query.flag("previous")
        try:
            source = self._find(key, container, previous)
        except NoPrevious:
            raise bad_request(
                f'previous terminated container "{container}" in pod "{key.name}" not found'
            ) from None
        if source.waits:
            raise bad_request(
                f'container "{container}" in pod "{key.name}" is waiting to start: {source.waits}'
            )
        if source.file is None:
            return _text(NOTHING_RUNS)
        wanted = _wanted(query, self._clock.now())
        whole = _after(source.file, 0)
        shown = wanted.shown(whole.splitlines(keepends=True))
        if not query.flag("follow") or previous:
            return _text(shown)
        return _text(self._follow(key, container, source.file, wanted, shown, len(whole)))

    async def _follow(
        self, key: Key, container: str, path: Path, wanted: Wanted, shown: bytes, offset: int
    ) -> AsyncIterator[bytes]:
        left = wanted.limit
        while True:
            shown = shown if left is None else shown[:left]
            yield shown
            left = None if left is None else left - len(shown)
            # Asked before reading: what was written before the end is still read.
            over = self._ended(key, container)
            more = b""
            if path.exists() and path.stat().st_size < offset:
                # A new one has been begun; what the full one still had to say comes first.
                more, offset = _after(rotated(path), offset), 0
            fresh = _after(path, offset)
            offset += len(fresh)
            more += fresh
            shown = wanted.rest().shown(more.splitlines(keepends=True))
            if left == 0 or (over and not shown):
                return
            if not shown:
                await self._clock.sleep(FOLLOW_SECONDS)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of a log is asked for. `since` is a time as it stands in the log."""

    tail: int | None = None
    since: str = ""
    timestamps: bool = False
    limit: int | None = None

    def shown(self, lines: Iterable[bytes]) -> bytes:
        """The text of these lines of a log file."""
        since = self.since.encode()
        chosen = [line for line in lines if line[: len(since)] >= since]
        if self.tail is not None:
            chosen = chosen[max(0, len(chosen) - self.tail) :]
        text = b"".join(map(self._line, chosen))
        return text if self.limit is None else text[: self.limit]

    def rest(self) -> Wanted:
        """What is asked for of the lines that come later."""
        return Wanted(timestamps=self.timestamps)

    def _line(self, line: bytes) -> bytes:
        parts = line.rstrip(b"\n").split(b" ", 3)
        if len(parts) < 4:  # nobody but the program can have written into its log
            return line
        text = parts[3] + (b"\n" if parts[2] == b"F" else b"")
        return parts[0] + b" " + text if self.timestamps else text


def last_words(path: Path) -> str:
    """The end of a log, for a container that failed and left no message."""
    text = Wanted(tail=TAIL_LINES).shown(_after(path, 0).splitlines(keepends=True))
    return text[-TAIL_BYTES:].decode(errors="replace")


def rotated(log: Path) -> Path:
    """Where the full log is that made way for this one, if there is one."""
    return log.with_name(log.name + guard.ROTATED)


def _after(path: Path, offset: int) -> bytes:
    """The whole lines of a file from an offset on."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        file.seek(offset)
        more = file.read()
    return more[: more.rfind(b"\n") + 1]


def _wanted(query: Query, now: float) -> Wanted:
    since = ""
    if text := query.get("sinceTime"):
        since = _stamp(times.parse(text).timestamp())
    elif (seconds := query.number("sinceSeconds")) is not None:
        since = _stamp(now - seconds)
    return Wanted(
        query.number("tailLines"), since, query.flag("timestamps"), query.number("limitBytes")
    )


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(max(moment, 0.0), UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def _text(body: bytes | AsyncIterator[bytes]) -> Response:
    return Response(200, {"content-type": "text/plain"}, body)
