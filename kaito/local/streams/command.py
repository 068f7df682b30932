"""Commands in a pod, and its output, over the channels of a WebSocket.

The first byte of a message is its channel: 0 standard input, 1 output, 2 errors, 3 how it ended,
4 the size of the terminal; 255 says that the channel in its second byte ends (version 5).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import struct
import termios
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kaito.local.apiserver.http import Socket
from kaito.local.pods.launch import Beside, Launch

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_CHUNK = 32 * 1024
_SUCCESS = {"metadata": {}, "status": "Success"}
_Put = Callable[[bytes], Awaitable[None]]
"""Hands standard input on; none at all is its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller wants to run, and which of its streams it wants."""

    command: Sequence[str]
    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    tty: bool = False


async def run_command(socket: Socket, launch: Launch, asked: Asked) -> None:
    """Run a command beside a program until it ends or the caller goes. Raises ConnectionError."""
    try:
        if asked.tty:
            status = await _on_terminal(socket, launch, asked)
        else:
            status = await _on_pipes(socket, launch, asked)
    except OSError as error:
        if isinstance(error, ConnectionError):
            raise
        await _say(socket, failure(f"cannot run {asked.command[0]!r}: {error.strerror}"))
        return
    await _say(socket, _SUCCESS if status == 0 else exited(status))


async def show(socket: Socket, output: AsyncIterator[bytes]) -> None:
    """Send what a program writes until it ends or the caller goes. Raises ConnectionError."""

    async def send() -> None:
        async for data in output:
            if data:
                await socket.send(bytes([STDOUT]) + data)
        await _say(socket, _SUCCESS)

    async def until_gone() -> None:
        while await socket.receive() is not None:
            pass

    async with asyncio.TaskGroup() as ways:
        tasks = [ways.create_task(send()), ways.create_task(until_gone())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


def failure(message: str) -> dict[str, Any]:
    """The Status of a command that could not be run."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": "InternalError",
        "code": 500,
    }


def exited(status: int) -> dict[str, Any]:
    """The Status of a command that ended with another exit status than 0."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {status}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(status)}]},
    }


async def _on_pipes(socket: Socket, launch: Launch, asked: Asked) -> int:
    """Its exit status."""
    stdin = PIPE if asked.stdin else DEVNULL
    async with Beside(launch, asked.command, stdin=stdin) as beside:
        process = beside.process
        assert process.stdout is not None
        assert process.stderr is not None

        async def put(data: bytes) -> None:
            if process.stdin is not None:
                with contextlib.suppress(ConnectionError):
                    if data:
                        process.stdin.write(data)
                        await process.stdin.drain()
                    else:
                        process.stdin.close()

        async with asyncio.TaskGroup() as ways:
            listening = ways.create_task(_listen(socket, put, None, beside))
            copying = [
                ways.create_task(_copy(socket, STDOUT, process.stdout, wanted=asked.stdout)),
                ways.create_task(_copy(socket, STDERR, process.stderr, wanted=asked.stderr)),
            ]
            await asyncio.wait(copying)
            status = await process.wait()
            listening.cancel()
        return status


async def _on_terminal(socket: Socket, launch: Launch, asked: Asked) -> int:
    """Its exit status."""
    ours, theirs = pty.openpty()
    try:
        async with Beside(
            launch, asked.command, stdin=theirs, stdout=theirs, stderr=theirs, terminal=True
        ) as beside:
            os.close(theirs)
            theirs = -1
            loop, output = asyncio.get_running_loop(), asyncio.StreamReader()
            transport, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(output), os.fdopen(os.dup(ours), "rb", 0)
            )

            async def put(data: bytes) -> None:
                # A terminal has no end; what a caller types at it is the end-of-file character.
                with contextlib.suppress(OSError):  # it may have ended meanwhile
                    await _type(ours, data or b"\x04")

            with contextlib.closing(transport):
                async with asyncio.TaskGroup() as ways:
                    listening = ways.create_task(_listen(socket, put, ours, beside))
                    await _copy(socket, STDOUT, output, wanted=asked.stdout)
                    status = await beside.process.wait()
                    listening.cancel()
            return status
    finally:
        os.close(ours)
        if theirs >= 0:
            os.close(theirs)


async def _type(terminal: int, text: bytes) -> None:
    """Write all of it to a terminal, which takes a few KiB that no program has read."""
    loop = asyncio.get_running_loop()
    while text:
        try:
            text = text[os.write(terminal, text) :]
        except BlockingIOError:
            free = asyncio.Event()
            loop.add_writer(terminal, free.set)
            try:
                await free.wait()
            finally:
                loop.remove_writer(terminal)


async def _copy(
    socket: Socket, channel: int, source: asyncio.StreamReader, *, wanted: bool
) -> None:
    # Reading a terminal whose other side has been closed is an error and means its end.
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            if wanted:
                await socket.send(bytes([channel]) + data)


async def _listen(socket: Socket, put: _Put, terminal: int | None, beside: Beside) -> None:
    """Hand on what the caller sends. When the caller goes, the command is ended."""
    while (message := await socket.receive()) is not None:
        channel, data = (message[0], message[1:]) if message else (STDIN, b"")
        if channel == STDIN and data:
            await put(data)
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            await put(b"")
        elif channel == RESIZE and terminal is not None:
            _resize(terminal, data)
    beside.kill()


def _resize(terminal: int, data: bytes) -> None:
    try:
        size = msgspec.json.decode(data, type=dict[str, int])
        packed = struct.pack("HHHH", size.get("Height", 0), size.get("Width", 0), 0, 0)
    except (msgspec.DecodeError, struct.error):
        return
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, packed)


async def _say(socket: Socket, status: dict[str, Any]) -> None:
    await socket.send(bytes([ERROR]) + msgspec.json.encode(status))
