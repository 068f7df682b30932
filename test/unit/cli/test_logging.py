"""How the daemons log."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from kaito.cli.logging import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_machines_read_a_file_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", None)
    structlog.get_logger().info("launching", pool="ws1")
    written = json.loads(capsys.readouterr().err)
    assert (written["event"], written["pool"]) == ("launching", "ws1")


def test_a_file_in_the_console_form_has_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "console")
    structlog.get_logger().info("launching", pool="ws1")
    written = capsys.readouterr().err
    assert "pool=ws1" in written
    assert "\x1b" not in written
