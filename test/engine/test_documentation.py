"""The examples of docs/engine.md, run as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from test.engine.serving import PATIENCE, Server, running

PAGE = Path(__file__).parent.parent.parent / "docs" / "engine.md"
EVERYTHING = "…"


def examples() -> list[tuple[str, str]]:
    """Commands and what they print."""
    section = re.search(r"^## transformers$(.*?)^## ", PAGE.read_text(), re.M | re.S)
    assert section is not None
    found = []
    for block in re.findall(r"^```\n(.*?)^```$", section[1], re.M | re.S):
        for each in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = re.sub(r"\\\n\s+", "", each).partition("\n")
            found.append((command, output))
    return found


@pytest.fixture(scope="module")
def documented(small_model: Path) -> Iterator[Server]:
    """The server that the page speaks of."""
    with running(small_model, f"--adapters_dir={small_model.parent / 'adapters'}") as server:
        yield server


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize(("command", "output"), examples())
def test_an_example_prints_what_the_page_says(
    documented: Server, command: str, output: str
) -> None:
    here = command.replace("http://", "").replace(
        "localhost:5000", documented.url.removeprefix("http://")
    )
    found = subprocess.run(
        ["/bin/sh", "-c", here], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    # Lines between events are left out.
    printed = "\n".join(filter(None, found.stdout.splitlines()))
    pattern = ".*".join(map(re.escape, output.strip().split(EVERYTHING)))
    assert re.fullmatch(pattern, printed), printed


def test_the_page_has_examples() -> None:
    assert len(examples()) >= 8
