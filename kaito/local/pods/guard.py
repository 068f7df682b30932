"""Runs one program and lets nothing of it outlive whoever started this.

    python -I -S guard.py PROGRAM ARGUMENT...

Standard input is a pipe that the starter holds open and never writes to. When it closes, however
the starter ended (SIGKILL included), the program's whole process group is killed. This needs no
feature of one operating system. SIGTERM goes to the program; its exit status becomes ours, 128
plus the number when a signal ended it. Run as a script, so it imports nothing of this package.
"""

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

# What a shell answers for a program that is not there.
NOT_FOUND = 127


def main(command: list[str]) -> int:
    """Run `command` to its end; the exit status."""
    programs: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        for program in programs:
            program.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    try:
        # A session of its own: its whole group can be ended, and nothing else is in it.
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - as asked
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return NOT_FOUND
    programs.append(program)
    threading.Thread(target=_follow, args=(program.pid,), daemon=True).start()
    status = program.wait()
    _kill_group(program.pid)
    return 128 - status if status < 0 else status


def _follow(group: int) -> None:
    """Wait until whoever started us is gone, then end the group."""
    while os.read(0, 1):
        pass
    _kill_group(group)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
