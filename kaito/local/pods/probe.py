"""Probes of containers that run as local processes: an HTTP GET or a TCP connection.

Standard streams alone: a probe is one request on one connection, and there are no redirects to
follow. A probe that runs a command inside the container has no counterpart here and counts as a
success.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A kubelet reads no more of an answer either.
_LINE_LIMIT = 10 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How to ask, and how often. Times in seconds; defaults are those of the API."""

    container_port: int
    path: str | None = None
    """None: a connection is enough."""
    period: float = 10.0
    timeout: float = 1.0
    failures: int = 3
    """So many in a row until it counts."""


def readiness_probe(container: Mapping[str, Any]) -> Probe | None:
    """The readiness probe of a container, None when it has none that can be run here."""
    wanted = container.get("readinessProbe")
    if not wanted:
        return None
    http, tcp = wanted.get("httpGet"), wanted.get("tcpSocket")
    asked = http or tcp
    if asked is None:
        return None
    return Probe(
        container_port=container_port(container, asked["port"]),
        path=http.get("path", "/") if http else None,
        period=wanted.get("periodSeconds", 10),
        timeout=wanted.get("timeoutSeconds", 1),
        failures=wanted.get("failureThreshold", 3),
    )


def container_port(container: Mapping[str, Any], port: int | str) -> int:
    """A port of a container by number or name; 0 for a name that it does not have."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    declared = container.get("ports") or ()
    return next((each["containerPort"] for each in declared if each.get("name") == port), 0)


async def succeeds(probe: Probe, port: int) -> bool:
    """Whether the process on that local port answers as the probe wants."""
    try:
        async with asyncio.timeout(probe.timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LINE_LIMIT)
            try:
                return probe.path is None or await _get(reader, writer, probe.path)
            finally:
                writer.close()
                await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return False


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> bool:
    head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-probe/1.36\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode())
    await writer.drain()
    # "HTTP/1.1 200 OK"; a status from 200 to 399 is a success for a kubelet.
    words = (await reader.readline()).split()
    return len(words) > 1 and words[1].isdigit() and 200 <= int(words[1]) < 400
