"""Images and artifacts of a real registry: verified, whole, or an end with a reason."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from kaito.engine.endings import Ended, Ending
from kaito.engine.moving.manifest import DOCKER_INDEX, DOCKER_MANIFEST, LAYER, OCI_INDEX
from kaito.engine.moving.pull import Pull
from kaito.engine.moving.trust import trust
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.watches import Cut
from kaito.local.pki import Pki
from test.integration.engine.moving.conftest import (
    ADMIN,
    HASTY,
    Mover,
    Shop,
    files,
    part,
    serving,
    until,
)
from test.unit.engine.moving.layers import Made, tar

TITLE, UNPACK = "org.opencontainers.image.title", "io.deis.oras.content.unpack"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
LARGE = bytes(range(256)) * 12 * 1024  # 3 MiB
WRONG = replace(ADMIN, password="wrong")


def image(*members: Made) -> tuple[bytes, dict[str, Any]]:
    """A layer, with its descriptor."""
    return tar(members), {"mediaType": LAYER}


ADAPTER = image(Made("data/adapter_config.json", content=b"{}"))
CONFIG = {"adapter_config.json": b"{}"}


def order(shop: Shop, target: Path, **more: Any) -> Pull:
    found: dict[str, Any] = {
        "reference": shop.name(),
        "to": target,
        **({} if "auth" in more else {"auth": [shop.login()]}),
        "patience": HASTY,
        "tls": shop.tls,
        **more,
    }
    return Pull(**found)


async def pulled(shop: Shop, target: Path, **more: Any) -> dict[str, bytes]:
    """The files that are there then."""
    target.mkdir(exist_ok=True)
    await asyncio.to_thread(order(shop, target, **more).run)
    return files(target)


async def refused(shop: Shop, target: Path, **more: Any) -> Ended:
    with pytest.raises(Ended) as caught:
        await pulled(shop, target, **more)
    assert [path.name for path in target.iterdir() if path.name != ".kaito"] == []
    assert ADMIN.password not in caught.value.sentence
    return caught.value


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def answering(
    response: Callable[[], Response], times: int = 1, **where: str
) -> Callable[[Request], Awaitable[Response | None]]:
    """Answers so the first times that a path holds a word, or a method is used."""
    left = [None] * times

    async def instead(request: Request) -> Response | None:
        fits = where.get("path", "") in request.path
        if fits and request.method == where.get("method", request.method) and left:
            left.pop()
            return response()
        return None

    return instead


# What there is


@pytest.mark.parametrize(
    "media_type", [LAYER, DOCKER_LAYER, "application/vnd.oci.image.layer.v1.tar"]
)
async def test_layers_lie_one_upon_the_other(shop: Shop, target: Path, media_type: str) -> None:
    upper = tar([Made("data/.wh.old"), Made("data/new", content=b"2")])
    lower = tar([Made("data/old", content=b"1"), Made("data/kept", content=b"1")])
    kinds = {"mediaType": media_type}
    await shop.put([(lower, kinds), (upper, kinds)])
    assert await pulled(shop, target) == {"kept": b"1", "new": b"2"}


async def test_an_image_of_docker_is_one(shop: Shop, target: Path) -> None:
    layer, _ = ADAPTER
    await shop.put([(layer, {"mediaType": DOCKER_LAYER})], mediaType=DOCKER_MANIFEST)
    assert await pulled(shop, target) == CONFIG


@pytest.mark.parametrize("kind", [OCI_INDEX, DOCKER_INDEX])
async def test_of_several_platforms_the_machines_own_is_pulled(
    shop: Shop, target: Path, kind: str
) -> None:
    manifests = []
    for name in ("amd64", "arm64"):
        layer = image(Made("data/machine", content=name.encode()))
        digest = await shop.put([layer], tag=name)
        size = len(await manifest_text(shop, name))
        platform = {"os": "linux", "architecture": name}
        manifests.append({**part(b""), "digest": digest, "size": size, "platform": platform})
        manifests[-1]["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    await shop.put_manifest("v1", {"mediaType": kind, "manifests": manifests})
    assert await pulled(shop, target, machine="aarch64") == {"machine": b"arm64"}
    ended = await refused(shop, target.parent / "other", machine="riscv64")
    assert ended.ending == Ending.ARTIFACT_INVALID


async def manifest_text(shop: Shop, tag: str) -> bytes:
    async with shop.asking() as session:
        url = f"https://{shop.host}/v2/team/adapter/manifests/{tag}"
        async with session.get(url) as answer:
            return await answer.read()


async def test_an_artifact_keeps_the_names_of_its_files(shop: Shop, target: Path) -> None:
    titled = [("config.json", b"{}"), ("deep/model.safetensors", LARGE)]
    folder = tar([Made("more", "directory"), Made("more/vocabulary.txt", content=b"a b")])
    await shop.put(
        [
            *((content, {"annotations": {TITLE: name}}) for name, content in titled),
            (folder, {"annotations": {TITLE: "more", UNPACK: "true"}, "mediaType": LAYER}),
            (b"signature", {}),
        ]
    )
    found = {**dict(titled), "more/vocabulary.txt": b"a b"}
    assert await pulled(shop, target) == found


async def test_a_bare_file_that_calls_itself_a_layer_is_a_file(shop: Shop, target: Path) -> None:
    await shop.put([(b'{"rows": 1}', {"mediaType": LAYER, "annotations": {TITLE: "a.jsonl"}})])
    assert await pulled(shop, target) == {"a.jsonl": b'{"rows": 1}'}


async def test_what_was_there_before_gives_way_and_the_rest_stays(shop: Shop, target: Path) -> None:
    target.mkdir()
    (target / "adapter_config.json").mkdir()
    (target / "theirs").write_bytes(b"x")
    await shop.put([ADAPTER])
    assert await pulled(shop, target) == {**CONFIG, "theirs": b"x"}


# Who asks


async def test_accounts_are_tried_in_their_order(shop: Shop, target: Path) -> None:
    await shop.put([ADAPTER])
    auth = [shop.login(WRONG, "0"), shop.login(None, "1"), shop.login(ADMIN, "2")]
    assert await pulled(shop, target, auth=auth) == CONFIG


@pytest.mark.parametrize("account", [WRONG, None])
async def test_without_a_right_account_nothing_is_pulled(
    shop: Shop, target: Path, account: Any
) -> None:
    await shop.put([ADAPTER])
    ended = await refused(shop, target, auth=[shop.login(account)])
    assert ended.ending == Ending.DATA_UNAVAILABLE
    assert "401" in ended.sentence


async def test_what_is_not_there_is_not_there(shop: Shop, target: Path) -> None:
    ended = await refused(shop, target)
    assert ended.ending == Ending.DATA_UNAVAILABLE
    assert "404 (MANIFEST_UNKNOWN)" in ended.sentence


async def test_a_token_that_has_expired_is_had_anew(shop: Shop, target: Path) -> None:
    await shop.put([ADAPTER])

    def expired() -> Response:
        realm = f'Bearer realm="https://{shop.host}/v2/token",service="test",'
        scope = 'scope="repository:team/adapter:pull",error="invalid_token"'
        return Response(401, {"www-authenticate": realm + scope})

    shop.instead = answering(expired, path="/blobs/")
    assert await pulled(shop, target) == CONFIG


async def test_a_registry_without_tokens_is_told_the_password(shop: Shop, target: Path) -> None:
    await shop.put([ADAPTER])
    basic = base64.b64encode(f"{ADMIN.name}:{ADMIN.password}".encode()).decode()

    async def instead(request: Request) -> Response | None:
        if request.headers.get("authorization") == f"Basic {basic}":
            return None
        return Response(401, {"www-authenticate": 'Basic realm="test"'})

    shop.instead = instead
    assert await pulled(shop, target) == CONFIG
    ended = await refused(shop, target.parent / "other", auth=[shop.login(WRONG)])
    assert ended.ending == Ending.DATA_UNAVAILABLE


async def test_a_password_is_sent_nowhere_in_the_clear(shop: Shop, target: Path) -> None:
    challenge = 'Bearer realm="http://127.0.0.1:1/token",service="test"'
    shop.instead = answering(
        lambda: Response(401, {"www-authenticate": challenge}), 9, path="/manifests/"
    )
    assert (await refused(shop, target)).ending == Ending.DATA_UNAVAILABLE


@pytest.mark.parametrize(
    "said",
    ["[]", '{"token": "\u20ac"}', "{", f'{{"more": "{"x" * 2**20}", "token": "t"}}'],
    ids=["no object", "no header", "no JSON", "more than a token"],
)
async def test_a_service_for_tokens_that_gives_none_is_not_available(
    shop: Shop, target: Path, said: str
) -> None:
    answer = Response(200, {"content-type": "application/json"}, said.encode())
    shop.instead = answering(lambda: answer, 99, path="/token")
    assert (await refused(shop, target)).ending == Ending.REGISTRY_UNAVAILABLE


async def test_a_blob_elsewhere_is_had_without_the_token(
    shop: Shop, target: Path, pki: Pki
) -> None:
    await shop.put([ADAPTER])
    seen = []

    async def store(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=ADAPTER[0])

    async with serving(store, pki.server_context()) as port:
        there = f"https://127.0.0.1:{port}/blob"
        shop.instead = answering(lambda: Response(307, {"location": there}), path="/blobs/")
        assert await pulled(shop, target) == CONFIG
    assert seen == [None]


@pytest.mark.parametrize("there", ["http://127.0.0.1:1/blob", "file:///etc/passwd"])
async def test_a_blob_elsewhere_is_had_by_https_alone(shop: Shop, target: Path, there: str) -> None:
    await shop.put([ADAPTER])
    shop.instead = answering(lambda: Response(307, {"location": there}), 9, path="/blobs/")
    assert (await refused(shop, target)).ending == Ending.DATA_UNAVAILABLE


async def test_a_certificate_must_be_of_an_authority_that_is_known(
    shop: Shop, target: Path
) -> None:
    ended = await refused(shop, target, tls=trust())
    assert ended.ending == Ending.DATA_UNAVAILABLE
    assert "ca.crt" in ended.sentence


# What is not as it should be


async def test_a_layer_with_another_digest_is_not_used(shop: Shop, target: Path) -> None:
    layer, _ = ADAPTER
    await shop.put([ADAPTER])
    other = layer.replace(b"{}", b"[]")
    shop.instead = answering(lambda: Response(200, {}, other), 9, path="/blobs/")
    ended = await refused(shop, target)
    assert ended.ending == Ending.ARTIFACT_INVALID
    assert part(layer)["digest"] in ended.sentence
    assert files(target) == {}


async def test_a_layer_that_was_damaged_on_the_way_is_had_again(shop: Shop, target: Path) -> None:
    layer, _ = ADAPTER
    await shop.put([ADAPTER])
    shop.instead = answering(lambda: Response(200, {}, bytes(len(layer))), path="/blobs/")
    assert await pulled(shop, target) == CONFIG


async def test_a_manifest_with_another_digest_is_not_used(shop: Shop, target: Path) -> None:
    digest = await shop.put([ADAPTER])
    await shop.put([image(Made("data/adapter_config.json", content=b"[]"))], tag="other")
    other = await manifest_text(shop, "other")
    shop.instead = answering(lambda: Response(200, {}, other), 9, path="/manifests/")
    pinned = f"{shop.host}/team/adapter@{digest}"
    ended = await refused(shop, target, reference=pinned)
    assert ended.ending == Ending.ARTIFACT_INVALID
    assert digest in ended.sentence


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"schemaVersion": 1}', b" " * (4 * 1024 * 1024 + 1), b"[" * 100_000]
)
async def test_a_manifest_that_is_none_is_not_used(shop: Shop, target: Path, body: bytes) -> None:
    shop.instead = answering(lambda: Response(200, {}, body), 9, path="/manifests/")
    assert (await refused(shop, target)).ending == Ending.ARTIFACT_INVALID


@pytest.mark.parametrize(
    "members",
    [
        [Made("data/a", content=b"1"), Made("../../out", content=b"1")],
        [Made("data/a", "symlink", link="/etc/passwd")],
        [Made("data/a", content=b"1"), Made("data/b", "device")],
        [],
    ],
)
async def test_an_image_that_is_unsafe_or_empty_leaves_nothing(
    shop: Shop, target: Path, members: Sequence[Made]
) -> None:
    await shop.put([image(*members)])
    assert (await refused(shop, target)).ending == Ending.ARTIFACT_INVALID


@pytest.mark.parametrize("title", ["../out", "/../out", "a/../../out"])
async def test_an_artifact_names_no_file_elsewhere(shop: Shop, target: Path, title: str) -> None:
    await shop.put([(b"x", {"annotations": {TITLE: title}})])
    assert (await refused(shop, target)).ending == Ending.ARTIFACT_INVALID
    assert not (target.parent / "out").exists()


async def test_too_much_is_not_begun_with(shop: Shop, target: Path) -> None:
    await shop.put([image(Made("data/a", content=LARGE))])
    assert (await refused(shop, target, limit=1024)).ending == Ending.DATASET_TOO_LARGE
    free = {"free": lambda _: 1024}
    assert (await refused(shop, target, **free)).ending == Ending.DISK_FULL


@pytest.mark.parametrize("reference", ["r.io/A:1", "", "https://r.io/a"])
async def test_what_is_no_reference_is_not_asked_for(
    shop: Shop, target: Path, reference: str
) -> None:
    assert (await refused(shop, target, reference=reference)).ending == Ending.CONFIG_INVALID


async def test_a_secret_that_is_none_is_named(shop: Shop, target: Path, tmp_path: Path) -> None:
    (tmp_path / "0.json").write_text(ADMIN.password)
    ended = await refused(shop, target, auth=[tmp_path / "0.json"])
    assert ended.ending == Ending.CONFIG_INVALID
    assert "0.json" in ended.sentence


# What passes


@pytest.mark.parametrize("path", ["/token", "/manifests/", "/blobs/"])
async def test_a_registry_that_fails_is_asked_again(shop: Shop, target: Path, path: str) -> None:
    await shop.put([ADAPTER])
    shop.instead = answering(lambda: Response(503, {"retry-after": "0"}), 3, path=path)
    assert await pulled(shop, target) == CONFIG


@pytest.mark.parametrize("path", ["/token", "/manifests/", "/blobs/"])
async def test_a_registry_that_keeps_failing_is_not_available(
    shop: Shop, target: Path, path: str
) -> None:
    await shop.put([ADAPTER])
    shop.instead = answering(lambda: Response(503), 99, path=path)
    assert (await refused(shop, target)).ending == Ending.REGISTRY_UNAVAILABLE


async def test_a_registry_that_is_not_there_is_not_available(shop: Shop, target: Path) -> None:
    ended = await refused(shop, target, reference="127.0.0.1:1/a:v1")
    assert ended.ending == Ending.REGISTRY_UNAVAILABLE


async def test_a_layer_that_breaks_off_is_gone_on_with(shop: Shop, target: Path) -> None:
    layer, descriptor = image(Made("data/a", content=LARGE))
    await shop.put([(layer, descriptor)])
    ranges = []

    async def instead(request: Request) -> Response | None:
        if "/blobs/" not in request.path:
            return None
        ranges.append(request.headers.get("range", ""))
        if len(ranges) > 1:
            return None
        return Response(200, {"content-length": str(len(layer))}, torn(layer[:2_000_000]))

    shop.instead = instead
    assert await pulled(shop, target) == {"a": LARGE}
    assert ranges == ["", "bytes=2000000-"]


async def torn(content: bytes) -> Any:
    """A body that ends before it should."""
    yield content
    raise Cut


async def test_a_pull_that_was_killed_is_gone_on_with(
    shop: Shop, target: Path, mover: Mover
) -> None:
    layer, descriptor = image(Made("data/a", content=LARGE))
    await shop.put([(layer, descriptor)])
    ranges = []
    gone = asyncio.Event()

    async def stalling() -> Any:
        yield layer[:2_000_000]
        await gone.wait()

    async def instead(request: Request) -> Response | None:
        if "/blobs/" not in request.path:
            return None
        ranges.append(request.headers.get("range", ""))
        if len(ranges) > 1:
            return None
        return Response(200, {"content-length": str(len(layer))}, stalling())

    shop.instead = instead
    words = ("pull", f"--to={target}", f"--auth={shop.login()}", shop.name())
    process = await mover.start(*words)
    await until(lambda: any(each.stat().st_size for each in target.glob(".kaito/*.part")))
    await mover.kill(process)
    gone.set()
    assert [path.name for path in target.iterdir()] == [".kaito"]
    done = await mover(*words)
    assert done.code == 0, done.out
    assert files(target) == {"a": LARGE}
    assert ranges[1].startswith("bytes=")


async def test_a_disk_that_fills_up_has_a_code(shop: Shop, target: Path, mover: Mover) -> None:
    await shop.put([image(Made("data/a", content=LARGE))])
    words = ("pull", f"--to={target}", f"--auth={shop.login()}", shop.name())
    done = await mover(*words, most=1_000_000)
    assert done.code == Ending.DISK_FULL


@pytest.mark.parametrize(
    ("served", "whole"),
    [(["phi-4", "microsoft/phi-4"], True), (["PHI-4"], True), ([], True), (["phi-2"], False)],
)
async def test_an_adapter_of_another_model_is_refused(
    shop: Shop, target: Path, served: list[str], whole: bool
) -> None:
    await shop.put([ADAPTER], annotations={"sh.kaito.model.name": "phi-4"})
    if whole:
        assert await pulled(shop, target, models=served) == CONFIG
        return
    with pytest.raises(Ended) as caught:
        await pulled(shop, target, models=served)
    assert caught.value.ending == Ending.ARTIFACT_INVALID
    assert "was trained for the model phi-4, and phi-2 is served here" in caught.value.sentence
    assert files(target) == {}
