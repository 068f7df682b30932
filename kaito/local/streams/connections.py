"""Which connections into a pod there are: commands and ports of pods that are processes.

Of everything else it is said why there is none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kaito.local.apiserver.core import Call
from kaito.local.apiserver.http import Query, Response, Socket, Upgrade
from kaito.local.apiserver.status import StatusError, bad_request
from kaito.local.pods.launch import Launch
from kaito.local.pods.logs import PodLogs
from kaito.local.streams.command import PROTOCOLS, Asked, run_command, show
from kaito.local.streams.forward import (
    CHANNELS,
    MOST_PORTS,
    TUNNEL,
    Tunnel,
    port_number,
    serve_channels,
)
from kaito.runtime import Key

NO_SPDY = (
    "The local cluster speaks WebSockets for this, and no bare SPDY: use kubectl 1.31 or newer, "
    "without KUBECTL_REMOTE_COMMAND_WEBSOCKETS=false or KUBECTL_PORT_FORWARD_WEBSOCKETS=false."
)


class PodConnections:
    """Serves exec, attach and portforward. `running` and `local_port` are the kubelet's."""

    def __init__(
        self,
        running: Callable[[Key, str], Launch | None],
        local_port: Callable[[Key, int], int | None],
        logs: PodLogs,
    ) -> None:
        self._running = running
        self._local_port = local_port
        self._logs = logs

    def connect(self, call: Call, container: str) -> Response:
        """The way into a pod. Raises StatusError where there is none."""
        key = Key(call.target.namespace, call.target.name)
        match call.target.subresource:
            case "exec":
                response = self._exec(key, container, call.query)
            case "attach":
                response = self._attach(key, container, call.query)
            case _:
                response = self._forward(key, call.query)
        # kubectl asks a second time, without WebSockets, and shows that answer alone.
        if "websocket" not in call.request.headers.get("upgrade", "").lower():
            raise bad_request(NO_SPDY)
        return response

    def _exec(self, key: Key, container: str, query: Query) -> Response:
        launch, command = self._launch(key, container), query.all("command")
        if not command:
            raise bad_request("you must specify at least one command for the container")
        asked = Asked(
            command=command,
            stdin=query.flag("stdin"),
            stdout=query.flag("stdout"),
            stderr=query.flag("stderr"),
            tty=query.flag("tty"),
        )

        async def serve(socket: Socket) -> None:
            await run_command(socket, launch, asked)

        return _upgrade(PROTOCOLS, serve)

    def _attach(self, key: Key, container: str, query: Query) -> Response:
        self._launch(key, container)
        # A program reads no standard input here; but whoever brings some has come for this
        # program alone, and sees what it wrote before he came.
        shown = "follow=true" if query.flag("stdin") else "follow=true&tailLines=0"
        output = self._logs.read(key, container, Query(shown)).body
        assert not isinstance(output, bytes)

        async def serve(socket: Socket) -> None:
            await show(socket, output)

        return _upgrade(PROTOCOLS, serve)

    def _forward(self, key: Key, query: Query) -> Response:
        def find(port: int) -> int | None:
            return self._local_port(key, port)

        ports = [_port(text) for each in query.all("ports") for text in each.split(",")]
        if len(ports) > MOST_PORTS:
            raise bad_request(f"{len(ports)} ports are asked for; one connection has {MOST_PORTS}")

        async def serve(socket: Socket) -> None:
            if socket.protocol == TUNNEL:
                await Tunnel(socket, find).run()
            else:
                await serve_channels(socket, ports, find)

        return _upgrade((TUNNEL, CHANNELS), serve)

    def _launch(self, key: Key, container: str) -> Launch:
        launch = self._running(key, container)
        if launch is None:
            raise _unserved(
                f'Container "{container}" of pod "{key.name}" has no program that commands could '
                "be run beside: it is simulated, stood in for, or not running. Run its image as a "
                "program of this machine with `kaito local up --image PATTERN=COMMAND`."
            )
        return launch


def _port(text: str) -> int:
    number = port_number(text)
    if number is None:
        raise bad_request(f"the port {text[:20]!r} is no number from 1 to 65535")
    return number


def _upgrade(protocols: tuple[str, ...], serve: Any) -> Response:
    return Response(101, upgrade=Upgrade(protocols, serve))


def _unserved(message: str) -> StatusError:
    return StatusError(501, "NotImplemented", message)
