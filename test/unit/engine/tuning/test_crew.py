"""Workers end as one, whatever happens to one of them, and why is known."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kaito.engine.endings import Ended, Ending
from kaito.engine.tuning import crew

ROOT = Path(__file__).parents[4]
PATIENCE = 60
FULL = Ended(Ending.OUT_OF_MEMORY, "It is full.")


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "MODULE", "test.unit.engine.tuning.stand_in")
    monkeypatch.setattr(crew, "LAST_WORDS", 0.1)


class Heard(list[tuple[str, Mapping[str, Any]]]):
    """What workers said."""

    def hear(self, what: str, said: Mapping[str, Any]) -> None:
        self.append((what, said))

    @property
    def workers(self) -> list[int]:
        return [said["pid"] for what, said in self if what == "started"]


def run(place: Path, *does: Mapping[str, object], heard: Heard | None = None) -> None:
    (place / "plan").write_text(json.dumps(does))
    hear = Heard() if heard is None else heard
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    crew.run(place / "plan", len(does), hear=hear.hear, variables=variables, full=lambda: FULL)


def failed(place: Path, *does: Mapping[str, object], heard: Heard | None = None) -> Ended:
    with pytest.raises(Ended) as caught:
        run(place, *does, heard=heard)
    return caught.value


def says(code: Ending, sentence: str) -> dict[str, object]:
    return {"says": [{"what": "ended", "code": code, "sentence": sentence}], "ends": int(code)}


@contextlib.contextmanager
def alive(pid: int) -> Iterator[int]:
    """A handle of a process that becomes readable when it has ended."""
    number = os.pidfd_open(pid)
    try:
        yield number
    finally:
        os.close(number)


def test_all_that_is_said_is_heard_to_the_last_word(tmp_path: Path) -> None:
    heard = Heard()
    run(
        tmp_path, {"says": [{"what": "progress", "step": each} for each in range(500)]}, heard=heard
    )
    assert [said["step"] for what, said in heard if what == "progress"] == list(range(500))


def test_each_of_several_knows_its_place(tmp_path: Path) -> None:
    heard = Heard()
    run(tmp_path, {}, {}, {}, heard=heard)
    places = sorted((said["rank"], said["size"]) for _, said in heard)
    assert places == [(0, "3"), (1, "3"), (2, "3")]


def test_why_a_worker_ended_is_what_it_said(tmp_path: Path) -> None:
    ended = failed(tmp_path, says(Ending.MODEL_UNUSABLE, "It is gated."))
    assert (ended.ending, ended.sentence) == (Ending.MODEL_UNUSABLE, "It is gated.")


def test_those_who_wait_for_one_that_failed_are_ended(tmp_path: Path) -> None:
    heard = Heard()
    ended = failed(tmp_path, {"waits": True}, {"signal": signal.SIGKILL}, heard=heard)
    assert ended.ending == Ending.UNEXPECTED
    assert "ended by SIGKILL" in ended.sentence
    assert not [each for each in heard.workers if Path(f"/proc/{each}").exists()]


def test_of_several_the_one_who_knows_is_believed(tmp_path: Path) -> None:
    ended = failed(
        tmp_path,
        says(Ending.UNEXPECTED, "Another one has gone."),
        says(Ending.OUT_OF_MEMORY, "The GPU's memory is full."),
    )
    assert ended.sentence == "The GPU's memory is full."


def test_one_that_says_nothing_is_told_by_its_code(tmp_path: Path) -> None:
    assert "ended with 7" in failed(tmp_path, {"ends": 7}).sentence
    assert "ended by SIGSEGV" in failed(tmp_path, {"signal": signal.SIGSEGV}).sentence


def test_one_that_the_kernel_ended_for_memory_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = tmp_path / "memory.events"
    monkeypatch.setattr(crew, "OOM_EVENTS", events)
    events.write_text("low 0\noom 1\noom_kill 1\n")

    class Killing(Heard):
        def hear(self, what: str, said: Mapping[str, Any]) -> None:
            events.write_text("low 0\noom 2\noom_kill 2\n")

    ended = failed(tmp_path, {"signal": signal.SIGKILL}, heard=Killing())
    assert ended is FULL
    assert failed(tmp_path, {"signal": signal.SIGKILL}).ending == Ending.UNEXPECTED


class Stopping(Heard):
    """As if the Pod were told to end once both workers have begun."""

    def hear(self, what: str, said: Mapping[str, Any]) -> None:
        super().hear(what, said)
        if len(self) == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_reaches_all(tmp_path: Path) -> None:
    ended = failed(tmp_path, {"waits": True}, {"waits": True}, heard=Stopping())
    assert ended.ending == Ending.STOPPED
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_one_that_does_not_end_in_time_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "GRACE", 0.1)
    monkeypatch.setattr(crew, "LOOK", 0.01)
    heard = Stopping()
    deaf = {"waits": True, "deaf": True}
    assert failed(tmp_path, deaf, deaf, heard=heard).ending == Ending.STOPPED
    assert not [each for each in heard.workers if Path(f"/proc/{each}").exists()]


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    (tmp_path / "plan").write_text(json.dumps([{"waits": True}]))
    program = (
        "import os, sys; from pathlib import Path; from kaito.engine.tuning import crew\n"
        "crew.MODULE = 'test.unit.engine.tuning.stand_in'\n"
        "say = lambda what, said: print(said['pid'], flush=True)\n"
        "crew.run(Path(sys.argv[1]), 1, hear=say, variables=os.environ, full=None)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "plan")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        with alive(int(parent.stdout.readline())) as worker:
            parent.kill()
            assert select.select([worker], [], [], PATIENCE)[0] == [worker]
