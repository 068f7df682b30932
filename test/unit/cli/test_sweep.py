"""What `kaito provisioner sweep` says when it is not let in."""

from __future__ import annotations

import argparse

import pytest

from kaito.cli import sweep
from kaito.cli.parser import CommandError
from kaito.runtime import ExitCode, Forbidden, Status


def test_whoever_may_not_look_is_told_so_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(arguments: argparse.Namespace) -> tuple[int, str]:
        raise Forbidden(Status(code=403, message="nodes is forbidden"))

    monkeypatch.setattr(sweep, "answer", refused)
    with pytest.raises(CommandError, match=r"^Forbidden: .*nodes is forbidden.* config/rbac") as it:
        sweep.run(argparse.Namespace())
    assert it.value.code == ExitCode.UNAVAILABLE
