"""Adapters go to a real registry: whole, named last, or not at all and with a reason."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.push import Push
from kaito.engine.moving.trust import trust
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.watches import Cut
from kaito.local.pki import Pki
from test.integration.engine.moving.conftest import (
    ADMIN,
    HASTY,
    READER,
    Mover,
    Shop,
    files,
    part,
    serving,
    until,
    write_adapter,
)

MANY = 20_000  # files, which are not removed in a moment
WRONG = replace(ADMIN, password="wrong")
CONFIG, WEIGHTS, CARD = "adapter_config.json", "adapter_model.safetensors", "README.md"


async def pushed(shop: Shop, adapter: Path, **more: Any) -> str:
    found: dict[str, Any] = {
        "source": adapter,
        "reference": shop.name(),
        **({} if "auth" in more else {"auth": [shop.login()]}),
        "patience": HASTY,
        "tls": shop.tls,
        **more,
    }
    return await asyncio.to_thread(Push(**found).run)


async def refused(shop: Shop, adapter: Path, **more: Any) -> Ended:
    """Whatever happens, the tag leads nowhere, and the results are as they were."""
    before = files(adapter)
    with pytest.raises(Ended) as caught:
        await pushed(shop, adapter, **more)
    assert files(adapter) == before
    assert ADMIN.password not in caught.value.sentence
    status, _ = await manifest(shop)
    assert status in (401, 404)
    return caught.value


async def manifest(shop: Shop) -> tuple[int, bytes]:
    url = f"https://{shop.host}/v2/team/adapter/manifests/v1"
    async with shop.asking() as session, session.get(url) as answer:
        return answer.status, await answer.read()


def failing(
    answer: Callable[[], Response], method: str, path: str, times: int = 1
) -> Callable[[Request], Awaitable[Response | None]]:
    """The first such requests are answered so, and not heard."""
    left = [None] * times

    async def instead(request: Request) -> Response | None:
        if request.method == method and path in request.path and left:
            left.pop()
            return answer()
        return None

    return instead


def refusal(status: int, code: str) -> Callable[[], Response]:
    body = json.dumps({"errors": [{"code": code, "message": "hunter2"}]}).encode()
    return lambda: Response(status, {"content-type": "application/json"}, body)


def cut() -> Response:
    raise Cut


async def test_parts_come_first_and_their_name_last(shop: Shop, adapter: Path) -> None:
    notes = {"sh.kaito.model.name": "phi-4", "org.opencontainers.image.title": "a=b"}
    said = await pushed(shop, adapter, annotations=notes)
    asked = [(method, path) for method, path in shop.asked if "/token" not in path]
    assert asked[-1] == ("PUT", "/v2/team/adapter/manifests/v1")
    _, text = await manifest(shop)
    wire = json.loads(text)
    assert said == f"{shop.name()}@{part(text)['digest']}"
    assert wire["annotations"] == notes
    assert [each["mediaType"] for each in (wire["config"], *wire["layers"])] == [
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.oci.image.layer.v1.tar+gzip",
    ]


async def test_the_same_result_is_the_same_image(shop: Shop, adapter: Path) -> None:
    first = await pushed(shop, adapter)
    shop.asked.clear()
    again = write_adapter(adapter.parent / "again")
    assert await pushed(shop, again) == first
    assert [path for method, path in shop.asked if method == "POST" and "uploads" in path] == []


async def test_checkpoints_and_optimisers_stay_where_they_are(shop: Shop, adapter: Path) -> None:
    plain = await pushed(shop, adapter)
    (adapter / ".checkpoints" / "step-7").mkdir(parents=True)
    (adapter / ".checkpoints" / "step-7" / "optimizer.pt").write_bytes(b"x" * 1000)
    (adapter / "optimizer.pt").write_bytes(b"x" * 1000)
    assert await pushed(shop, adapter) == plain


@pytest.mark.parametrize("account", [WRONG, READER, None])
async def test_who_may_not_push_is_refused_at_once(shop: Shop, adapter: Path, account: Any) -> None:
    ended = await refused(shop, adapter, auth=[shop.login(account)])
    assert ended.ending == Ending.PUSH_REFUSED
    assert "401" in ended.sentence
    assert len(shop.asked) < 15  # nothing was tried again


async def test_accounts_are_tried_in_their_order(shop: Shop, adapter: Path) -> None:
    auth = [shop.login(WRONG, "0"), shop.login(READER, "1"), shop.login(ADMIN, "2")]
    assert await pushed(shop, adapter, auth=auth)


@pytest.mark.parametrize(
    "reference", ["{host}/team/Adapter:v1", "{host}/a:v1:v2", "", "{host}/a@sha256:" + "0" * 64]
)
async def test_a_name_that_nothing_can_have_is_refused(
    shop: Shop, adapter: Path, reference: str
) -> None:
    ended = await refused(shop, adapter, reference=reference.format(host=shop.host))
    assert ended.ending == Ending.PUSH_REFUSED
    assert [path for method, path in shop.asked if method != "GET"] == []


@pytest.mark.parametrize(
    ("status", "code"), [(404, "NAME_UNKNOWN"), (403, "DENIED"), (400, "NAME_INVALID")]
)
async def test_a_repository_that_the_registry_does_not_take_is_refused(
    shop: Shop, adapter: Path, status: int, code: str
) -> None:
    shop.instead = failing(refusal(status, code), "POST", "/uploads/", 99)
    ended = await refused(shop, adapter)
    assert ended.ending == Ending.PUSH_REFUSED
    assert f"{status} ({code})" in ended.sentence


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/token"),
        ("HEAD", "/blobs/"),
        ("POST", "/uploads/"),
        ("PUT", "/uploads/"),
        ("PUT", "/manifests/"),
    ],
)
@pytest.mark.parametrize("answer", [lambda: Response(503), lambda: Response(500), cut])
async def test_what_passes_is_tried_again(
    shop: Shop, adapter: Path, method: str, path: str, answer: Callable[[], Response]
) -> None:
    shop.instead = failing(answer, method, path, 2)
    assert await pushed(shop, adapter)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/uploads/", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("/uploads/", 400, "DIGEST_INVALID"),
        ("/uploads/", 416, "RANGE_INVALID"),
        ("/manifests/", 400, "MANIFEST_BLOB_UNKNOWN"),
    ],
)
async def test_what_the_registry_has_lost_is_sent_again(
    shop: Shop, adapter: Path, path: str, status: int, code: str
) -> None:
    shop.instead = failing(refusal(status, code), "PUT", path)
    assert await pushed(shop, adapter)


async def test_an_upload_that_is_torn_begins_anew(shop: Shop, adapter: Path) -> None:
    write_adapter(adapter, bytes(range(256)) * 8192)
    torn = []

    async def instead(request: Request) -> Response | None:
        if request.method == "PUT" and "/uploads/" in request.path and not torn:
            async for chunk in request.chunks():
                torn.append(len(chunk))
                raise Cut
        return None

    shop.instead = instead
    assert await pushed(shop, adapter)
    assert torn
    assert (await manifest(shop))[0] == 200


@pytest.mark.parametrize("path", ["/token", "/uploads/", "/manifests/"])
async def test_a_registry_that_keeps_failing_is_not_available(
    shop: Shop, adapter: Path, path: str
) -> None:
    method = "GET" if path == "/token" else "PUT"
    shop.instead = failing(lambda: Response(503), method, path, 99)
    assert (await refused(shop, adapter)).ending == Ending.REGISTRY_UNAVAILABLE
    if path != "/manifests/":
        assert [path for method, path in shop.asked if "/manifests/" in path] == []


async def test_a_registry_that_is_not_there_is_not_available(shop: Shop, adapter: Path) -> None:
    ended = await refused(shop, adapter, reference="127.0.0.1:1/a:v1")
    assert ended.ending == Ending.REGISTRY_UNAVAILABLE


async def test_a_registry_that_is_not_trusted_gets_nothing(shop: Shop, adapter: Path) -> None:
    ended = await refused(shop, adapter, tls=trust())
    assert ended.ending == Ending.PUSH_REFUSED
    assert "ca.crt" in ended.sentence


async def test_an_upload_elsewhere_goes_by_https_alone(shop: Shop, adapter: Path) -> None:
    shop.instead = failing(
        lambda: Response(202, {"location": "http://127.0.0.1:1/upload"}), "POST", "/uploads/", 99
    )
    assert (await refused(shop, adapter)).ending == Ending.PUSH_REFUSED


async def test_whoever_takes_an_upload_elsewhere_is_not_told_the_account(
    shop: Shop, adapter: Path, pki: Pki
) -> None:
    heard: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        await request.read()
        heard.append(request.headers.get("Authorization", ""))
        if request.path == "/token":
            return web.json_response({"token": "t"})
        realm = f'Bearer realm="https://{request.host}/token",service="x"'
        return web.Response(status=401, headers={"WWW-Authenticate": realm})

    async with serving(elsewhere, pki.server_context()) as port:
        shop.instead = failing(
            lambda: Response(202, {"location": f"https://127.0.0.1:{port}/u"}), "POST", "/uploads/"
        )
        assert (await refused(shop, adapter)).ending == Ending.PUSH_REFUSED
    assert heard == [""]


async def test_half_a_result_is_not_sent(shop: Shop, adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-1])
    assert (await refused(shop, adapter)).ending == Ending.NOT_ENOUGH_RESULT
    assert [path for method, path in shop.asked if method != "GET"] == []


async def test_a_push_that_was_killed_can_be_done_again(
    shop: Shop, adapter: Path, mover: Mover
) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def instead(request: Request) -> Response | None:
        if request.method == "PUT" and "/manifests/" in request.path and not begun.is_set():
            begun.set()
            await gone.wait()
            raise Cut
        return None

    shop.instead = instead
    words = ("push", f"--from={adapter}", f"--auth={shop.login()}", shop.name())
    process = await mover.start(*words)
    async with asyncio.timeout(30):
        await begun.wait()
    await mover.kill(process)
    gone.set()
    assert (await manifest(shop))[0] == 404
    done = await mover(*words)
    assert done.code == 0, done.out
    assert sorted(files(adapter)) == [CARD, CONFIG, WEIGHTS]


async def test_who_is_told_to_stop_once_it_is_stored_has_done_it(
    adapter: Path, tmp_path: Path, mover: Mover
) -> None:
    # It would be trained once more for nothing.
    checkpoints = tmp_path / "volume" / ".kaito" / "uid"
    checkpoints.mkdir(parents=True)
    for number in range(MANY):
        (checkpoints / str(number)).touch()
    words = (f"--from={adapter}", f"--to={tmp_path / 'volume'}", f"--checkpoints={checkpoints}")
    process = await mover.start("store", *words)
    some = [checkpoints / str(number) for number in range(0, MANY, 100)]
    await until(lambda: not all(each.exists() for each in some))
    done = await mover.kill(process, signal.SIGTERM)
    assert (done.code, done.message) == (0, str(tmp_path / "volume"))
    assert files(tmp_path / "volume") == files(adapter)


async def test_a_full_disk_has_a_code(shop: Shop, adapter: Path, mover: Mover) -> None:
    write_adapter(adapter, bytes(range(256)) * 8192)
    pack = ("push", f"--from={adapter}", f"--auth={shop.login()}", shop.name())
    assert (await mover(*pack, most=1000)).code == Ending.DISK_FULL
    volume = adapter.parent / "volume"
    kept = write_adapter(volume, b"old")
    before = files(kept)
    done = await mover("store", f"--from={adapter}", f"--to={volume}", most=1000)
    assert done.code == Ending.DISK_FULL
    assert {name: each for name, each in files(kept).items() if "/" not in name} == before


@pytest.mark.parametrize("where", ["", "..", "."])
async def test_checkpoints_are_no_directory_of_results(
    shop: Shop, adapter: Path, mover: Mover, where: str
) -> None:
    done = await mover(
        *("push", f"--from={adapter}", f"--checkpoints={adapter / where}", shop.name())
    )
    assert done.code == Ending.CONFIG_INVALID
    assert (adapter / CONFIG).exists()
