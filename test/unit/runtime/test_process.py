"""How a process ended can be told from its exit code."""

from __future__ import annotations

import pytest

from kaito.runtime import (
    CannotListen,
    ConfigError,
    ConnectionFailed,
    ExitCode,
    LeaseLost,
    SyncTimeout,
    UnfinishedWork,
    exit_code,
    run_process,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (None, 0),
        (LeaseLost("x"), 75),
        (UnfinishedWork("x"), 70),
        (SyncTimeout("x"), 69),
        (ConnectionFailed("x"), 69),
        (ConfigError("x"), 78),
        (CannotListen("x"), 78),
        (OSError("no such certificate"), 1),
        (ExceptionGroup("x", [ZeroDivisionError()]), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_a_lost_lease_is_not_a_crash_and_each_end_has_its_code(
    error: BaseException | None, code: int
) -> None:
    assert exit_code(error) == code


def test_an_ordinary_end_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        return None

    assert run_process(main()) == ExitCode.STOPPED
    assert capsys.readouterr().err == ""


def test_an_end_that_was_foreseen_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        raise LeaseLost("Somebody else leads.")

    assert run_process(main(), name="daemon") == ExitCode.LEASE_LOST
    assert capsys.readouterr().err == "daemon: Somebody else leads.\n"
    assert run_process(main()) == ExitCode.LEASE_LOST
    assert capsys.readouterr().err == "Somebody else leads.\n"


def test_an_interrupt_is_130() -> None:
    async def main() -> None:
        raise KeyboardInterrupt

    assert run_process(main()) == 130


def test_a_crash_keeps_its_traceback() -> None:
    async def main() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_process(main())
