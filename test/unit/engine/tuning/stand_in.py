"""A worker of the crew's tests: does what the file that it is given says, without PyTorch."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path


def say(pipe: int, **said: object) -> None:
    """As a worker does."""
    os.write(pipe, json.dumps(said).encode() + b"\n")


def end_with_parent() -> None:
    """As a worker does."""
    os.read(0, 1)
    os._exit(1)


def main(plan: str, pipe: int) -> int:
    """The exit code."""
    rank = int(os.environ.get("RANK", "0"))
    does = json.loads(Path(plan).read_text())[rank]
    threading.Thread(target=end_with_parent, daemon=True).start()
    heed = signal.SIG_IGN if does.get("deaf") else (lambda *_: os._exit(143))
    signal.signal(signal.SIGTERM, heed)
    say(pipe, what="started", pid=os.getpid(), rank=rank, size=os.environ.get("WORLD_SIZE", "1"))
    for each in does.get("says", []):
        say(pipe, **each)
    if number := does.get("signal"):
        os.kill(os.getpid(), number)
    if does.get("waits"):
        threading.Event().wait()
    return int(does.get("ends", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
