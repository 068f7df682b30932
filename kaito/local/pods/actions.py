"""What a kubelet does to a running container: an HTTP request, a connection, a command, a pause.

Probes and lifecycle hooks are made of these. Standard streams alone: one request on one
connection, and no redirects to follow. What went wrong is told in the words of a kubelet, with the
pod's address as people know it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kaito.local.pods.downward import HERE
from kaito.runtime import Clock

# A kubelet reads no more of an answer either.
MOST_READ = 10 * 1024
NO_GRPC = "gRPC is not spoken by the local cluster; use httpGet, tcpSocket or exec"
Execute = Callable[[Sequence[str]], Awaitable[tuple[int, str]]]
"""Runs a command beside a container's program: exit status and what it wrote."""


class Outcome(NamedTuple):
    """How it went. `well` is None where it could not be tried."""

    well: bool | None
    says: str = ""


WELL = Outcome(True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Acts on one container that runs. `execute` is None where commands mean nothing to it."""

    container: Mapping[str, Any]
    address: str
    ports: Mapping[int, int]
    execute: Execute | None
    clock: Clock

    async def act(self, action: Mapping[str, Any], timeout: float | None) -> Outcome:
        """Do what a probe or a hook says, within `timeout` seconds."""
        if "exec" in action:
            return await self._execute(action["exec"].get("command") or (), timeout)
        if "sleep" in action:
            await self.clock.sleep(action["sleep"]["seconds"])
            return WELL
        if "grpc" in action:
            return Outcome(None, NO_GRPC)
        asked = action.get("httpGet") or action.get("tcpSocket")
        if asked is None:
            return WELL
        number = container_port(self.container, asked["port"])
        try:
            async with asyncio.timeout(timeout):
                return await self._connect(action.get("httpGet"), number)
        except TimeoutError:
            return Outcome(False, self._late(action.get("httpGet"), number))

    async def _execute(self, command: Sequence[str], timeout: float | None) -> Outcome:
        if self.execute is None:
            return WELL
        try:
            async with asyncio.timeout(timeout):
                status, output = await self.execute(command)
        except TimeoutError:
            shown = " ".join(command)
            return Outcome(False, f'command timed out: "{shown}" timed out after {timeout:g}s')
        except (OSError, ValueError) as error:
            # No command can be begun: its directory has gone, or a word holds a zero byte.
            return Outcome(None, f"failed to exec in container: {error}")
        return Outcome(status == 0, output)

    async def _connect(self, http: Mapping[str, Any] | None, number: int) -> Outcome:
        refused = self._said(http, number, "connect: connection refused")
        port = self.ports.get(number)
        if port is None:
            return Outcome(False, refused)
        tls = _unchecked() if http is not None and http.get("scheme") == "HTTPS" else None
        try:
            reader, writer = await asyncio.open_connection(HERE, port, limit=MOST_READ, ssl=tls)
        except OSError:
            return Outcome(False, refused)
        try:
            return await self._get(reader, writer, http, number) if http is not None else WELL
        except (OSError, ValueError):
            return Outcome(False, f'Get "{self._url(http or {}, number)}": EOF')
        finally:
            writer.close()

    async def _get(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        http: Mapping[str, Any],
        number: int,
    ) -> Outcome:
        sent = {"Host": f"{self.address}:{number}", "User-Agent": "kube-probe/1.36"}
        sent |= {each["name"]: each.get("value", "") for each in http.get("httpHeaders") or ()}
        head = [f"GET {_path(http)} HTTP/1.1", *(f"{k}: {v}" for k, v in sent.items())]
        # A line of a pod must not become two lines of a request.
        lines = [line.replace("\r", " ").replace("\n", " ") for line in head]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        await writer.drain()
        # "HTTP/1.1 200 OK"; a status from 200 to 399 is a success for a kubelet.
        words = (await reader.readline()).split()
        if len(words) < 2 or not words[1].isdigit():
            return Outcome(False, f'Get "{self._url(http, number)}": EOF')
        status = int(words[1])
        if 200 <= status < 400:
            return WELL
        return Outcome(False, f"HTTP probe failed with statuscode: {status}")

    def _url(self, http: Mapping[str, Any], number: int) -> str:
        scheme = http.get("scheme", "HTTP").lower()
        return f"{scheme}://{http.get('host') or self.address}:{number}{_path(http)}"

    def _said(self, http: Mapping[str, Any] | None, number: int, what: str) -> str:
        dial = f"dial tcp {self.address}:{number}: {what}"
        return dial if http is None else f'Get "{self._url(http, number)}": {dial}'

    def _late(self, http: Mapping[str, Any] | None, number: int) -> str:
        if http is None:
            return self._said(None, number, "i/o timeout")
        late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        return f'Get "{self._url(http, number)}": {late}'


def container_port(container: Mapping[str, Any], port: int | str) -> int:
    """A port of a container by number or name; 0 for a name that it does not have."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    declared = container.get("ports") or ()
    return next((each["containerPort"] for each in declared if each.get("name") == port), 0)


def _path(http: Mapping[str, Any]) -> str:
    path: str = http.get("path") or "/"
    return path if path.startswith("/") else f"/{path}"


def _unchecked() -> ssl.SSLContext:
    """Probes check no certificate, as with a kubelet."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
