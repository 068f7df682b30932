"""Local ports that lead to Services and pods: what kube-proxy does, for programs of this machine.

A port is opened when a program is told of it, and decides at each connection where it leads, so
that a pod may come, go and move meanwhile. TCP alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping

from kaito.local.network.names import Target, target
from kaito.local.network.resolver import HOST
from kaito.runtime import Key, Object, Store

MOST = 256  # open ports; each holds a file descriptor
_CHUNK = 64 * 1024
_BACKLOG = 64
Resolve = Callable[[str, str, str, str], tuple[str, int] | None]
"""Where a namespace's service or pod can be reached: kind, name and port as the proxy has them."""
_KUBERNETES = Key("default", "kubernetes")


class Forwarding:
    """Opens the ports. `run` must be running: it owns them and their connections.

    `services` needs the index "namespace" (by_namespace).
    """

    def __init__(self, resolve: Resolve, services: Store[Object], api_port: int) -> None:
        self._resolve = resolve
        self._services = services
        self._api_port = api_port
        self._ports: dict[tuple[Target, int], tuple[int, asyncio.Task[None]]] = {}
        self._crew: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Own the connections until cancelled; then all are closed."""
        async with asyncio.TaskGroup() as crew:
            self._crew = crew
            try:
                await asyncio.Event().wait()
            finally:
                self._crew = None

    def in_namespace(self, namespace: str) -> Callable[[str, int], int | None]:
        """For programs of a namespace: the local port that leads to a port of a name."""

        def forward(host: str, port: int) -> int | None:
            found = target(host, namespace, self._services)
            return self._open(found, port) if found is not None else None

        return forward

    def variables(self, namespace: str, *, links: bool) -> dict[str, str]:
        """The environment variables that tell a container of the Services there are.

        The API server is always told of; the namespace's Services where `links` is set.
        """
        found = _variables("kubernetes", HOST, {"https": (self._api_port, "TCP")})
        for key in self._services.by("namespace", namespace) if links else ():
            service = self._services.get(key)
            if service is None or service["spec"].get("clusterIP") in (None, "", "None"):
                continue
            if key != _KUBERNETES:
                found |= self._of_service(key, service)
        return found

    def _of_service(self, key: Key, service: Object) -> Mapping[str, str]:
        ports, reached = {}, False
        for each in service["spec"].get("ports") or ():
            protocol = each.get("protocol", "TCP")
            local = self._open(Target("services", key), each["port"]) if protocol == "TCP" else None
            reached = reached or local is not None
            ports[each.get("name", "")] = (local or each["port"], protocol)
        # Without a port of ours the address is the Service's, which leads nowhere here.
        return _variables(key.name, HOST if reached else service["spec"]["clusterIP"], ports)

    def _open(self, goal: Target, port: int) -> int | None:
        """The local port for a goal; None when there are too many, or the cluster stops."""
        known = self._ports.get((goal, port))
        if known is not None:
            return known[0]
        if self._crew is None or (len(self._ports) >= MOST and not self._give_up_one()):
            return None
        listening = socket.create_server((HOST, 0), backlog=_BACKLOG)
        local: int = listening.getsockname()[1]
        serving = self._serve(listening, goal, port)
        task = self._crew.create_task(serving, name=f"forward/{goal.key}")
        # Cancelled before it has begun, it would not close it.
        task.add_done_callback(lambda _: listening.close())
        self._ports[goal, port] = local, task
        return local

    def _give_up_one(self) -> bool:
        """Close the oldest port that leads nowhere by now; False when there is none such."""
        for (goal, port), (_, task) in self._ports.items():
            if self._resolve(goal.key.namespace, goal.kind, goal.key.name, str(port)) is None:
                task.cancel()
                del self._ports[goal, port]
                return True
        return False

    async def _serve(self, listening: socket.socket, goal: Target, port: int) -> None:
        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            found = self._resolve(goal.key.namespace, goal.kind, goal.key.name, str(port))
            with contextlib.closing(writer), contextlib.suppress(OSError):
                if found is not None:
                    await relay(reader, writer, *found)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._crew is None:
                writer.close()
            else:
                self._crew.create_task(lead(reader, writer))

        server = await asyncio.start_server(connected, sock=listening)
        async with server:
            await server.serve_forever()


async def relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int
) -> None:
    """Carry bytes both ways until both sides have ended. OSError when nobody listens there."""
    there_reader, there_writer = await asyncio.open_connection(host, port)
    with contextlib.closing(there_writer):
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_carry(reader, there_writer))
            ways.create_task(_carry(there_reader, writer))


async def _carry(source: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            goal.write(data)
            await goal.drain()
        if goal.can_write_eof():
            goal.write_eof()


def _variables(service: str, host: str, ports: Mapping[str, tuple[int, str]]) -> dict[str, str]:
    """The names that Kubernetes and Docker links give them; the first port is the port."""
    prefix = service.upper().replace("-", "_")
    found = {f"{prefix}_SERVICE_HOST": host}
    for number, (name, (port, protocol)) in enumerate(ports.items()):
        if number == 0:
            found[f"{prefix}_SERVICE_PORT"] = str(port)
            found[f"{prefix}_PORT"] = f"{protocol.lower()}://{host}:{port}"
        if name:
            found[f"{prefix}_SERVICE_PORT_{name.upper().replace('-', '_')}"] = str(port)
        found |= dict(_link(prefix, host, port, protocol))
    return found


def _link(prefix: str, host: str, port: int, protocol: str) -> Iterator[tuple[str, str]]:
    link = f"{prefix}_PORT_{port}_{protocol.upper()}"
    yield link, f"{protocol.lower()}://{host}:{port}"
    yield f"{link}_PROTO", protocol.lower()
    yield f"{link}_PORT", str(port)
    yield f"{link}_ADDR", host
