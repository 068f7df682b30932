"""Port-forwarding: connections of a client, led to a pod's ports.

kubectl speaks SPDY/3.1 inside of a WebSocket, a pair of streams (data and error) for each
connection. Other clients open one WebSocket with a pair of channels for each port.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import Awaitable, Callable, Sequence

from kaito.local.apiserver.http import Socket
from kaito.local.pods.downward import HERE
from kaito.local.streams.spdy import (
    DATA,
    INTERNAL_ERROR,
    PING,
    RST_STREAM,
    SYN_STREAM,
    Frame,
    ProtocolError,
    Reader,
    Writer,
)

TUNNEL = "SPDY/3.1+portforward.k8s.io"
CHANNELS = "v4.channel.k8s.io"
MOST_STREAMS = 1000
MOST_WAITING = 1000  # pieces of a connection that its pod has not taken yet
MOST_PORTS = 128  # of a WebSocket: a byte numbers two channels of each
_CHUNK = 32 * 1024
Find = Callable[[int], int | None]
"""The local port that stands for a port of the pod, None when nothing listens there."""
Send = Callable[[bytes], Awaitable[None]]


class Connection:
    """One connection to a port of a pod: what the client sends goes in, what comes goes to `send`.

    `ended` is told at the end, of what went wrong or of nothing.
    """

    def __init__(self, port: int, find: Find, send: Send, ended: Callable[[str], Awaitable[None]]):
        self._port = port
        self._find = find
        self._send = send
        self._ended = ended
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_WAITING)
        self._over = False

    async def give(self, data: bytes) -> None:
        """Pass data on; none at all is the end of what the client sends. What nobody takes any
        more is dropped."""
        if not self._over:
            await self._queue.put(data)

    async def run(self) -> None:
        """Carry bytes both ways until the pod's side has ended."""
        try:
            await self._run()
        finally:
            self._over = True
            # Whoever waits to give something shall wait no longer.
            while not self._queue.empty():
                self._queue.get_nowait()

    async def _run(self) -> None:
        local = self._find(self._port)
        try:
            if local is None:
                raise ConnectionRefusedError
            reader, writer = await asyncio.open_connection(HERE, local)
        except OSError:
            refused = f"dial tcp4 127.0.0.1:{self._port}: connect: connection refused"
            await self._ended(f"failed to connect to localhost:{self._port} inside pod: {refused}")
            return
        with contextlib.closing(writer):
            outgoing = asyncio.ensure_future(self._carry(writer))
            try:
                while data := await reader.read(_CHUNK):
                    await self._send(data)
            except OSError:
                pass  # a connection that breaks has ended
            finally:
                outgoing.cancel()
        await self._ended("")

    async def _carry(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await self._queue.get():
                writer.write(data)
                await writer.drain()
            writer.write_eof()
            return
        while await self._queue.get():
            pass  # the pod takes no more, and may still have something to say


class Tunnel:
    """kubectl's way. Every stream is of one connection: request ids tell which belong together."""

    def __init__(self, socket: Socket, find: Find) -> None:
        self._socket = socket
        self._find = find
        self._reader, self._writer = Reader(), Writer()
        self._lock = asyncio.Lock()
        self._errors: dict[str, int] = {}
        self._connections: dict[int, Connection] = {}

    async def run(self) -> None:
        """Serve until the client goes. Raises ConnectionError."""
        async with asyncio.TaskGroup() as crew:
            tasks: set[asyncio.Task[None]] = set()
            with contextlib.suppress(ProtocolError):
                while (data := await self._socket.receive()) is not None:
                    for frame in self._reader.feed(data):
                        if (begun := await self._hear(frame)) is not None:
                            task = crew.create_task(begun.run())
                            tasks.add(task)
                            task.add_done_callback(tasks.discard)
            for task in tasks:
                task.cancel()

    async def _hear(self, frame: Frame) -> Connection | None:
        """Take a frame in; the connection that begins with it, if one does."""
        connection = self._connections.get(frame.stream)
        if frame.kind == SYN_STREAM:
            return await self._open(frame)
        if frame.kind == PING:
            await self._write(self._writer.ping(frame.data))
        elif connection is not None and frame.kind in (DATA, RST_STREAM):
            if frame.data:
                await connection.give(frame.data)
            if frame.last or frame.kind == RST_STREAM:
                await connection.give(b"")
        return None

    async def _open(self, frame: Frame) -> Connection | None:
        kind, request = frame.headers.get("streamtype"), frame.headers.get("requestid", "")
        port = port_number(frame.headers.get("port", ""))
        open_now = len(self._connections) + len(self._errors)
        if port is None or open_now >= MOST_STREAMS:
            await self._write(self._writer.reset(frame.stream, INTERNAL_ERROR))
            return None
        await self._write(self._writer.reply(frame.stream))
        if kind == "error":
            self._errors[request] = frame.stream
            return None
        error = self._errors.pop(request, 0)

        async def send(data: bytes) -> None:
            await self._write(self._writer.data(frame.stream, data))

        async def ended(fault: str) -> None:
            self._connections.pop(frame.stream, None)
            await self._write(self._writer.data(frame.stream, b"", last=True))
            if error:
                said = f"an error occurred forwarding {port}: {fault}" if fault else ""
                await self._write(self._writer.data(error, said.encode(), last=True))

        connection = Connection(port, self._find, send, ended)
        self._connections[frame.stream] = connection
        return connection

    async def _write(self, data: bytes) -> None:
        async with self._lock:
            await self._socket.send(data)


def port_number(text: str) -> int | None:
    """The port that a client asks for, None where it is none."""
    number = int(text) if re.fullmatch("[0-9]{1,5}", text) else 0
    return number if 0 < number < 65536 else None


async def serve_channels(socket: Socket, ports: Sequence[int], find: Find) -> None:
    """The plain way: channel 2n is the data of port n, channel 2n+1 tells its errors."""
    if not ports:
        return
    connections: list[Connection] = []
    async with asyncio.TaskGroup() as crew:
        for number, port in enumerate(ports):
            data, error = bytes([2 * number]), bytes([2 * number + 1])
            for channel in (data, error):
                await socket.send(channel + struct.pack("<H", port))

            async def send(text: bytes, channel: bytes = data) -> None:
                await socket.send(channel + text)

            async def ended(fault: str, channel: bytes = error) -> None:
                if fault:
                    await socket.send(channel + fault.encode())

            connections.append(Connection(port, find, send, ended))
        carrying = [crew.create_task(connection.run()) for connection in connections]
        listening = crew.create_task(_deal_out(socket, connections))
        # The socket ends with the last connection, or all of them with the socket.
        waiting = crew.create_task(asyncio.wait(carrying))
        await asyncio.wait({listening, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for task in (listening, waiting, *carrying):
            task.cancel()


async def _deal_out(socket: Socket, connections: Sequence[Connection]) -> None:
    """Give each connection what comes on its channel, until the client goes."""
    while (message := await socket.receive()) is not None:
        number, kind = divmod(message[0] if message else 1, 2)
        if kind == 0 and number < len(connections) and len(message) > 1:
            await connections[number].give(message[1:])
