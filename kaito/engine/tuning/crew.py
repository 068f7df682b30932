"""The workers: one process for each GPU, watched until all have ended or one has failed.

Whatever happens to a worker, how the training ended is known afterwards: it says so itself, or its
exit code and the machine's memory tell. No worker outlives this process.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from kaito.engine.endings import Ended, Ending

MODULE = "kaito.engine.tuning.worker"
OOM_EVENTS = Path("/sys/fs/cgroup/memory.events")
LAST_WORDS = 5.0  # seconds that the others have to say why they failed, after the first has
GRACE = 105.0  # seconds to end a step and save it, of the 120 that the Pod has
LOOK = 5.0  # seconds after which it is noticed that there are fewer left
LONGEST = 2**20  # bytes of a line; ours are far shorter

Hear = Callable[[str, Mapping[str, Any]], None]


def run(
    plan: Path, count: int, *, hear: Hear, variables: Mapping[str, str], full: Callable[[], Ended]
) -> None:
    """Run this many workers until all have ended well. Ended says why they did not.

    `hear` gets what they say, by its kind; `full` is the end for memory that ran out where no
    worker could say so. SIGTERM goes to the workers, who save and end.
    """
    reading, writing = os.pipe()
    kills, crew = _kills(), _Crew(reading, hear)
    try:
        with _passing_on(crew):
            words = [sys.executable, "-m", MODULE, str(plan), str(writing)]
            for place in _places(count, variables):
                crew.start(words, place, writing)
            os.close(writing)
            writing = -1
            crew.watch()
    finally:
        crew.end()
        if writing >= 0:
            os.close(writing)
        os.close(reading)
    crew.judge(killed_for_memory=_kills() > kills, full=full)


class _Crew:
    def __init__(self, pipe: int, hear: Hear) -> None:
        self._pipe, self._hear = pipe, hear
        self._rest = b""
        self._workers: list[subprocess.Popen[bytes]] = []
        self._endings: list[Ended] = []
        self._until = float("inf")
        self.stopping = False

    def start(self, words: Sequence[str], variables: Mapping[str, str], writing: int) -> None:
        if self.stopping:
            return
        self._workers.append(
            subprocess.Popen(  # noqa: S603 - a list of ours, no shell
                words,
                env=dict(variables),
                stdin=subprocess.PIPE,  # ends with this process, and the worker with it
                stdout=sys.stderr.fileno(),
                pass_fds=(writing,),
            )
        )

    def stop(self) -> None:
        """Tell all to save and end; a signal handler calls this."""
        self.stopping = True
        self._until = min(self._until, time.monotonic() + GRACE)
        for each in self._workers:
            if each.returncode is None:
                each.send_signal(signal.SIGTERM)

    def watch(self) -> None:
        """Until all have ended, or one has failed and the others had LAST_WORDS, or they were told
        to stop and had GRACE."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._pipe, selectors.EVENT_READ)
            ends = {os.pidfd_open(each.pid): each for each in self._workers}
            for number in ends:
                selector.register(number, selectors.EVENT_READ)
            try:
                while ends and (left := self._until - time.monotonic()) > 0:
                    # A signal changes how long there is, and does not end the waiting for others.
                    for key, _ in selector.select(min(left, LOOK)):
                        if key.fd == self._pipe:
                            if not self._read():
                                selector.unregister(self._pipe)
                            continue
                        worker = ends.pop(key.fd)
                        selector.unregister(key.fd)
                        os.close(key.fd)
                        if worker.wait() != 0:
                            # The others wait for it in vain.
                            self._until = min(self._until, time.monotonic() + LAST_WORDS)
            finally:
                for number in ends:
                    os.close(number)

    def end(self) -> None:
        """End those that are left, and hear the last of what was said."""
        for each in self._workers:
            if each.poll() is None:
                each.kill()
            each.wait()
            assert each.stdin is not None
            each.stdin.close()
        os.set_blocking(self._pipe, False)
        while self._read():
            pass

    def judge(self, *, killed_for_memory: bool, full: Callable[[], Ended]) -> None:
        """Ended, unless all ended well."""
        codes = [each.returncode for each in self._workers]
        if codes and not any(codes):
            return
        # Of several the one who knows; others only noticed that it had gone.
        known = sorted(self._endings, key=lambda each: each.ending == Ending.UNEXPECTED)
        if known:
            raise known[0]
        if self.stopping:
            raise Ended(
                Ending.STOPPED,
                "It was told to stop, and ended without a checkpoint of its last step.",
            )
        if killed_for_memory:
            raise full()
        code = next(each for each in codes if each)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with {code}"
        raise Ended(
            Ending.UNEXPECTED, f"A process of the training ended {how}: the trainer's log has more."
        )

    def _read(self) -> bool:
        try:
            piece = os.read(self._pipe, 65536)
        except BlockingIOError:
            return False
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            said = json.loads(line)
            what = said.pop("what")
            if what == "ended":
                self._endings.append(Ended(Ending(said["code"]), said["sentence"]))
            else:
                self._hear(what, said)
        return bool(piece) and len(self._rest) < LONGEST


@contextmanager
def _passing_on(crew: _Crew) -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        crew.stop()

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _places(count: int, variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """What each worker is told of its place, as PyTorch's own launcher does."""
    shared = dict(variables)
    # Threads of several processes on one CPU only wait for one another.
    shared.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // count)))
    if count == 1:
        # One process that sees several GPUs would spread itself over them in another way.
        visible = shared.get("CUDA_VISIBLE_DEVICES", "0")
        yield {**shared, "CUDA_VISIBLE_DEVICES": visible.partition(",")[0]}
        return
    port = _free_port()
    for number in range(count):
        yield {
            **shared,
            "LOCAL_RANK": str(number),
            "LOCAL_WORLD_SIZE": str(count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "RANK": str(number),
            "WORLD_SIZE": str(count),
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _kills() -> int:
    """How often the kernel has ended a process of this container for want of memory."""
    try:
        lines = OOM_EVENTS.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(each.split()[1]) for each in lines if each.startswith("oom_kill "))
