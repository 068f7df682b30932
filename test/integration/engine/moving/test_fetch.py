"""Files from real servers: whole, resumed, verified, or an end with a reason."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from aiohttp import web

from kaito.engine.endings import VARIABLE, Ended, Ending
from kaito.engine.moving.download import Manner
from kaito.engine.moving.fetch import Fetch
from kaito.engine.moving.main import main
from kaito.engine.moving.reach import Reach, networks
from kaito.engine.moving.record import Record
from test.integration.engine.moving.conftest import HASTY, Mover, files, serving, until

Answers: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

DATA = bytes(range(256)) * 8192  # 2 MiB
SHA256 = hashlib.sha256(DATA).hexdigest()
HERE = "--allow=127.0.0.0/8"
GOOD = base64.b64encode(bytes.fromhex(SHA256)).decode()


@dataclass
class Files:
    """A server of one file that can be asked for parts, and breaks off after some bytes."""

    content: bytes = DATA
    etag: str = '"one"'
    headers: dict[str, str] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)
    """After how many bytes the next answers break off."""
    statuses: list[int] = field(default_factory=list)
    """What the next answers are instead."""
    changes: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    """What the ETag and the file are from this request on."""
    asked: list[str] = field(default_factory=list)
    """The Range of each request."""
    stall: bool = False
    chunked: bool = False

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.etag, self.content = self.changes.get(len(self.asked), (self.etag, self.content))
        self.asked.append(request.headers.get("Range", ""))
        if self.statuses:
            return web.Response(status=self.statuses.pop(0), headers={"Retry-After": "0"})
        start = 0
        if self.etag and request.headers.get("If-Range") == self.etag:
            start = int(self.asked[-1].removeprefix("bytes=").removesuffix("-"))
        response = web.StreamResponse(status=206 if start else 200, headers=self.headers)
        if start:
            end = len(self.content)
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        if self.etag:
            response.headers["ETag"] = self.etag
        if not self.chunked:
            response.content_length = len(self.content) - start
        await response.prepare(request)
        most = self.breaks.pop(0) if self.breaks else len(self.content)
        await response.write(self.content[start : start + most])
        if self.stall:
            await asyncio.Event().wait()
        if start + most < len(self.content):
            assert request.transport is not None
            request.transport.close()
        return response


async def no_sleep(_: float) -> None:
    """How long the pauses are is test_patience.py's."""


def order(target: Path, *urls: str, **more: Any) -> Fetch:
    reach = Reach(networks(["127.0.0.0/8"]))
    manner = Manner(patience=HASTY, sleep=no_sleep)
    return Fetch(**{"urls": urls, "to": target, "reach": reach, "manner": manner, **more})


async def fetched(
    target: Path, server: Answers, *, path: str = "train.jsonl", **more: Any
) -> list[Record]:
    """What comes of one URL of a server."""
    async with serving(server) as port:
        return await order(target, f"http://127.0.0.1:{port}/{path}", **more).run()


async def refused(target: Path, server: Answers, **more: Any) -> Ended:
    with pytest.raises(Ended) as caught:
        await fetched(target, server, **more)
    return caught.value


def words(target: Path, port: int) -> tuple[str, ...]:
    return ("fetch", f"--to={target}", HERE, f"http://127.0.0.1:{port}/train.jsonl")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data"


# By a process


async def test_files_arrive_whole_with_their_digests(mover: Mover, target: Path) -> None:
    async with serving(Files()) as port:
        first = words(target, port)
        done = await mover(*first, f"{first[-1]}?two")
    assert done.code == 0, done.out
    assert {name: each for name, each in files(target).items() if "/" not in name} == {
        "train.jsonl": DATA,
        "2-train.jsonl": DATA,
    }
    assert files(target)[".kaito/SHA256SUMS"].decode().splitlines() == [
        f"{SHA256}  train.jsonl",
        f"{SHA256}  2-train.jsonl",
    ]


async def test_what_was_killed_is_gone_on_with(mover: Mover, target: Path) -> None:
    server = Files(breaks=[1024 * 1024], stall=True)
    async with serving(server) as port:
        process = await mover.start(*words(target, port))
        await until(lambda: any(each.stat().st_size for each in target.glob(".kaito/*.part")))
        await mover.kill(process)
        assert not (target / "train.jsonl").exists()
        server.stall = False
        done = await mover(*words(target, port))
    assert done.code == 0, done.out
    assert (target / "train.jsonl").read_bytes() == DATA
    first, second = server.asked
    assert first == ""
    assert int(second.removeprefix("bytes=").removesuffix("-")) > 0


async def test_what_is_told_to_stop_stops(mover: Mover, target: Path) -> None:
    async with serving(Files(breaks=[1024 * 1024], stall=True)) as port:
        process = await mover.start(*words(target, port))
        await until(lambda: any(target.glob(".kaito/*.part")))
        done = await mover.kill(process, signal.SIGTERM)
    assert done.code == 143
    assert "told to stop" in done.message


async def test_a_disk_that_fills_up_has_a_code(mover: Mover, target: Path) -> None:
    async with serving(Files()) as port:
        done = await mover(*words(target, port), most=1_000_000)
    assert done.code == Ending.DISK_FULL
    assert not (target / "train.jsonl").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["http://127.0.0.1:1/a"], Ending.ADDRESS_FORBIDDEN),
        (["http://localhost:1/a"], Ending.ADDRESS_FORBIDDEN),
        (["http://[::1]:1/a"], Ending.ADDRESS_FORBIDDEN),
        (["http://[::ffff:127.0.0.1]:1/a"], Ending.ADDRESS_FORBIDDEN),
        (["http://2130706433:1/a"], Ending.ADDRESS_FORBIDDEN),
        (["http://0x7f.1:1/a"], Ending.ADDRESS_FORBIDDEN),
        (["http://169.254.169.254/latest"], Ending.ADDRESS_FORBIDDEN),
        (["--allow=0.0.0.0/0", "http://169.254.169.254/latest"], Ending.ADDRESS_FORBIDDEN),
        (["file:///etc/passwd"], Ending.ADDRESS_FORBIDDEN),
        (["http:///a"], Ending.ADDRESS_FORBIDDEN),
        (["nothing"], Ending.ADDRESS_FORBIDDEN),
        (["--allow=nothing", "http://h.io/a"], Ending.CONFIG_INVALID),
        (["https://h.io/a#sha256=12"], Ending.CONFIG_INVALID),
        ([], Ending.CONFIG_INVALID),
    ],
)
def test_what_cannot_be_asked_for_ends_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: Ending
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "log"))
    assert main(["fetch", f"--to={tmp_path / 'data'}", *arguments]) == code
    assert (tmp_path / "log").read_text()


# Going on


async def test_a_line_that_breaks_is_taken_up_again(target: Path) -> None:
    server = Files(breaks=[1024 * 1024 + 7])
    await fetched(target, server)
    assert (target / "train.jsonl").read_bytes() == DATA
    assert len(server.asked) == 2
    assert server.asked[1]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
async def test_what_may_have_changed_is_fetched_anew(target: Path, etag: str) -> None:
    server = Files(etag=etag, breaks=[1024 * 1024])
    await fetched(target, server)
    assert (target / "train.jsonl").read_bytes() == DATA
    assert server.asked == ["", ""]


async def test_what_has_changed_meanwhile_is_not_mixed(target: Path) -> None:
    server = Files(breaks=[1024 * 1024], changes={1: ('"two"', b"other" * 2000)})
    await fetched(target, server)
    assert (target / "train.jsonl").read_bytes() == b"other" * 2000


async def test_what_is_there_is_not_fetched_again(target: Path) -> None:
    server = Files()
    async with serving(server) as port:
        url = f"http://127.0.0.1:{port}/train.jsonl"
        first = await order(target, url).run()
        assert await order(target, url).run() == first
    assert len(server.asked) == 1


async def test_a_server_that_is_busy_is_asked_again(target: Path) -> None:
    server = Files(statuses=[503, 429])
    await fetched(target, server)
    assert len(server.asked) == 3


async def test_a_server_that_stays_busy_is_one_that_is_down(target: Path) -> None:
    ended = await refused(target, Files(statuses=[503] * 9))
    assert ended.ending == Ending.SOURCE_UNAVAILABLE
    assert "503" in ended.sentence


async def test_a_trickle_is_given_up(target: Path) -> None:
    minutes = itertools.count(step=61.0)
    manner = Manner(patience=HASTY, sleep=no_sleep, clock=lambda: next(minutes))
    ended = await refused(target, Files(breaks=[100] * 9), manner=manner)
    assert ended.ending == Ending.SOURCE_UNAVAILABLE
    assert "a second" in ended.sentence


async def test_all_together_has_a_time(target: Path) -> None:
    ended = await refused(target, Files(breaks=[10], stall=True), seconds=0.5)
    assert ended.ending == Ending.SOURCE_UNAVAILABLE
    assert "hours" in ended.sentence


async def test_another_part_than_was_asked_for_is_not_taken(target: Path) -> None:
    async def lie(request: web.Request) -> web.StreamResponse:
        if "Range" in request.headers:
            headers = {"ETag": '"x"', "Content-Range": "bytes 7-9/10"}
            return web.Response(status=206, headers=headers, body=b"abc")
        response = web.StreamResponse(headers={"ETag": '"x"', "Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"12345")
        assert request.transport is not None
        request.transport.close()
        return response

    assert (await refused(target, lie)).ending == Ending.SOURCE_UNAVAILABLE
    assert not (target / "train.jsonl").exists()


# Saying no


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_no_is_a_no(target: Path, status: int) -> None:
    server = Files(statuses=[status])
    ended = await refused(target, server, path="secret.csv?sig=hunter2")
    assert ended.ending == Ending.DATA_UNAVAILABLE
    assert str(status) in ended.sentence
    assert "hunter2" not in ended.sentence
    assert len(server.asked) == 1


async def test_what_is_sent_compressed_is_not_taken_for_the_file(target: Path) -> None:
    ended = await refused(target, Files(headers={"Content-Encoding": "gzip"}))
    assert ended.ending == Ending.DATA_UNAVAILABLE


async def test_a_digest_that_the_url_asks_for_is_held_against_the_file(target: Path) -> None:
    server = Files()
    await fetched(target, server, path=f"a.csv#sha256={SHA256}")
    ended = await refused(target, server, path=f"b.csv#sha256={'0' * 64}")
    assert ended.ending == Ending.ARTIFACT_INVALID
    assert not (target / "b.csv").exists()
    assert not list(target.glob(".kaito/*.part"))
    assert len(server.asked) == 3  # twice, as it may have been damaged on the way


async def test_a_digest_that_the_server_names_is_kept(target: Path) -> None:
    await fetched(target, Files(headers={"Repr-Digest": f"sha-256=:{GOOD}:"}))
    assert (target / "train.jsonl").read_bytes() == DATA


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Repr-Digest", f"sha-256=:{'A' * 43}=:"),
        ("Content-MD5", base64.b64encode(b"0" * 16).decode()),
        ("X-Linked-Etag", "0" * 64),
    ],
)
async def test_a_digest_that_the_server_names_is_held_against_the_file(
    target: Path, header: str, value: str
) -> None:
    ended = await refused(target, Files(headers={header: value}))
    assert ended.ending == Ending.ARTIFACT_INVALID


@pytest.mark.parametrize("chunked", [False, True])
async def test_too_much_is_refused_before_or_while_it_comes(target: Path, chunked: bool) -> None:
    ended = await refused(target, Files(chunked=chunked), limit=1_000_000)
    assert ended.ending == Ending.DATASET_TOO_LARGE
    assert "--data-limit" in ended.sentence
    assert not (target / "train.jsonl").exists()
    assert all(path.stat().st_size <= 1_000_000 for path in target.glob(".kaito/*.part"))


async def test_the_limit_is_one_for_all_files(target: Path) -> None:
    async with serving(Files()) as port:
        url = f"http://127.0.0.1:{port}/a"
        with pytest.raises(Ended) as caught:
            await order(target, url, f"{url}?again", limit=3_000_000).run()
    assert caught.value.ending == Ending.DATASET_TOO_LARGE


async def test_a_disk_with_too_little_room_is_not_begun_with(target: Path) -> None:
    ended = await refused(target, Files(), free=lambda _: 1_000_000)
    assert ended.ending == Ending.DISK_FULL
    assert not list(target.glob(".kaito/*.part"))
