"""How the processes of a model on several nodes find each other, as Ray's do: the workers hold a
connection to the leader, who counts them. Standard library alone.

What each is told stands in the variables that the Pods of such a model have (docs/workspace.md).
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

RETRY_SECONDS = 0.1
LONGEST_INDEX = 16  # bytes
JOINED = b"joined\n"  # what the leader answers


@dataclass(frozen=True, slots=True)
class Place:
    """Which of how many a process is, and where the leader listens."""

    index: int = 0
    nodes: int = 1
    port: int = 0
    """The leader's own."""
    leader: tuple[str, int] = ("", 0)
    """Where the others find it."""

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Place:
        """What the variables say; one that is alone where they say nothing."""
        nodes = int(variables.get("KAITO_NODES") or 1)
        if nodes == 1:
            return cls()
        host, _, port = variables["KAITO_RAY_LEADER"].rpartition(":")
        return cls(
            index=int(variables["POD_INDEX"]),
            nodes=nodes,
            port=int(variables["KAITO_RAY_PORT"]),
            leader=(host, int(port)),
        )

    @property
    def leads(self) -> bool:
        return self.index == 0


class Leader(socketserver.ThreadingTCPServer):
    """Counts the workers that hold a connection. OSError when the port is taken."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, place: Place) -> None:
        super().__init__(("127.0.0.1", place.port), _Roll)
        self.place = place
        self._lock = threading.Lock()
        self._present: dict[int, int] = {}

    def start(self) -> None:
        """Listen until the process ends."""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def complete(self) -> bool:
        """Whether every worker is there."""
        with self._lock:
            return all(self._present.get(each) for each in range(1, self.place.nodes))

    def count(self, index: int, change: int) -> None:
        """A worker came (1) or went (-1); a new connection may come before the old one goes."""
        with self._lock:
            self._present[index] = self._present.get(index, 0) + change


class _Roll(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        leader = self.server
        assert isinstance(leader, Leader)
        said: bytes = self.request.recv(LONGEST_INDEX)
        if not said.strip().isdigit():
            return
        index = int(said)
        leader.count(index, 1)
        try:
            self.request.sendall(JOINED)
            while self.request.recv(LONGEST_INDEX):
                pass
        except OSError:
            pass
        finally:
            leader.count(index, -1)


def join(place: Place) -> None:
    """Hold a connection to the leader, as a worker, until the process ends."""
    threading.Thread(target=_work, args=(place,), daemon=True).start()


def _work(place: Place) -> None:
    while True:
        try:
            with socket.create_connection(place.leader) as connection:
                connection.sendall(f"{place.index}\n".encode())
                while connection.recv(LONGEST_INDEX):
                    pass
        except OSError:
            pass
        time.sleep(RETRY_SECONDS)
