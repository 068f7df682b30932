"""What is done to a container, and how its failing is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from kaito.local.pods.actions import NO_GRPC, Actor, Execute, Outcome, container_port

if TYPE_CHECKING:
    from conftest import ManualClock

CONTAINER = {"name": "c", "ports": [{"name": "http", "containerPort": 5000}]}
HTTP = {"httpGet": {"port": "http", "path": "/health"}}


def actor(clock: ManualClock, port: int = 0, execute: Execute | None = None) -> Actor:
    ports = {5000: port} if port else {}
    return Actor(
        container=CONTAINER, address="10.244.0.9", ports=ports, execute=execute, clock=clock
    )


@asynccontextmanager
async def silence() -> AsyncIterator[int]:
    """A port where somebody takes connections and says nothing."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()
        heard.set()

    heard = asyncio.Event()
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(20):
            await heard.wait()


def test_a_port_has_a_number_or_a_name() -> None:
    assert container_port(CONTAINER, 80) == 80
    assert container_port(CONTAINER, "80") == 80
    assert container_port(CONTAINER, "http") == 5000
    assert container_port(CONTAINER, "unknown") == 0


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", Outcome(True)),
        (b"HTTP/1.1 302 Found\r\n\r\n", Outcome(True)),
        (b"HTTP/1.1 503 Busy\r\n\r\n", Outcome(False, "HTTP probe failed with statuscode: 503")),
        (b"nonsense\r\n", Outcome(False, 'Get "http://10.244.0.9:5000/health": EOF')),
        (b"", Outcome(False, 'Get "http://10.244.0.9:5000/health": EOF')),
    ],
)
async def test_an_answer_is_judged_by_its_status(
    clock: ManualClock, answer: bytes, outcome: Outcome
) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    headers = [{"name": "X-Probe", "value": "1\r\nX-Smuggled: 2"}]
    action: Any = {"httpGet": {**HTTP["httpGet"], "httpHeaders": headers}}
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await actor(clock, port).act(action, 20) == outcome
    lines = asked[0].decode().splitlines()
    assert lines[0] == "GET /health HTTP/1.1"
    assert "X-Probe: 1  X-Smuggled: 2" in lines


async def test_nobody_listens(clock: ManualClock) -> None:
    refused = "dial tcp 10.244.0.9:5000: connect: connection refused"
    nobody = actor(clock)
    assert await nobody.act({"tcpSocket": {"port": "http"}}, 1) == Outcome(False, refused)
    asked = await nobody.act(HTTP, 1)
    assert asked == Outcome(False, f'Get "http://10.244.0.9:5000/health": {refused}')


async def test_a_connection_is_enough_for_a_socket(clock: ManualClock) -> None:
    async with silence() as port:
        assert (await actor(clock, port).act({"tcpSocket": {"port": 5000}}, 20)).well


async def test_an_answer_can_come_too_late(clock: ManualClock) -> None:
    async with silence() as port:
        outcome = await actor(clock, port).act(HTTP, 0.01)
    assert not outcome.well
    assert outcome.says.endswith("(Client.Timeout exceeded while awaiting headers)")


@pytest.mark.parametrize(("status", "well"), [(0, True), (3, False)])
async def test_a_command_is_judged_by_its_exit_status(
    clock: ManualClock, status: int, well: bool
) -> None:
    async def execute(command: Sequence[str]) -> tuple[int, str]:
        return status, " ".join(command)

    able = actor(clock, execute=execute)
    assert await able.act({"exec": {"command": ["a", "b c"]}}, 1) == Outcome(well, "a b c")


async def test_a_command_means_nothing_to_a_stand_in(clock: ManualClock) -> None:
    assert (await actor(clock).act({"exec": {"command": ["rm"]}}, 1)).well


async def test_grpc_is_said_not_to_be_spoken(clock: ManualClock) -> None:
    assert await actor(clock).act({"grpc": {"port": 1}}, 1) == Outcome(None, NO_GRPC)
