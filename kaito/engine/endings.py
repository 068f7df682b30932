"""How the containers of a tuning end: an exit code that says what to do next, and one sentence.

The sentence is for whoever reads the Pod's status: what happened, where, and the way out. It holds
no secrets and nothing of the user's data. The codes are also in kaito/api/tuning.py, by which the
manager classifies them; a test shows that both agree.
"""

from __future__ import annotations

import _thread
import asyncio
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from types import FrameType

VARIABLE = "KAITO_TERMINATION_LOG"
USUAL = "/dev/termination-log"  # Kubernetes' default for terminationMessagePath
LONGEST = 2048  # bytes; Kubernetes keeps 4096 of a container, and 12 KiB of all of a Pod's
GRACE = 20.0  # seconds; Kubernetes gives a container 30 unless told otherwise
TOLD = "It was told to stop before it had finished."
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Ending(IntEnum):
    """The exit codes."""

    DONE = 0
    UNEXPECTED = 1
    DATASET_INVALID = 10
    DATASET_TOO_LARGE = 11
    DATA_UNAVAILABLE = 12
    """The source says no: it is not there, or not for us."""
    ADDRESS_FORBIDDEN = 13
    DISK_FULL = 14
    OUT_OF_MEMORY = 15
    """Of the GPU or of the host."""
    MODEL_UNUSABLE = 16
    """It cannot be loaded, is gated, or is not there."""
    PUSH_REFUSED = 17
    """Credentials, rights, or a name that the registry does not take."""
    REGISTRY_UNAVAILABLE = 18
    CONFIG_INVALID = 19
    ARTIFACT_INVALID = 20
    """Another digest, broken contents, or an adapter of another base model."""
    SOURCE_UNAVAILABLE = 21
    """Timeouts and errors of a server, after having tried again."""
    NOT_ENOUGH_RESULT = 22
    """There is nothing to push, or half of it."""
    STOPPED = 143
    """By SIGTERM: 128 and its number, as shells have it."""


FINAL = frozenset(
    {
        Ending.DATASET_INVALID,
        Ending.DATASET_TOO_LARGE,
        Ending.DATA_UNAVAILABLE,
        Ending.ADDRESS_FORBIDDEN,
        Ending.DISK_FULL,
        Ending.OUT_OF_MEMORY,
        Ending.MODEL_UNUSABLE,
        Ending.PUSH_REFUSED,
        Ending.CONFIG_INVALID,
        Ending.ARTIFACT_INVALID,
        Ending.NOT_ENOUGH_RESULT,
    }
)
"""Those that come again if it is tried again; what ends otherwise may be tried again."""


class Ended(Exception):
    """It cannot go on, for a reason that has a code."""

    def __init__(self, ending: Ending, sentence: str) -> None:
        super().__init__(sentence)
        self.ending = ending
        self.sentence = sentence


class Stopped(SystemExit):
    """SIGTERM: whatever runs gives back what it holds and ends."""


def one_line(text: str) -> str:
    """A text as a termination message: one line of at most LONGEST bytes."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    whole = line.encode(errors="replace")
    return line if len(whole) <= LONGEST else whole[: LONGEST - 3].decode(errors="ignore") + "…"


def leave(text: str, environ: Mapping[str, str] = os.environ) -> None:
    """Leave a text where the kubelet finds it, if there is such a place."""
    place = environ.get(VARIABLE, "")
    if not place and not os.access(USUAL, os.W_OK):
        return
    try:
        # Not made anew: the kubelet has mounted this very file.
        with open(place or USUAL, "w", encoding="utf-8") as file:
            file.write(one_line(text))
    except OSError as error:
        sys.stderr.write(f"The termination message could not be written: {error}\n")


def out_of_room(error: BaseException) -> bool:
    """Whether an error says that a disk, a quota or a file can take no more."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


def run(
    work: Callable[[], str], environ: Mapping[str, str] = os.environ, *, grace: float = GRACE
) -> int:
    """Do the work of a container, leave its message, and answer with its exit code.

    The work's own answer is the message of success; "" leaves none. After SIGTERM it may give back
    what it holds for `grace` seconds.
    """
    try:
        with _stoppable(lambda: leave(TOLD, environ), grace):
            said, ending = work(), Ending.DONE
    except Ended as ended:
        said, ending = ended.sentence, ended.ending
    except (Stopped, asyncio.CancelledError):
        said, ending = TOLD, Ending.STOPPED
    except Exception as error:  # noqa: BLE001 - the last resort: a message for any end
        said, ending = _unforeseen(error)
        if ending == Ending.UNEXPECTED:
            traceback.print_exception(error)
    if said:
        leave(said, environ)
        stream = sys.stderr if ending else sys.stdout
        stream.write(f"{one_line(said)}\n")
        stream.flush()
    return ending


def _unforeseen(error: Exception) -> tuple[str, Ending]:
    if out_of_room(error):
        where = getattr(error, "filename", None)
        place = f" at {where}" if where else ""
        return f"The disk is full{place}: give it more room.", Ending.DISK_FULL
    if isinstance(error, MemoryError):
        return "The memory is full: give the container more of it.", Ending.OUT_OF_MEMORY
    # Its text may quote anything; that goes into the log alone.
    return (
        f"It ended with an error that nobody foresaw, {type(error).__name__}: its log has more.",
        Ending.UNEXPECTED,
    )


def _cancel(loop: asyncio.AbstractEventLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()


@contextmanager
def _stoppable(tell: Callable[[], None], grace: float) -> Iterator[None]:
    """SIGTERM raises Stopped meanwhile, or cancels the tasks of asyncio, whose callbacks swallow
    exceptions. The first process of a container would not hear it otherwise."""
    busy, told = _thread.allocate_lock(), _thread.allocate_lock()
    busy.acquire()

    def end_surely() -> None:
        if not busy.acquire(timeout=grace):
            tell()
            os._exit(Ending.STOPPED)
        busy.release()

    def stop(_number: int, _frame: FrameType | None) -> None:
        # An exception is lost that is raised where Python calls back by itself, as it does with
        # each import. A thread of the threading module could wait for a lock that this one holds.
        if told.acquire(blocking=False):  # one guard for however many signals
            _thread.start_new_thread(end_surely, ())
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise Stopped(Ending.STOPPED) from None
        loop.call_soon_threadsafe(_cancel, loop)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        busy.release()
