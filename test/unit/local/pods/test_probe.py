"""Readiness probes: what is asked, and what counts as well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kaito.local.pods.probe import Probe, container_port, readiness_probe, succeeds

CONTAINER = {"name": "c", "ports": [{"name": "http", "containerPort": 5000}]}


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (None, None),
        ({"exec": {"command": ["true"]}}, None),
        ({"httpGet": {"port": 5000}}, Probe(container_port=5000, path="/")),
        (
            {"httpGet": {"port": "http", "path": "/health"}, "periodSeconds": 3},
            Probe(container_port=5000, path="/health", period=3),
        ),
        ({"tcpSocket": {"port": "http"}}, Probe(container_port=5000)),
        ({"tcpSocket": {"port": "unknown"}}, Probe(container_port=0)),
    ],
)
def test_a_probe_is_read_from_the_container(probe: Any, expected: Probe | None) -> None:
    assert readiness_probe({**CONTAINER, "readinessProbe": probe}) == expected


def test_a_port_has_a_number_or_a_name() -> None:
    assert container_port(CONTAINER, 80) == 80
    assert container_port(CONTAINER, "80") == 80
    assert container_port(CONTAINER, "http") == 5000


@pytest.mark.parametrize(
    ("answer", "well"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 302 Found\r\n\r\n", True),
        (b"HTTP/1.1 503 Busy\r\n\r\n", False),
        (b"nonsense\r\n", False),
        (b"", False),
    ],
)
async def test_an_answer_is_judged_by_its_status(answer: bytes, well: bool) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await succeeds(Probe(container_port=1, path="/health"), port) is well
        assert asked == [b"GET /health HTTP/1.1\r\n"]
        assert await succeeds(Probe(container_port=1), port)
    assert not await succeeds(Probe(container_port=1), port), "nobody listens any more"
