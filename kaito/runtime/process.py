"""A process around a manager: from a coroutine to an exit code."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any

from kaito.runtime.errors import RuntimeFailure
from kaito.runtime.exits import ExitCode
from kaito.runtime.kubeconfig import ConfigError
from kaito.runtime.lease import LeaseLost
from kaito.runtime.manager import SyncTimeout
from kaito.runtime.serving import CannotListen
from kaito.runtime.tenure import UnfinishedWork

_FORESEEN: dict[type[Exception], ExitCode] = {
    LeaseLost: ExitCode.LEASE_LOST,
    UnfinishedWork: ExitCode.STUCK,
    SyncTimeout: ExitCode.UNAVAILABLE,
    RuntimeFailure: ExitCode.UNAVAILABLE,
    ConfigError: ExitCode.MISCONFIGURED,
    CannotListen: ExitCode.MISCONFIGURED,
}


def exit_code(error: BaseException | None) -> int:
    """The exit code for what `Manager.run` (or `load`) raised; None: it returned."""
    if error is None:
        return ExitCode.STOPPED
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return _foreseen(error) or ExitCode.CRASHED


def run_process(main: Coroutine[Any, Any, object], *, name: str = "") -> int:
    """Run `main` to its end; the exit code, as in `sys.exit(run_process(main()))`.

    An end that was foreseen is one line on standard error, after `name`. What was not is raised,
    so that its traceback is seen; Python then ends with code 1.
    """
    try:
        asyncio.run(main)
    except KeyboardInterrupt as error:
        return exit_code(error)
    except Exception as error:
        code = _foreseen(error)
        if code is None:
            raise
        sys.stderr.write(f"{name}: {error}\n" if name else f"{error}\n")
        return code
    return ExitCode.STOPPED


def _foreseen(error: BaseException) -> ExitCode | None:
    for kind, code in _FORESEEN.items():
        if isinstance(error, kind):
            return code
    return None
