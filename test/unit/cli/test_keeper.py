"""Daemons that die are started again, unless that is useless."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kaito.cli.keeper import UNREACHED, keep

# Writes a line for each start, and ends with the code that its turn has in the list.
DAEMON = """
import pathlib, sys
log, *codes = sys.argv[1:]
with open(log, "a") as file:
    file.write("started\\n")
turn = len(pathlib.Path(log).read_text().splitlines()) - 1
sys.exit(int(codes[turn]))
"""


async def starts(tmp_path: Path, *codes: int) -> int:
    """How often a daemon that ends with these codes in turn is started before it is given up."""
    log = tmp_path / "log"
    command = [sys.executable, "-c", DAEMON, str(log), *map(str, codes)]
    await keep("example", command, pause=0)
    return len(log.read_text().splitlines())


async def test_a_daemon_that_died_is_started_until_its_configuration_is_at_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await starts(tmp_path, 1, 0, 78) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[:2] == [
        "kaito example ended with exit code 1; it is started again.",
        "kaito example ended with exit code 0; it is started again.",
    ]
    assert "78 and is not started again" in said[2]
    assert "--no-controllers" in said[2]


async def test_a_daemon_that_finds_no_cluster_is_given_up_in_the_end(tmp_path: Path) -> None:
    assert await starts(tmp_path, *[69] * UNREACHED) == UNREACHED


async def test_a_daemon_that_found_its_cluster_in_between_is_not_given_up(tmp_path: Path) -> None:
    assert await starts(tmp_path, 69, 69, 1, 69, 69, 78) == 6


def test_a_package_that_is_missing_ends_a_command_for_good() -> None:
    code = (
        "import sys; sys.modules['kaito.cli.crds'] = None;"
        "from kaito.cli import main; sys.exit(main(['crds']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert "install it with" in done.stderr
