"""An adapter into a directory of a volume, where whoever mounts it finds it whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.record import HIDDEN
from kaito.engine.moving.result import CONFIG, result

FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def store(source: Path, target: Path, whose: str = "") -> str:
    """Where it is; `whose` tells it from others that are stored meanwhile. Ended when the result is
    not whole, or may not be written there; OSError when the volume does not take it.

    Without its configuration a directory is no adapter: that goes first and comes last, so that
    the weights of one are never beside the configuration of another.
    """
    files = result(source)
    try:
        _store(files, target, whose)
    except OSError as error:
        if error.errno not in FORBIDDEN:
            raise
        raise Ended(
            Ending.PUSH_REFUSED,
            f"The result cannot be written to {target} ({error.strerror}): give user {os.getuid()} "
            "the right to write to the volume, or name another one.",
        ) from error
    return str(target)


def _store(files: Sequence[Path], target: Path, whose: str) -> None:
    hidden = target / HIDDEN / f"{whose}.arriving"
    shutil.rmtree(hidden, ignore_errors=True)  # of a process that was killed
    hidden.mkdir(parents=True)
    for each in files:
        with each.open("rb") as content, (hidden / each.name).open("wb") as copy:
            shutil.copyfileobj(content, copy, 1024 * 1024)
            copy.flush()
            os.fsync(copy.fileno())
        (hidden / each.name).chmod(0o644)
    (target / CONFIG).unlink(missing_ok=True)
    for each in files:
        (hidden / each.name).replace(target / each.name)
    _sync(target)
    shutil.rmtree(hidden)
    with contextlib.suppress(OSError):  # checkpoints are there, too
        hidden.parent.rmdir()


def _sync(directory: Path) -> None:
    """Have the names of a directory on the device."""
    found = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(found)
    finally:
        os.close(found)
