"""What the launcher asks of Ray: to connect, and which nodes there are."""

from __future__ import annotations

import socket

_address = ("", 0)


def init(address: str, **_: object) -> None:
    global _address
    host, _, port = address.rpartition(":")
    _address = (host, int(port))
    socket.create_connection(_address, timeout=5).close()


def nodes() -> list[dict[str, bool]]:
    with socket.create_connection(_address, timeout=5) as asked:
        asked.sendall(b"count\n")
        return [{"Alive": True}] * int(asked.makefile().readline())


def shutdown() -> None:
    """Nothing is held."""
