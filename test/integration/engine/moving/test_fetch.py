"""Files from real servers, fetched by a process: whole, resumed, verified, or with a reason."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from kaito.engine.endings import Ending
from test.integration.engine.moving.conftest import Mover, files, serving, until

DATA = bytes(range(256)) * 8192  # 2 MiB
SHA256 = hashlib.sha256(DATA).hexdigest()
HERE = "--allow=127.0.0.0/8"


@dataclass
class Files:
    """A server of one file that can be asked for parts, and breaks off after some bytes."""

    content: bytes = DATA
    etag: str = '"one"'
    headers: dict[str, str] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    asked: list[str] = field(default_factory=list)
    """The Range of each request."""
    stall: bool = False

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.headers.get("Range", ""))
        start = 0
        if self.etag and request.headers.get("If-Range") == self.etag:
            start = int(self.asked[-1].removeprefix("bytes=").removesuffix("-"))
        response = web.StreamResponse(status=206 if start else 200, headers=self.headers)
        if start:
            end = len(self.content)
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        if self.etag:
            response.headers["ETag"] = self.etag
        response.content_length = len(self.content) - start
        await response.prepare(request)
        most = self.breaks.pop(0) if self.breaks else len(self.content)
        await response.write(self.content[start : start + most])
        if self.stall:
            await asyncio.Event().wait()
        if start + most < len(self.content):
            assert request.transport is not None
            request.transport.abort()
        return response


async def test_files_arrive_whole_with_their_digests(mover: Mover, tmp_path: Path) -> None:
    async with serving(Files()) as port:
        url = f"http://127.0.0.1:{port}/some/train.jsonl"
        done = await mover("fetch", f"--to={tmp_path / 'data'}", HERE, url, f"{url}?two")
    assert done.code == 0, done.out
    assert files(tmp_path / "data" / ".kaito")["SHA256SUMS"].decode().splitlines() == [
        f"{SHA256}  train.jsonl",
        f"{SHA256}  2-train.jsonl",
    ]
    assert (tmp_path / "data" / "train.jsonl").read_bytes() == DATA
    assert (tmp_path / "data" / "2-train.jsonl").read_bytes() == DATA


async def test_what_was_killed_is_gone_on_with(mover: Mover, tmp_path: Path) -> None:
    server = Files(breaks=[1024 * 1024], stall=True)
    async with serving(server) as port:
        words = ("fetch", f"--to={tmp_path / 'data'}", HERE, f"http://127.0.0.1:{port}/a.csv")
        process = await mover.start(*words)
        hidden = tmp_path / "data" / ".kaito"
        await until(lambda: any(path.stat().st_size for path in hidden.glob("*.part")))
        await mover.kill(process)
        assert not (tmp_path / "data" / "a.csv").exists()
        server.stall = False
        done = await mover(*words)
    assert done.code == 0, done.out
    assert (tmp_path / "data" / "a.csv").read_bytes() == DATA
    first, second = server.asked
    assert first == ""
    assert int(second.removeprefix("bytes=").removesuffix("-")) > 0
