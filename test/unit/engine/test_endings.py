"""How a container ends: its code, its sentence, and what a signal does."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.engine.endings import LONGEST, VARIABLE, Ended, Ending, one_line, run


def ended(work: Callable[[], str], tmp_path: Path) -> tuple[int, str]:
    log = tmp_path / "log"
    log.touch()
    code = run(work, {VARIABLE: str(log)})
    return code, log.read_text()


def raising(error: BaseException) -> Callable[[], str]:
    def work() -> str:
        raise error

    return work


def test_success_leaves_what_the_work_says(tmp_path: Path) -> None:
    assert ended(lambda: "r.io/a:1@sha256:0", tmp_path) == (0, "r.io/a:1@sha256:0")


def test_an_end_with_a_reason_leaves_its_sentence_and_code(tmp_path: Path) -> None:
    work = raising(Ended(Ending.DATASET_INVALID, "It has no rows."))
    assert ended(work, tmp_path) == (10, "It has no rows.")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_has_a_code_wherever_it_is_noticed(tmp_path: Path, number: int) -> None:
    code, said = ended(raising(OSError(number, "full", "/mnt/data/x")), tmp_path)
    assert code == Ending.DISK_FULL
    assert "/mnt/data/x" in said


def test_another_error_of_the_system_is_no_full_disk(tmp_path: Path) -> None:
    assert ended(raising(OSError(errno.EACCES, "denied")), tmp_path)[0] == Ending.UNEXPECTED


def test_a_full_memory_has_a_code(tmp_path: Path) -> None:
    assert ended(raising(MemoryError()), tmp_path)[0] == Ending.OUT_OF_MEMORY


def test_an_error_that_nobody_foresaw_tells_nothing_of_its_text(tmp_path: Path) -> None:
    code, said = ended(raising(ValueError("password=hunter2")), tmp_path)
    assert code == Ending.UNEXPECTED
    assert "ValueError" in said
    assert "hunter2" not in said


def test_sigterm_ends_it_in_order(tmp_path: Path) -> None:
    given_back = []

    def work() -> str:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            given_back.append(True)
        return "never"

    before = signal.getsignal(signal.SIGTERM)
    assert ended(work, tmp_path)[0] == 143
    assert given_back
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_is_heard_between_two_steps_of_asyncio(tmp_path: Path) -> None:
    async def wait() -> str:
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        return "never"

    assert ended(lambda: asyncio.run(wait()), tmp_path)[0] == 143


def test_sigterm_is_heard_where_callbacks_swallow_exceptions(tmp_path: Path) -> None:
    def swallow() -> None:
        with contextlib.suppress(BaseException):
            os.kill(os.getpid(), signal.SIGTERM)

    async def wait() -> str:
        asyncio.get_running_loop().call_soon(swallow)
        await asyncio.Event().wait()
        return "never"

    assert ended(lambda: asyncio.run(wait()), tmp_path)[0] == 143


def test_work_that_does_not_stop_is_ended_all_the_same(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from kaito.engine.endings import run

def work():
    while True:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except SystemExit:
            pass  # as where Python calls back by itself

sys.exit(run(work, grace=0.1))
"""
    log = tmp_path / "log"
    log.touch()
    variables = {**os.environ, VARIABLE: str(log)}
    done = subprocess.run([sys.executable, "-c", program], env=variables, timeout=30, check=False)
    assert done.returncode == 143
    assert "told to stop" in log.read_text()


def test_without_a_place_for_it_the_code_is_all() -> None:
    assert run(lambda: "done", {VARIABLE: "/nowhere/at/all"}) == 0


@given(st.text())
def test_a_message_is_one_line_that_kubernetes_keeps_whole(text: str) -> None:
    said = one_line(text)
    assert len(said.encode()) <= LONGEST
    assert said.isprintable()
    assert one_line(said) == said
