"""Names that lead inside, now or later: what is connected to is what was judged."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.download import Manner
from kaito.engine.moving.fetch import Fetch
from kaito.engine.moving.reach import Reach, networks
from kaito.engine.moving.trust import trust
from kaito.local.pki import Pki
from test.integration.engine.moving.conftest import HASTY, serving

# What stands for the public network here; the rest of the host's own addresses are private.
PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"
REACH = Reach(networks([f"{PUBLIC}/32"]))


class Names(AbstractResolver):
    """Answers with the next addresses of a name, and then with the last ones."""

    def __init__(self, known: Mapping[str, list[list[str]]]) -> None:
        self.known = {name: list(answers) for name, answers in known.items()}
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answers = self.known.get(host)
        if not answers:
            raise OSError(socket.EAI_NONAME, "no such name")
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=each,
                port=port,
                family=socket.AF_INET6 if ":" in each else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for each in addresses
        ]

    async def close(self) -> None:
        pass


async def no_sleep(_: float) -> None:
    """How long the pauses are is test_patience.py's."""


async def fetched(target: Path, url: str, names: Names, **more: object) -> Path:
    manner = Manner(patience=HASTY, sleep=no_sleep)
    order = Fetch(
        urls=[url],
        to=target,
        reach=REACH,
        resolver=names,
        manner=manner,
        **more,  # type: ignore[arg-type]
    )
    (record,) = await order.run()
    return target / record.name


async def refused(target: Path, url: str, names: Names, **more: object) -> Ended:
    with pytest.raises(Ended) as caught:
        await fetched(target, url, names, **more)
    assert not [path for path in target.iterdir() if path.name != ".kaito"]
    return caught.value


async def answer(_: web.Request) -> web.Response:
    return web.Response(body=b"rows")


async def test_a_name_with_a_public_address_is_fetched(tmp_path: Path) -> None:
    async with serving(answer) as port:
        found = await fetched(tmp_path, f"http://h.io:{port}/a", Names({"h.io": [[PUBLIC]]}))
    assert found.read_bytes() == b"rows"


async def test_of_several_addresses_the_public_ones_are_used(tmp_path: Path) -> None:
    names = Names({"h.io": [["10.0.0.1", PUBLIC, "::1"]]})
    async with serving(answer) as port:
        await fetched(tmp_path, f"http://h.io:{port}/a", names)


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", PRIVATE, "::1", "::ffff:10.0.0.1", "169.254.169.254", "64:ff9b::a00:1"],
)
async def test_a_name_that_leads_inside_is_refused(tmp_path: Path, address: str) -> None:
    ended = await refused(tmp_path, "http://h.io/a", Names({"h.io": [[address]]}))
    assert ended.ending == Ending.ADDRESS_FORBIDDEN
    assert address in ended.sentence


async def test_a_name_with_private_addresses_alone_is_refused(tmp_path: Path) -> None:
    names = Names({"h.io": [["10.0.0.1", PRIVATE, "::1"]]})
    ended = await refused(tmp_path, "http://h.io/a", names)
    assert ended.ending == Ending.ADDRESS_FORBIDDEN
    assert "h.io" in ended.sentence


async def test_a_name_that_changes_sides_is_refused_on_the_other_one(tmp_path: Path) -> None:
    asked = []

    async def inside(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=b"secret")

    async def again(_: web.Request) -> web.Response:
        return web.Response(status=503)

    names = Names({"h.io": [[PUBLIC], [PRIVATE]]})
    async with serving(again) as port, serving(inside, host=PRIVATE):
        ended = await refused(tmp_path, f"http://h.io:{port}/a", names)
    assert ended.ending == Ending.ADDRESS_FORBIDDEN
    assert names.asked == ["h.io", "h.io"]
    assert asked == []


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/",
        "http://[::ffff:a00:1]/",
        "http://inside.io/",
        "//10.0.0.1/",
        "http://127.0.0.2/",
        "http://127.1/",
        "http://2130706434/",
        "file:///etc/passwd",
        "gopher://h.io/",
        "http://[/",
        "http://h.io:99999/",
        "",
    ],
)
async def test_a_redirect_leads_nowhere_else(tmp_path: Path, location: str) -> None:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    names = Names({"h.io": [[PUBLIC]], "inside.io": [[PRIVATE]]})
    async with serving(redirect) as port:
        ended = await refused(tmp_path, f"http://h.io:{port}/a", names)
    assert ended.ending == Ending.ADDRESS_FORBIDDEN


async def test_redirects_come_to_an_end(tmp_path: Path) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{request.path}x"})

    async with serving(redirect) as port:
        ended = await refused(tmp_path, f"http://h.io:{port}/a", Names({"h.io": [[PUBLIC]]}))
    assert ended.ending == Ending.DATA_UNAVAILABLE
    assert "10 times" in ended.sentence


async def test_a_file_behind_redirects_keeps_the_name_of_its_url(tmp_path: Path) -> None:
    async def redirect(request: web.Request) -> web.Response:
        if request.path == "/train.csv":
            return web.Response(status=302, headers={"Location": "/cas/0123?sig=a%2Fb"})
        assert request.raw_path == "/cas/0123?sig=a%2Fb"
        return web.Response(body=b"rows")

    async with serving(redirect) as port:
        url = f"http://h.io:{port}/train.csv"
        found = await fetched(tmp_path, url, Names({"h.io": [[PUBLIC]]}))
    assert found.name == "train.csv"


async def test_a_password_goes_to_the_server_it_is_for_and_no_other(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    async def other(request: web.Request) -> web.Response:
        seen["other"] = request.headers.get("Authorization", "")
        return web.Response(body=b"rows")

    names = Names({"h.io": [[PUBLIC]], "other.io": [[PUBLIC]]})
    async with serving(other) as elsewhere:

        async def first(request: web.Request) -> web.Response:
            seen[request.path] = request.headers.get("Authorization", "")
            there = "/b" if request.path == "/a" else f"http://me:too@other.io:{elsewhere}/c"
            headers = {"Location": there, "Set-Cookie": "session=secret"}
            return web.Response(status=302, headers=headers)

        async with serving(first) as port:
            await fetched(tmp_path, f"http://me:s%40cret@h.io:{port}/a", names)
    basic = "Basic bWU6c0BjcmV0"  # me:s@cret
    assert seen == {"/a": basic, "/b": basic, "other": ""}


async def test_no_proxy_of_the_environment_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with serving(answer) as port:
        await fetched(tmp_path, f"http://h.io:{port}/a", Names({"h.io": [[PUBLIC]]}))


async def test_a_name_that_is_none_is_a_source_that_is_not_there(tmp_path: Path) -> None:
    ended = await refused(tmp_path, "http://nowhere.io/a", Names({}))
    assert ended.ending == Ending.SOURCE_UNAVAILABLE


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".io", "xn--a"])
async def test_a_name_that_nobody_can_be_asked_for_is_no_url(tmp_path: Path, host: str) -> None:
    with pytest.raises(Ended) as caught:
        await Fetch(urls=[f"https://{host}/a"], to=tmp_path).run()
    assert caught.value.ending == Ending.ADDRESS_FORBIDDEN


async def test_a_certificate_must_be_of_an_authority_that_is_known(
    tmp_path: Path, pki: Pki
) -> None:
    names = Names({"localhost": [[PUBLIC]]})
    async with serving(answer, pki.server_context()) as port:
        url = f"https://localhost:{port}/a"
        ended = await refused(tmp_path, url, names)
        await fetched(tmp_path, url, names, tls=trust([pki.ca]))
    assert ended.ending == Ending.DATA_UNAVAILABLE
    assert "certificate" in ended.sentence


async def test_what_was_encrypted_does_not_go_on_in_the_clear(tmp_path: Path, pki: Pki) -> None:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://localhost/a"})

    names = Names({"localhost": [[PUBLIC]]})
    async with serving(redirect, pki.server_context()) as port:
        url = f"https://localhost:{port}/a"
        ended = await refused(tmp_path, url, names, tls=trust([pki.ca]))
    assert ended.ending == Ending.ADDRESS_FORBIDDEN
