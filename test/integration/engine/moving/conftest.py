"""A real registry and real servers of files, over sockets, and the mover as the process it is."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import os
import signal
import ssl
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from kaito.engine.endings import VARIABLE
from kaito.engine.moving.manifest import OCI_MANIFEST
from kaito.engine.moving.patience import Patience
from kaito.engine.moving.trust import trust
from kaito.local.apiserver.front import HttpsFront
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer
from kaito.local.pki import Pki, ensure_pki
from kaito.local.registry.access import Access, Account, Action
from kaito.local.registry.endpoint import RegistryEndpoint
from kaito.local.registry.routes import MOUNT
from kaito.local.registry.storage import Storage
from kaito.runtime import SystemClock

ADMIN = Account(name="admin", password="hunter2")
READER = Account(name="reader", password="hunter3", actions=frozenset({Action.PULL}))
PATIENCE = 30.0  # seconds; only a failing test waits that long
HASTY = Patience(sleep=lambda _: None)


@dataclass
class Shop:
    """A registry. `instead` may answer a request in its place, None leaves it to the registry."""

    host: str
    ca: Path
    tls: ssl.SSLContext
    """What trusts it."""
    directory: Path
    instead: Callable[[Request], Awaitable[Response | None]] | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def name(self, repository: str = "team/adapter", tag: str = "v1") -> str:
        return f"{self.host}/{repository}:{tag}"

    async def put(
        self, layers: Sequence[tuple[bytes, Mapping[str, Any]]], tag: str = "v1", **more: Any
    ) -> str:
        """Have an image of these layers, as descriptors say; its digest."""
        described = []
        for content, descriptor in layers:
            described.append({**part(content), **descriptor})
            await self.put_blob(content)
        await self.put_blob(b"{}")
        wire = {"config": part(b"{}"), "layers": described, **more}
        return await self.put_manifest(tag, wire)

    async def put_manifest(self, tag: str, wire: Mapping[str, Any]) -> str:
        """Have a manifest; its digest."""
        whole = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, **wire}
        text, headers = json.dumps(whole).encode(), {"Content-Type": whole["mediaType"]}
        url = f"https://{self.host}/v2/team/adapter/manifests/{tag or part(text)['digest']}"
        async with (
            self.asking() as session,
            session.put(url, data=text, headers=headers) as answer,
        ):
            assert answer.status == 201, await answer.text()
        return str(part(text)["digest"])

    async def put_blob(self, content: bytes) -> None:
        url = f"https://{self.host}/v2/team/adapter/blobs/uploads/"
        query = {"digest": part(content)["digest"]}
        async with (
            self.asking() as session,
            session.post(url, data=io.BytesIO(content), params=query) as answer,
        ):
            assert answer.status == 201, await answer.text()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=self.tls)
        headers = {"Authorization": f"Basic {_pair(ADMIN)}"}
        before, self.instead = self.instead, None
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            yield session
        self.instead = before
        self.asked.clear()

    def login(self, account: Account | None = ADMIN, name: str = "0") -> Path:
        """A file of the Secret of an account, its authority beside it, as Pods have them."""
        entry = {"auth": _pair(account)} if account else {}
        path = self.directory / f"{name}.json"
        path.write_text(json.dumps({"auths": {self.host: entry}}))
        path.with_suffix(".crt").write_bytes(self.ca.read_bytes())
        return path


def _pair(account: Account) -> str:
    return base64.b64encode(f"{account.name}:{account.password}".encode()).decode()


def part(content: bytes) -> dict[str, Any]:
    """A content as a manifest describes it."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return ensure_pki(tmp_path_factory.mktemp("pki"), time.time())


@pytest.fixture(scope="session")
def tls(pki: Pki) -> ssl.SSLContext:
    return trust([pki.ca])


@pytest.fixture
async def shop(tmp_path: Path, pki: Pki, tls: ssl.SSLContext) -> AsyncIterator[Shop]:
    directory = tmp_path / "shop"
    storage = Storage(directory / "registry", SystemClock())
    access = Access([ADMIN, READER], service="test")
    endpoint = RegistryEndpoint(storage, access, SystemClock())
    server = ApiServer(controllers=False)
    front = HttpsFront(server, pki.server_context())
    found = Shop(host="", ca=pki.ca, tls=tls, directory=directory)

    async def handle(request: Request) -> Response:
        found.asked.append((request.method, request.path))
        other = await found.instead(request) if found.instead else None
        return other or await endpoint.handle(request)

    server.mount(MOUNT, handle, streamed=True)
    await server.start()
    await front.start()
    found.host = f"127.0.0.1:{front.port}"
    yield found
    # Those who asked have hung up; the server hears it a moment later.
    runner = front._runner
    assert runner is not None
    assert runner.server is not None
    await until(lambda: not runner.server.connections)
    await front.aclose()
    await server.aclose()
    storage.close()


@asynccontextmanager
async def serving(
    handle: Callable[[web.Request], Awaitable[web.StreamResponse]],
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> AsyncIterator[int]:
    """A server that answers so; its port."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await handle(request)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, host, 0, ssl_context=tls)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does to files, of which nobody tells."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Done:
    """How a process ended."""

    code: int
    message: str
    """Its termination message."""
    out: str


class Mover:
    """`python -m kaito.engine.moving` as a process."""

    def __init__(self, directory: Path) -> None:
        self._log = directory / "termination-log"
        self._log.touch()

    async def start(self, *arguments: str | Path, most: int = 0) -> asyncio.subprocess.Process:
        """`most` is how many bytes a file may have."""
        self._log.write_text("")
        words = [sys.executable, "-m", "kaito.engine.moving", *map(str, arguments)]
        limit = ["prlimit", f"--fsize={most}"] if most else []
        return await asyncio.create_subprocess_exec(
            *limit,
            *words,
            env={**os.environ, VARIABLE: str(self._log)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def end(self, process: asyncio.subprocess.Process) -> Done:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Done(process.returncode, self._log.read_text(), (out + err).decode())

    async def __call__(self, *arguments: str | Path, most: int = 0) -> Done:
        return await self.end(await self.start(*arguments, most=most))

    async def kill(self, process: asyncio.subprocess.Process, number: int = signal.SIGKILL) -> Done:
        process.send_signal(number)
        return await self.end(process)


@pytest.fixture
def mover(tmp_path: Path) -> Mover:
    return Mover(tmp_path)


def write_adapter(directory: Path, weights: bytes = bytes(range(256)) * 64) -> Path:
    """What a training leaves behind."""
    directory.mkdir(parents=True, exist_ok=True)
    header = json.dumps(
        {"w": {"dtype": "U8", "shape": [len(weights)], "data_offsets": [0, len(weights)]}}
    ).encode()
    (directory / "adapter_model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header + weights
    )
    config = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "microsoft/phi-4"}
    (directory / "adapter_config.json").write_text(json.dumps(config))
    (directory / "README.md").write_text("# An adapter\n")
    return directory


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "results")


def files(directory: Path) -> dict[str, bytes]:
    """Everything below a directory."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
