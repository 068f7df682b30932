"""Starts vLLM's OpenAI server in a Pod: `python -m kaito.engine.vllm --model=... `.

The port listens first, so that probes and metrics see how far the start is. Then the other Pods
come together where there are any, and then this process is vLLM's own `vllm serve`, on the socket
that already listens. Its arguments go from here to there in memory; no shell and no other command
line sees them.
"""

from __future__ import annotations

import _thread
import importlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, MutableMapping, Sequence
from types import FrameType
from typing import Any, NoReturn

from kaito.engine.listener import Said, answering, listening
from kaito.engine.vllm import adapters, download, group, memory
from kaito.engine.vllm.arguments import PORT, Machine, told
from kaito.engine.vllm.asked import Asked, Config, Unusable, asked, config
from kaito.engine.vllm.gate import UNLIMITED
from kaito.engine.vllm.handover import UP, door
from kaito.engine.vllm.place import Alone, Leads, Works, place

log = logging.getLogger("kaito.engine")

MEMORY_LIMIT = "/sys/fs/cgroup/memory.max"
MEMORY_INFO = "/proc/meminfo"
WEIGHTS = "/workspace/weights"
ENDED = 128 + signal.SIGTERM  # as a shell says it


class Start:
    """What is known of the start of this Pod's engine; any thread may ask."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._meter = download.Meter()
        self._progress = download.Progress()
        self._lock = threading.Lock()
        self._taken = -download.PERIOD
        self.phase = "starting"
        """A word or a few for who asks /health."""
        self.ready = False

    def said(self) -> Said:
        """The answers of this moment."""
        with self._lock:
            if time.monotonic() - self._taken >= download.PERIOD:
                self._taken = time.monotonic()
                size = download.on_disk(self._directory)
                self._progress = self._meter.take(
                    self._taken, size, download.expected(self._directory)
                )
            progress = self._progress
        health = {
            "status": "ok" if self.ready else "starting",
            "phase": self.phase,
            "downloadedBytes": progress.downloaded,
            "totalBytes": progress.total or None,
            "bytesPerSecond": round(progress.speed),
        }
        return Said(ready=self.ready, health=health, metrics=download.metrics(progress))


def main(words: Sequence[str] | None = None, *, port: int = PORT) -> int:
    """The exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # As the first process of a container it would else ignore the signal until vLLM heeds it.
    signal.signal(signal.SIGTERM, _end)
    try:
        said = asked(sys.argv[1:] if words is None else words)
        # Read before anybody is waited for.
        part, settings = place(os.environ), _config(said)
        sock = listening(port)
        match part:
            case Alone():
                return _serve(said, settings, sock, Start(_directory(said)))
            case Leads():
                return _lead(said, settings, sock, part)
            case Works():
                return _work(sock, part)
    except Unusable as why:
        log.error("%s", why)
    except OSError as why:
        log.error("The engine cannot start: %s.", why)
    return 1


def _serve(said: Asked, settings: Config, sock: socket.socket, start: Start) -> int:
    with door() as way, answering(sock, start.said, way):
        os.environ[UP] = way.address
        if not said.limited:
            os.environ[UNLIMITED] = "1"
        start.phase = "loading the model"
        return vllm(said, settings, sock, os.environ)


def _lead(said: Asked, settings: Config, sock: socket.socket, part: Leads) -> int:
    start, world = Start(_directory(said)), _world()

    def heard(there: int) -> None:
        start.phase = f"{there} of {part.nodes} Pods are there"

    with group.Ray(world, group.head(part)) as ray:
        with answering(sock, start.said):
            group.assemble(part, ray, heard)
        os.environ["RAY_ADDRESS"] = f"127.0.0.1:{part.port}"
        return _serve(said, settings, sock, start)


def _work(sock: socket.socket, part: Works) -> int:
    start, world = Start(WEIGHTS), _world()
    start.phase = "waiting for the leader"
    with answering(sock, start.said):
        group.find(part, world)
        with group.Ray(world, group.member(part)) as ray:
            start.phase, start.ready = "working", True
            log.error("%s", group.stay(part, ray))
    return 1


def vllm(
    said: Asked, settings: Config, sock: socket.socket, variables: MutableMapping[str, str]
) -> int:
    """vLLM's own server on this socket, until it ends. Unusable when it cannot be told what was
    asked."""
    variables.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")  # as its own command does
    utilities = importlib.import_module("vllm.utils.argparse_utils")
    definitions = importlib.import_module("vllm.entrypoints.openai.cli_args")
    server: Any = importlib.import_module("vllm.entrypoints.openai.api_server")
    command = importlib.import_module("vllm.entrypoints.cli.serve").ServeSubcommand()
    parser = definitions.make_arg_parser(utilities.FlexibleArgumentParser())
    # argparse has no other list of what it knows.
    options = set(parser._option_string_actions)
    found = _adapters(said)
    variables[adapters.LISTED] = adapters.listed(found)
    line = told(said, settings, found, _machine(), options)
    arguments = parser.parse_args(line)
    # It would make a socket of its own, for which the port is taken.
    server.create_server_socket = _given(sock)
    command.validate(arguments)
    command.cmd(arguments)
    return 0


def _given(sock: socket.socket) -> Callable[..., socket.socket]:
    def create_server_socket(address: object, *, reuse_port: bool = False) -> socket.socket:
        return sock

    return create_server_socket


def _config(said: Asked) -> Config:
    if not said.config:
        return Config()
    try:
        with open(said.config, encoding="utf-8") as file:
            return config(file.read())
    except (OSError, UnicodeDecodeError):
        raise Unusable(f"{said.config} cannot be read: has the ConfigMap that key?") from None


def _adapters(said: Asked) -> list[adapters.Adapter]:
    found = adapters.find(said.adapters)
    for each in found:
        if isinstance(each, adapters.Broken):
            log.error("Adapter %s is not served: it %s.", each.name, each.why)
    return [each for each in found if isinstance(each, adapters.Adapter)]


def _machine() -> Machine:
    return Machine(
        memory_share=memory.least(_gpus()),
        memory_bytes=memory.container_bytes(_text(MEMORY_LIMIT), _text(MEMORY_INFO)),
    )


def _gpus() -> list[tuple[int, int]]:
    """Free and total bytes of each GPU; none where the driver does not answer."""
    nvml: Any = importlib.import_module("vllm.third_party.pynvml")
    try:
        nvml.nvmlInit()
        handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
        found = [nvml.nvmlDeviceGetMemoryInfo(each) for each in handles]
    except nvml.NVMLError as error:
        log.warning("GPUs cannot be asked for their memory: %s.", error)
        return []
    return [(int(each.free), int(each.total)) for each in found]


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def _directory(said: Asked) -> str:
    """Where the weights arrive."""
    pairs = dict(word.partition("=")[::2] for word in said.words)
    return pairs.get("--download-dir", WEIGHTS)


def _world() -> group.World:
    ray: Any = importlib.import_module("ray")

    def alive(port: int) -> int:
        try:
            ray.init(address=f"127.0.0.1:{port}", log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError):  # it has not begun to listen
            return 0
        try:
            return sum(each["Alive"] for each in ray.nodes())
        finally:
            ray.shutdown()

    return group.World(start=_started, reaches=group.reaches, alive=alive)


def _started(words: Sequence[str]) -> group.Process:
    return subprocess.Popen(words)  # noqa: S603 - a list of ours, no shell


def _end(number: int, frame: FrameType | None) -> NoReturn:
    # An exception is lost that is raised where Python calls back by itself, as it does with each
    # import. A thread of the threading module could wait for a lock that this one holds.
    _thread.start_new_thread(_end_surely, ())
    raise SystemExit(ENDED)


def _end_surely() -> NoReturn:
    time.sleep(group.END_SECONDS + 2)
    os._exit(ENDED)
