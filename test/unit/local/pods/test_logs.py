"""What `kubectl logs` shows of a process, and of a pod that is none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kaito.local.apiserver.http import Query
from kaito.local.pods.logs import NOTHING_RUNS, PodLogs
from kaito.runtime import Key

if TYPE_CHECKING:
    from conftest import ManualClock

KEY = Key("ns", "p")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", b"one\ntwo\nthree"),
        ("tailLines=2", b"two\nthree"),
        ("tailLines=0", b""),
        ("tailLines=9", b"one\ntwo\nthree"),
        ("limitBytes=5", b"one\nt"),
    ],
)
def test_a_log_is_shown_as_asked(
    tmp_path: Path, clock: ManualClock, query: str, shown: bytes
) -> None:
    log = tmp_path / "c.log"
    log.write_bytes(b"one\ntwo\nthree")
    logs = PodLogs(lambda *_: log, lambda *_: True, clock)
    assert logs.read(KEY, "c", Query(query)).body == shown


def test_a_simulated_container_says_so(clock: ManualClock) -> None:
    logs = PodLogs(lambda *_: None, lambda *_: True, clock)
    assert logs.read(KEY, "c", Query("follow=true")).body == NOTHING_RUNS


class Writing:
    """A clock during whose sleep somebody writes a line."""

    def __init__(self, log: Path) -> None:
        self._log = log

    async def sleep(self, _: float) -> None:
        with self._log.open("ab") as file:
            file.write(b"more\n")


async def test_a_followed_log_goes_on_until_the_process_ends(tmp_path: Path) -> None:
    log, ended = tmp_path / "c.log", [False, False, True]
    log.write_bytes(b"one\n")
    logs = PodLogs(lambda *_: log, lambda *_: ended.pop(0), Writing(log))
    body = logs.read(KEY, "c", Query("follow=true")).body
    assert not isinstance(body, bytes)
    assert [part async for part in body] == [b"one\n", b"more\n", b"more\n"]
