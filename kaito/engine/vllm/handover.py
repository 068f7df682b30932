"""How vLLM's server says, from whichever process, that it answers from now on.

A socket in the file system: who is there knocks, and is let in once nobody else answers.
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

UP = "KAITO_ENGINE_UP"  # a variable with the address of the door
HANDOVER = 5.0  # seconds that the engine waits to be let in at most


class Door:
    """Where the engine knocks. A listener's successor."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.bind(address)
        self._socket.listen()
        self._engine: socket.socket | None = None

    def waits(self) -> bool:
        """Whether the engine has knocked."""
        with suppress(BlockingIOError):
            self._engine, _ = self._socket.accept()
        return self._engine is not None

    def begin(self) -> None:
        """Let it in, if it is there; nobody may knock any more."""
        self._socket.close()
        if self._engine is not None:
            self._engine.close()


@contextmanager
def door() -> Iterator[Door]:
    """A door in a folder of its own, for the time of a listener."""
    with tempfile.TemporaryDirectory(prefix="kaito-") as folder:
        yield Door(os.path.join(folder, "up"))


def announce(address: str) -> None:
    """Knock, and wait to be let in. Nothing happens where nobody listens any more."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as speaker, suppress(OSError):
        speaker.settimeout(HANDOVER)
        speaker.connect(address)
        speaker.recv(1)  # ends with the other end
