"""Runs one program and lets nothing of it outlive whoever started this.

    python -I -S guard.py [--lifeline FD] [--log FILE] [--memory BYTES] [--terminal] PROGRAM ARG...

The lifeline (standard input if not named) is a pipe that the starter holds open and never writes
to. When it closes, however the starter ended (SIGKILL included), the program's whole process
group is killed. This needs no feature of one operating system. On Linux what has left the group,
as daemons do, is killed as well. SIGTERM goes to the program; its exit status becomes ours, 128
plus the number when a signal ended it.

With a log, what the program writes is written there line by line, each with its time and stream,
as container runtimes do; two files of 10 MiB are kept. With a limit of memory, a program that has
more is killed and "oom" is written to standard output; that needs Linux. With a terminal, standard
input becomes the program's controlling one. Run as a script, so it imports nothing of this package.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable

# What a shell answers for a program that is not there, and for one that cannot be run.
NOT_FOUND, NOT_RUNNABLE = 127, 126
LONGEST_LINE = 16 * 1024  # bytes; what is longer is written in parts, as container runtimes do
LOG_BYTES = 10 * 1024 * 1024  # that a log has before a new one is begun; a kubelet's
ROTATED = ".old"  # what the name of the log before it ends with
LOOK_SECONDS = 0.1  # between two looks at the memory
OUT_OF_MEMORY = "oom"
_SET_CHILD_SUBREAPER = 36  # prctl(2)


def main(arguments: list[str]) -> int:
    """Run the program to its end; the exit status."""
    options, command = _options(arguments)
    programs: list[int] = []

    def pass_on(number: int, _: object) -> None:
        for each in programs:
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, number)

    signal.signal(signal.SIGTERM, pass_on)
    lifeline = int(options.get("--lifeline", "0"))
    log = options.get("--log")
    captured = subprocess.PIPE if log else None
    _adopt_orphans()
    try:
        # A session of its own: its whole group can be ended, and nothing else is in it.
        program = subprocess.Popen(  # noqa: S603 - as asked
            command,
            stdin=None if lifeline else subprocess.DEVNULL,
            stdout=captured,
            stderr=captured,
            start_new_session=True,
            preexec_fn=_take_terminal if "--terminal" in options else None,
        )
    except OSError as error:
        return _cannot(command[0], error, log)
    programs.append(program.pid)
    for target in (lambda: _follow(lifeline, program.pid), *_chores(program.pid, options)):
        threading.Thread(target=target, daemon=True).start()
    writers = _writers(program, log)
    status = program.returncode = _end_of(program.pid)
    programs.clear()
    _kill_all(program.pid)
    for writer in writers:
        writer.join()
    return 128 - status if status < 0 else status


def _options(arguments: list[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    while arguments and arguments[0] in ("--lifeline", "--log", "--memory", "--terminal"):
        name, *arguments = arguments
        if name != "--terminal":
            options[name], *arguments = arguments
        else:
            options[name] = ""
    return options, arguments


def _cannot(program: str, error: OSError, log: str | None) -> int:
    says = f"cannot start {program}: {error.strerror}"
    if log:
        _Log(log).line("stderr", says.encode())
    else:
        print(says, file=sys.stderr)  # noqa: T201
    return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _adopt_orphans() -> None:
    """From now on, what descends from us becomes our child when its parent ends. Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_of(program: int) -> int:
    """Wait for the end of a child, minus the signal's number if one ended it. Orphans that end
    meanwhile are waited for along, so that none of them stays a zombie."""
    while True:
        ended, status = os.wait()
        if ended == program:
            return os.waitstatus_to_exitcode(status)


def _kill_all(group: int) -> None:
    """Kill the group and whatever else descends from us, and wait for the end of it."""
    _kill_group(group)
    while True:
        for each in _descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return


def _chores(program: int, options: dict[str, str]) -> list[Callable[[], None]]:
    if "--memory" not in options:
        return []
    return [lambda: _limit(program, int(options["--memory"]))]


def _follow(lifeline: int, group: int) -> None:
    """Wait until whoever started us is gone, then end the group."""
    while os.read(lifeline, 1):
        pass
    _kill_group(group)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


class _Log:
    """The file that both streams are written to, a whole line at a time. A full one makes way for
    a new one and is kept beside it, in place of the one before, as by a kubelet."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._open()

    def line(self, stream: str, text: bytes, *, whole: bool = True) -> None:
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        head = f"{stamp}.{rest:09d}Z {stream} {'F' if whole else 'P'} ".encode()
        with self._lock:
            if self._size >= LOG_BYTES:
                full = self._file
                # Whose directory has gone keeps the file he has.
                with contextlib.suppress(OSError):
                    os.replace(self._path, self._path + ROTATED)
                    self._open()
                    full.close()
            self._size += self._file.write(head + text + b"\n")

    def _open(self) -> None:
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115 - as long as we live
        self._size = self._file.tell()


def _writers(program: "subprocess.Popen[bytes]", path: str | None) -> list[threading.Thread]:
    """Threads that write what the program says; they end when nobody can say more."""
    if path is None:
        return []
    log = _Log(path)
    writers = []
    for name, stream in (("stdout", program.stdout), ("stderr", program.stderr)):
        assert stream is not None
        writers.append(threading.Thread(target=_copy, args=(stream.fileno(), name, log)))
        writers[-1].start()
    return writers


def _copy(source: int, stream: str, log: _Log) -> None:
    held = b""
    while data := os.read(source, 65536):
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            while len(line) > LONGEST_LINE:
                log.line(stream, line[:LONGEST_LINE], whole=False)
                line = line[LONGEST_LINE:]
            log.line(stream, line)
        while len(held) > LONGEST_LINE:
            log.line(stream, held[:LONGEST_LINE], whole=False)
            held = held[LONGEST_LINE:]
    if held:
        log.line(stream, held, whole=False)


def _limit(program: int, most: int) -> None:
    """Kill the program when it and its children hold more memory of their own than they may."""
    page = os.sysconf("SC_PAGE_SIZE")
    while True:
        if sum(map(_own_pages, _descendants())) * page > most:
            print(OUT_OF_MEMORY, flush=True)  # noqa: T201
            _kill_group(program)
            return
        time.sleep(LOOK_SECONDS)


def _descendants() -> list[int]:
    """The processes below ours; none where the system does not tell."""
    found = [os.getpid()]
    for each in found:
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{thread}/children") as file:
                    found += map(int, file.read().split())
    return found[1:]


def _own_pages(process: int) -> int:
    """Resident pages that no file stands behind; 0 where the system does not tell."""
    try:
        with open(f"/proc/{process}/statm") as file:
            _, resident, shared, *_ = map(int, file.read().split())
    except (OSError, ValueError):
        return 0
    return resident - shared


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
