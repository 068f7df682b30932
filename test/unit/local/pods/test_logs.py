"""What `kubectl logs` shows of a process, and of a pod that is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kaito.local.apiserver.http import Query
from kaito.local.apiserver.status import StatusError
from kaito.local.pods.logs import (
    NOTHING_RUNS,
    NoPrevious,
    PodLogs,
    Source,
    last_words,
    rotated,
)
from kaito.runtime import Key

if TYPE_CHECKING:
    from conftest import ManualClock

KEY = Key("ns", "p")
# The clock stands at 2026-01-01T00:00:00Z.
WRITTEN = (
    b"2025-12-31T23:59:50.000000001Z stdout F one\n"
    b"2025-12-31T23:59:55.500000000Z stderr P tw\n"
    b"2025-12-31T23:59:55.500000002Z stderr F o\n"
    b"2025-12-31T23:59:59.000000000Z stdout F three\n"
)


def logs(clock: ManualClock, *sources: Source) -> PodLogs:
    """Logs whose current and previous files are these."""
    return PodLogs(lambda _key, _name, previous: sources[previous], lambda *_: True, clock)


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", b"one\ntwo\nthree\n"),
        ("tailLines=1", b"three\n"),
        ("tailLines=0", b""),
        ("tailLines=9", b"one\ntwo\nthree\n"),
        ("limitBytes=5", b"one\nt"),
        ("sinceSeconds=2", b"three\n"),
        ("sinceSeconds=100000000000", b"one\ntwo\nthree\n"),
        ("sinceTime=2025-12-31T23:59:55Z", b"two\nthree\n"),
        ("tailLines=1&timestamps=true", b"2025-12-31T23:59:59.000000000Z three\n"),
    ],
)
def test_a_log_is_shown_as_asked(
    tmp_path: Path, clock: ManualClock, query: str, shown: bytes
) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(WRITTEN)
    assert logs(clock, Source(log)).read(KEY, "c", Query(query)).body == shown


def test_a_line_that_is_being_written_is_not_shown_yet(tmp_path: Path, clock: ManualClock) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(WRITTEN + b"2025-12-31T23:59:59.1Z stdout F fo")
    assert logs(clock, Source(log)).read(KEY, "c", Query("tailLines=1")).body == b"three\n"


def test_the_log_of_the_run_before_is_asked_for_by_name(tmp_path: Path, clock: ManualClock) -> None:
    log = tmp_path / "0.log"
    log.write_bytes(WRITTEN)
    both = logs(clock, Source(tmp_path / "1.log"), Source(log))
    assert both.read(KEY, "c", Query("previous=true&tailLines=1")).body == b"three\n"
    assert both.read(KEY, "c", Query("")).body == b""


def test_a_container_that_was_not_started_again_has_no_previous_log(clock: ManualClock) -> None:
    def find(*_: object) -> Source:
        raise NoPrevious

    with pytest.raises(StatusError) as refused:
        PodLogs(find, lambda *_: True, clock).read(KEY, "c", Query("previous=true"))
    assert refused.value.code == 400
    said = 'previous terminated container "c" in pod "p" not found'
    assert refused.value.body()["message"] == said


def test_a_container_that_waits_says_what_for(clock: ManualClock) -> None:
    waiting = logs(clock, Source(None, "ContainerCreating"))
    with pytest.raises(StatusError) as refused:
        waiting.read(KEY, "c", Query(""))
    said = 'container "c" in pod "p" is waiting to start: ContainerCreating'
    assert refused.value.body()["message"] == said


def test_a_simulated_container_says_so(clock: ManualClock) -> None:
    assert logs(clock, Source(None)).read(KEY, "c", Query("follow=true")).body == NOTHING_RUNS


class Writing:
    """A clock during whose sleep somebody writes a line."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def now(self) -> float:
        return 0.0

    async def sleep(self, _: float) -> None:
        with self._log.open("ab") as file:
            file.write(b"2025-12-31T23:59:59.000000000Z stdout F more\n")


@pytest.mark.parametrize(("limit", "shown"), [("", b"three\nmore\nmore\n"), ("8", b"three\nmo")])
async def test_a_followed_log_goes_on_until_the_process_ends(
    tmp_path: Path, limit: str, shown: bytes
) -> None:
    log, ended = tmp_path / "0.log", [False, False, False, False, True, True]
    log.write_bytes(WRITTEN)
    followed = PodLogs(lambda *_: Source(log), lambda *_: ended.pop(0), Writing(log))  # type: ignore[arg-type]
    asked = Query(f"follow=true&tailLines=1{'&limitBytes=' + limit if limit else ''}")
    body = followed.read(KEY, "c", asked).body
    assert not isinstance(body, bytes)
    assert b"".join([part async for part in body]) == shown


def test_the_last_words_are_the_end_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "0.log"
    assert last_words(log) == ""
    log.write_bytes(b"".join(b"2025-12-31T23:59:59Z stdout F %d\n" % n for n in range(5000)))
    said = last_words(log)
    assert said.splitlines()[-1] == "4999"
    assert len(said.splitlines()) == 80


class Full:
    """A clock during whose first sleep a log is filled up and another one begun."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def now(self) -> float:
        return 0.0

    async def sleep(self, _: float) -> None:
        if not rotated(self._log).exists():
            line = b"2025-12-31T23:59:59.000000000Z stdout F %s\n"
            self._log.write_bytes(WRITTEN + line % b"last of the old")
            self._log.rename(rotated(self._log))
            self._log.write_bytes(line % b"first of the new")


async def test_who_follows_a_log_misses_nothing_when_it_is_full(tmp_path: Path) -> None:
    log, ended = tmp_path / "0.log", [False, True, True]
    log.write_bytes(WRITTEN)
    followed = PodLogs(lambda *_: Source(log), lambda *_: ended.pop(0), Full(log))  # type: ignore[arg-type]
    body = followed.read(KEY, "c", Query("follow=true&tailLines=0")).body
    assert not isinstance(body, bytes)
    assert b"".join([part async for part in body]) == b"last of the old\nfirst of the new\n"
