"""Commands in pods, their output, and their ports, over WebSockets as clients speak them."""

from __future__ import annotations

import json
import ssl
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import yaml

from kaito.local.kinds import PODS
from kaito.local.pods.images import entrypoint
from kaito.local.pods.kaito_base import KAITO_BASE
from kaito.local.profile import Profile
from kaito.local.streams.spdy import DATA, DICTIONARY, PING, Reader
from kaito.runtime import ApiError, Call, Object, is_true

if TYPE_CHECKING:
    from test.integration.local.conftest import World

V5 = "v5.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
SERVING = ["-m", "http.server", "8080"]


@pytest.fixture
async def world(start: Any, tmp_path: Path) -> AsyncIterator[World]:
    """A cluster with one pod: a server, and a container behind which nothing runs."""
    async with start(
        nodes=1,
        profile=Profile.instant(processes=True),
        state_dir=tmp_path,
        programs=[entrypoint("python", [sys.executable, "-u"]), *KAITO_BASE],
    ) as started:
        await started.client.create(PODS, POD)
        await started.object(
            PODS, "p", lambda p: is_true(p["status"].get("conditions", ()), "Ready"), "default"
        )
        yield started


POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {
        "containers": [
            {
                "name": "main",
                "image": "python:3",
                "args": SERVING,
                "env": [{"name": "WHO", "value": "me"}],
                "ports": [{"containerPort": 8080}],
                "readinessProbe": {"tcpSocket": {"port": 8080}},
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            },
            {"name": "nothing", "image": "nginx"},
            {"name": "engine", "image": "kaito-base:1"},
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
    },
}


@asynccontextmanager
async def session(world: World) -> AsyncIterator[Callable[..., Any]]:
    """Opens connections to the pod's subresources."""
    token = yaml.safe_load(world.cluster.kubeconfig())["users"][0]["user"]["token"]
    tls = ssl.create_default_context(cadata=world.cluster.ca_pem)
    headers = {"Authorization": f"Bearer {token}"}
    base = f"{world.cluster.url}/api/v1/namespaces/default/pods/p"
    async with aiohttp.ClientSession(headers=headers) as http:

        def connect(path: str, *protocols: str) -> Any:
            return http.ws_connect(f"{base}/{path}", protocols=protocols, ssl=tls)

        yield connect


class Heard:
    """What has come on each channel, until the end or until `enough`."""

    def __init__(self) -> None:
        self.channels: dict[int, bytes] = {}

    async def listen(self, socket: Any, enough: Callable[[Heard], bool] = lambda _: False) -> Heard:
        while not enough(self):
            message = await socket.receive(timeout=20)
            if message.type is not aiohttp.WSMsgType.BINARY:
                break
            channel, text = message.data[0], message.data[1:]
            self.channels[channel] = self.channels.get(channel, b"") + text
        return self

    def status(self) -> Any:
        return json.loads(self.channels[ERROR])


def asking(script: str, **flags: str) -> str:
    words = [f"command={word}" for word in ("sh", "-c", script)]
    return (
        "exec?"
        + "&".join([*words, "container=main", "stdout=1", "stderr=1"])
        + "".join(f"&{name}={value}" for name, value in flags.items())
    )


async def test_a_command_runs_beside_the_program(world: World) -> None:
    script = "echo $WHO; echo wrong >%262; echo kept > /data/file; cat /data/file; exit 3"
    async with session(world) as connect, connect(asking(script), V5) as socket:
        heard = await Heard().listen(socket)
    assert heard.channels[STDOUT] == b"me\nkept\n"
    assert heard.channels[STDERR] == b"wrong\n"
    status = heard.status()
    assert status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


async def test_a_command_that_ends_well_says_so(world: World) -> None:
    async with session(world) as connect, connect(asking("true"), V5) as socket:
        assert (await Heard().listen(socket)).status()["status"] == "Success"


async def test_standard_input_reaches_the_command_and_ends(world: World) -> None:
    async with session(world) as connect, connect(asking("cat", stdin="1"), V5) as socket:
        await socket.send_bytes(bytes([STDIN]) + b"some ")
        await socket.send_bytes(bytes([STDIN]) + b"text")
        await socket.send_bytes(bytes([CLOSE, STDIN]))
        heard = await Heard().listen(socket)
    assert heard.channels[STDOUT] == b"some text"


async def test_everything_that_is_pasted_into_a_terminal_arrives(world: World) -> None:
    script = "stty raw -echo; echo go; head -c 100000 | wc -c"
    path = asking(script, stdin="1", tty="1")
    async with session(world) as connect, connect(path, V5) as socket:
        heard = Heard()
        await heard.listen(socket, lambda heard: b"go" in heard.channels.get(STDOUT, b""))
        await socket.send_bytes(bytes([STDIN]) + b"x" * 100_000)
        await heard.listen(socket)
    assert heard.channels[STDOUT].split() == [b"go", b"100000"]
    assert heard.status()["status"] == "Success"


async def test_a_terminal_is_one_of_the_size_asked_for(world: World) -> None:
    # It reads a line before it looks, so that the size has arrived.
    path = asking("read x; stty size; tty >/dev/null %26%26 echo $x", stdin="1", tty="1")
    async with session(world) as connect, connect(path, V5) as socket:
        await socket.send_bytes(bytes([4]) + b'{"Width":101,"Height":33}')
        await socket.send_bytes(bytes([STDIN]) + b"typed\n")
        heard = await Heard().listen(socket)
    assert heard.channels[STDOUT] == b"typed\r\n33 101\r\ntyped\r\n"
    assert heard.status()["status"] == "Success"


async def test_a_command_ends_with_its_caller(world: World) -> None:
    async with session(world) as connect:
        async with connect(asking("echo $$; exec sleep 1000"), V5) as socket:
            heard = await Heard().listen(socket, lambda so_far: STDOUT in so_far.channels)
        number = int(heard.channels[STDOUT])
        # The next command waits for the end of the first one.
        script = f"while kill -0 {number} 2>/dev/null; do sleep 0.02; done; echo gone"
        async with connect(asking(script), V5) as socket:
            assert (await Heard().listen(socket)).channels[STDOUT] == b"gone\n"


@pytest.mark.parametrize("container", ["nothing", "engine"])
async def test_where_nothing_real_runs_there_are_no_commands(world: World, container: str) -> None:
    path = f"exec?command=ls&container={container}&stdout=1"
    async with session(world) as connect:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await connect(path, V5)
    assert refused.value.status == 501


async def test_whoever_attaches_sees_what_the_program_writes(world: World) -> None:
    path = "attach?container=main&stdout=1&stdin=1"
    async with session(world) as connect, connect(path, V5) as socket:
        heard = await Heard().listen(socket, lambda so_far: b"\n" in so_far.channels.get(1, b""))
    assert heard.channels[STDOUT].startswith(b"Serving HTTP on")


async def test_a_port_is_forwarded_over_channels(world: World) -> None:
    path = "portforward?ports=8080"
    async with session(world) as connect, connect(path, "v4.channel.k8s.io") as socket:
        await socket.send_bytes(b"\0GET / HTTP/1.0\r\n\r\n")
        heard = await Heard().listen(socket)
    port = struct.pack("<H", 8080)
    assert heard.channels[0].startswith(port + b"HTTP/1.0 200 OK")
    assert heard.channels[1] == port


class Tunnelling:
    """kubectl's side of a tunnel."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._reader = Reader()
        self.data: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.pongs = 0

    async def open(self, stream: int, kind: str, port: int, *, last: bool = False) -> None:
        headers = {"streamtype": kind, "port": str(port), "requestid": "0"}
        words = [word.encode() for pair in headers.items() for word in pair]
        block = struct.pack(">I", len(headers))
        block += b"".join(struct.pack(">I", len(word)) + word for word in words)
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        body = struct.pack(">IIH", stream, 0, 0) + packed
        head = struct.pack(">HHI", 0x8003, 1, last << 24 | len(body))
        await self._socket.send_bytes(head + body)

    async def write(self, stream: int, text: bytes) -> None:
        await self._socket.send_bytes(struct.pack(">II", stream, len(text)) + text)

    async def ping(self) -> None:
        await self._socket.send_bytes(struct.pack(">HHII", 0x8003, PING, 4, 1))

    async def until(self, enough: Callable[[Tunnelling], bool]) -> None:
        while not enough(self):
            message = await self._socket.receive(timeout=20)
            assert message.type is aiohttp.WSMsgType.BINARY, message
            for frame in self._reader.feed(message.data):
                self.pongs += frame.kind == PING
                if frame.kind == DATA:
                    self.data[frame.stream] = self.data.get(frame.stream, b"") + frame.data
                    self.ended |= {frame.stream} if frame.last else set()


@pytest.mark.parametrize(
    ("port", "error", "answer"),
    [(8080, b"", b"HTTP/1.0 200 OK"), (9, b"failed to connect to localhost:9 inside pod", b"")],
)
async def test_a_port_is_forwarded_as_kubectl_asks(
    world: World, port: int, error: bytes, answer: bytes
) -> None:
    way = "SPDY/3.1+portforward.k8s.io"
    async with session(world) as connect, connect("portforward", way) as socket:
        tunnel = Tunnelling(socket)
        await tunnel.open(1, "error", port, last=True)
        await tunnel.open(3, "data", port)
        await tunnel.write(3, b"GET / HTTP/1.0\r\n\r\n")
        await tunnel.ping()
        await tunnel.until(lambda so_far: so_far.ended == {1, 3} and so_far.pongs == 1)
    assert tunnel.data[3].startswith(answer)
    assert error in tunnel.data[1]
    assert bool(error) == bool(tunnel.data[1])


async def test_a_container_can_be_added_to_look_at_a_pod(world: World) -> None:
    added = {"name": "look", "image": "python:3", "args": ["-c", "print('seen')"]}
    patch = {"spec": {"ephemeralContainers": [added]}}
    path = "/api/v1/namespaces/default/pods/p"
    await world.client.send(
        Call(
            method="PATCH",
            path=f"{path}/ephemeralcontainers",
            headers={"Content-Type": "application/strategic-merge-patch+json"},
            body=json.dumps(patch).encode(),
        )
    )
    await world.object(
        PODS,
        "p",
        lambda p: any(
            "terminated" in status["state"]
            for status in p["status"].get("ephemeralContainerStatuses", ())
        ),
        "default",
    )
    asked = Call(method="GET", path=f"{path}/log", query={"container": "look"})
    assert await world.client.send(asked) == b"seen\n"


@pytest.mark.parametrize(
    ("ports", "says"),
    [
        ("70000", "the port '70000' is no number from 1 to 65535"),
        ("²", "the port '²' is no number from 1 to 65535"),
        (",".join(map(str, range(1, 200))), "199 ports are asked for; one connection has 128"),
    ],
    ids=["too-large", "no-digit", "too-many"],
)
async def test_ports_that_cannot_be_forwarded_are_refused(
    world: World, ports: str, says: str
) -> None:
    path = "/api/v1/namespaces/default/pods/p/portforward"
    call = Call(method="GET", path=path, query={"ports": ports}, headers={"upgrade": "websocket"})
    with pytest.raises(ApiError) as refused:
        await world.client.send(call)
    assert (refused.value.status.code, says in refused.value.status.message) == (400, True)
