"""The page that compares names only tests that exist, and tells of each row if there is one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/compared.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| -")]
HEADINGS = {"complaint", "weakness"}


def test_every_test_that_it_names_exists() -> None:
    known = {
        name
        for path in (ROOT / "test").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text())
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named <= known, sorted(named - known)


def test_every_row_has_a_test_or_a_dash() -> None:
    for row in ROWS:
        first, _, test = (cell.strip() for cell in row.strip("|").split("|"))
        if first not in HEADINGS:
            assert re.fullmatch(r"-|`test_\w+`(, `test_\w+`)*", test), row
