"""Forwarded connections whose two sides do not agree."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kaito.local.streams.forward import MOST_WAITING, TUNNEL, Connection, Tunnel, port_number
from kaito.local.streams.spdy import DICTIONARY, RST_STREAM, Reader

PATIENCE = 20.0  # seconds; only a failing test waits that long
PIECE = bytes(32 * 1024)


class Deaf:
    """A socket that has said everything; what it was sent is kept."""

    protocol = TUNNEL

    def __init__(self, *messages: bytes) -> None:
        self._messages = list(messages)
        self.sent = b""

    async def receive(self) -> bytes | None:
        return self._messages.pop(0) if self._messages else None

    async def send(self, data: bytes) -> None:
        self.sent += data


def syn(stream: int, **headers: str) -> bytes:
    """The frame that opens a stream."""
    words = [word.encode() for pair in headers.items() for word in pair]
    block = struct.pack(">I", len(headers))
    block += b"".join(struct.pack(">I", len(word)) + word for word in words)
    deflate = zlib.compressobj(zdict=DICTIONARY)
    body = struct.pack(">IIH", stream, 0, 0)
    body += deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return struct.pack(">HHI", 0x8003, 1, len(body)) + body


@asynccontextmanager
async def stubborn(leave: asyncio.Event) -> AsyncIterator[int]:
    """A port where somebody takes a connection, reads nothing, and breaks it when told."""

    async def stand(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await leave.wait()
        writer.transport.abort()

    async with await asyncio.start_server(stand, "127.0.0.1", 0, limit=1024) as server:
        yield server.sockets[0].getsockname()[1]


async def test_who_sends_to_a_pod_that_has_left_is_not_kept_waiting() -> None:
    leave, ended = asyncio.Event(), asyncio.Event()

    async def drop(_: bytes) -> None:
        """Nothing comes back."""

    async def end(_: str) -> None:
        ended.set()

    async with asyncio.timeout(PATIENCE), stubborn(leave) as port:
        connection = Connection(80, lambda _: port, drop, end)
        running = asyncio.create_task(connection.run())
        for _ in range(MOST_WAITING):
            await connection.give(PIECE)
        giving = asyncio.create_task(give(connection, MOST_WAITING))
        leave.set()
        await ended.wait()
        await giving
        await running


async def give(connection: Connection, pieces: int) -> None:
    for _ in range(pieces):
        await connection.give(PIECE)


@pytest.mark.parametrize("port", ["", "0", "-1", "65536", "²", "9" * 5000, "80x", "8_0"])
async def test_a_stream_to_what_is_no_port_is_refused(port: str) -> None:
    socket = Deaf(syn(1, streamtype="data", requestid="0", port=port))
    await Tunnel(socket, lambda _: None).run()
    assert [frame.kind for frame in Reader().feed(socket.sent)] == [RST_STREAM]


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("080", 80), ("65535", 65535)])
def test_ports_are_numbers(text: str, number: int) -> None:
    assert port_number(text) == number
