"""Ray around one model on several Pods: the leader waits for all, the workers stay while it stays.

What goes wrong ends the process, and with it the Pod: the manager starts the Pods of a model anew
together, because Ray does not take back who has gone.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from kaito.engine.vllm.asked import Unusable
from kaito.engine.vllm.place import Leads, Works

log = logging.getLogger(__name__)

# All nodes are there when the manager starts the Pods, but images may still be pulled on some.
ASSEMBLY_SECONDS = 1800.0
LOOK = 2.0  # seconds between looks
CALL_SECONDS = 3.0  # for a connection to the leader
# Without an answer for so long the leader is gone; a busy one still accepts connections.
# Ray itself notices within a minute when another one has taken its place at once.
LOST_SECONDS = 20.0
END_SECONDS = 10.0  # for Ray to end what it started


class Process(Protocol):
    """What is used of subprocess.Popen."""

    def poll(self) -> int | None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is outside of the decisions: processes, connections and time."""

    start: Callable[[Sequence[str]], Process]
    reaches: Callable[[str, int], bool]
    """Whether somebody listens there."""
    alive: Callable[[int], int]
    """How many nodes Ray has, asked at the leader's own port."""
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(slots=True)
class Ray:
    """Ray's processes of this Pod, as long as the context is open."""

    world: World
    command: Sequence[str]
    _process: Process | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        self._process = self.world.start(self.command)
        return self

    @property
    def ended(self) -> int | None:
        """Its exit code, None while it runs."""
        assert self._process is not None
        return self._process.poll()

    def __exit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def head(place: Leads) -> list[str]:
    """The command that starts Ray on the leader."""
    return [*_RAY, "--head", f"--port={place.port}", "--include-dashboard=false", *_STAY]


def member(place: Works) -> list[str]:
    """The command that joins the leader's Ray."""
    return [*_RAY, f"--address={place.host}:{place.port}", *_STAY]


_RAY = (sys.executable, "-m", "ray.scripts.scripts", "start")
_STAY = ("--disable-usage-stats", "--block")


def assemble(place: Leads, ray: Ray, told: Callable[[int], None]) -> None:
    """Wait, as the leader, until every Pod has joined; `told` hears how many are there.

    Unusable when Ray ends, or when some are missing after ASSEMBLY_SECONDS.
    """
    world, until = ray.world, ray.world.now() + ASSEMBLY_SECONDS
    while True:
        there = world.alive(place.port)
        told(there)
        if there >= place.nodes:
            return
        if ray.ended is not None:
            raise Unusable(
                f"Ray ended with {ray.ended} while {there} of {place.nodes} Pods were there."
            )
        if world.now() >= until:
            raise Unusable(
                f"{there} of {place.nodes} Pods joined within {ASSEMBLY_SECONDS:.0f} s: look at "
                "the Events of the others."
            )
        world.sleep(LOOK)


def find(place: Works, world: World) -> None:
    """Wait, as a worker, until the leader's Ray listens. Unusable after ASSEMBLY_SECONDS."""
    until = world.now() + ASSEMBLY_SECONDS
    while not world.reaches(place.host, place.port):
        if world.now() >= until:
            raise Unusable(
                f"The leader at {place.host}:{place.port} did not answer within "
                f"{ASSEMBLY_SECONDS:.0f} s: look at its Pod."
            )
        world.sleep(LOOK)


def stay(place: Works, ray: Ray) -> str:
    """Work until there is nothing to work for; why that is."""
    world = ray.world
    heard = world.now()
    while True:
        if (code := ray.ended) is not None:
            return f"Ray ended with {code}: the leader has gone, or did not take this Pod in."
        if world.reaches(place.host, place.port):
            heard = world.now()
        elif world.now() - heard >= LOST_SECONDS:
            return f"The leader at {place.host}:{place.port} has gone."
        world.sleep(LOOK)


def reaches(host: str, port: int) -> bool:
    """Whether a connection is accepted there."""
    try:
        socket.create_connection((host, port), timeout=CALL_SECONDS).close()
    except OSError:  # also a name that is not known yet
        return False
    return True
