"""Programs are started in their own surroundings, and ports stay theirs."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from kaito.local.pods import guard
from kaito.local.pods.launch import Launch, Ports, end
from kaito.local.pods.translation import Translation


def launch(home: Path, *command: str, memory: int | None = None, number: int = 0) -> Launch:
    return Launch(
        command=command,
        variables={"OWN": "1"},
        directory=home / "cwd",
        log=home / "logs" / f"{number}.log",
        message=home / "message",
        memory=memory,
        translation=Translation({"/data": home / "data"}, {}, lambda *_: None),
    )


async def ran(made: Launch) -> int:
    process = await made.start()
    try:
        return await process.wait()
    finally:
        await end(process)


def said(made: Launch) -> list[tuple[str, str, str]]:
    """Stream, wholeness and text of each line of the log."""
    lines = made.log.read_text().splitlines()
    return [(part[1], part[2], part[3]) for part in (line.split(" ", 3) for line in lines)]


async def test_both_streams_are_logged_with_their_names(tmp_path: Path) -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); print('end', end='')"
    made = launch(tmp_path, sys.executable, "-u", "-c", script)
    assert await ran(made) == 0
    assert sorted(said(made)) == [
        ("stderr", "F", "err"),
        ("stdout", "F", "out"),
        ("stdout", "P", "end"),
    ]


async def test_a_long_line_is_logged_in_parts(tmp_path: Path) -> None:
    made = launch(tmp_path, sys.executable, "-c", "print('x' * 40000)")
    await ran(made)
    assert [(whole, len(text)) for _, whole, text in said(made)] == [
        ("P", 16384),
        ("P", 16384),
        ("F", 40000 - 2 * 16384),
    ]


async def test_a_program_that_says_much_keeps_its_end_and_does_not_fill_the_disk(
    tmp_path: Path,
) -> None:
    lines = 5 * guard.LOG_BYTES // 2 // 16000
    script = f"for n in range({lines}): print('x' * 16000)\nprint('end')"
    made = launch(tmp_path, sys.executable, "-c", script)
    await ran(made)
    assert said(made)[-1] == ("stdout", "F", "end")
    sizes = [path.stat().st_size for path in made.log.parent.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < guard.LOG_BYTES + guard.LONGEST_LINE + 100


async def test_a_program_sees_its_own_variables_and_few_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_SECRET", "ours")
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    made = launch(tmp_path, sys.executable, "-c", script)
    await ran(made)
    seen = json.loads(said(made)[0][2])
    assert seen["OWN"] == "1"
    assert seen["PATH"] == os.environ["PATH"]
    assert "AZURE_SECRET" not in seen


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (["/no/such/program"], 127),
        (["/etc/passwd"], 126),
        ([sys.executable, "-c", "raise SystemExit(5)"], 5),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 137),
    ],
)
async def test_an_exit_status_is_that_of_a_shell(
    tmp_path: Path, command: list[str], status: int
) -> None:
    assert await ran(launch(tmp_path, *command)) == status


async def test_a_command_beside_it_is_translated_and_bounded(tmp_path: Path) -> None:
    (tmp_path / "cwd").mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x").write_text("held")
    made = launch(tmp_path, "true")
    assert await made.execute(["cat", "/data/x"]) == (0, "held")
    status, written = await made.execute([sys.executable, "-c", "print('x' * 100_000)"])
    assert (status, len(written)) == (0, 10 * 1024)


async def test_logs_of_two_runs_are_kept(tmp_path: Path) -> None:
    for number in range(12):
        await ran(launch(tmp_path, "true", number=number))
    kept = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert kept == ["10.log", "11.log"]


def test_a_port_stays_until_somebody_else_has_it() -> None:
    ports = Ports([8080, 9090])
    before = dict(ports.local)
    assert len(set(before.values())) == 2
    ports.renew([8080, 9090])
    assert ports.local == before
    with socket.create_server(("127.0.0.1", before[8080])):
        ports.renew([8080, 9090])
    assert ports.local[8080] != before[8080]
    assert ports.local[9090] == before[9090]
