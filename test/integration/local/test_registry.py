"""The registry of a running cluster, over HTTPS with the cluster's own CA, and real clients."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from kaito.local.kinds import SECRETS
from kaito.local.profile import Profile
from kaito.local.registry.registry import SECRET
from kaito.runtime import Key

if TYPE_CHECKING:
    from kaito.local.registry.registry import Registry
    from test.integration.local.conftest import World

IMAGE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = b"{}"


def descriptor(content: bytes, media_type: str = "application/octet-stream") -> dict[str, Any]:
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": media_type, "digest": found, "size": len(content)}


def manifest(layer: bytes) -> bytes:
    config = descriptor(CONFIG, "application/vnd.oci.image.config.v1+json")
    wire = {"schemaVersion": 2, "mediaType": IMAGE, "config": config, "layers": [descriptor(layer)]}
    return json.dumps(wire).encode()


@asynccontextmanager
async def talking(world: World) -> AsyncIterator[aiohttp.ClientSession]:
    """A session with the registry that trusts the cluster's CA and has no credentials."""
    tls = ssl.create_default_context(cadata=world.cluster.ca_pem)
    async with aiohttp.ClientSession(
        f"https://{world.cluster.registry.host}", connector=aiohttp.TCPConnector(ssl=tls)
    ) as session:
        yield session


async def token(session: aiohttp.ClientSession, registry: Registry, scope: str) -> dict[str, str]:
    """Headers with a token for a scope."""
    basic = aiohttp.encode_basic_auth(registry.username, registry.password)
    login = {"Authorization": basic}
    async with session.get("/v2/token", params={"scope": scope}, headers=login) as answer:
        return {"Authorization": f"Bearer {(await answer.json())['token']}"}


async def push(session: aiohttp.ClientSession, headers: dict[str, str], name: str) -> bytes:
    """Push an image of one layer, in chunks; the layer."""
    layer = bytes(range(256)) * 1024
    for content in (CONFIG, layer):
        async with session.post(f"/v2/{name}/blobs/uploads/", headers=headers) as begun:
            where = begun.headers["Location"]
        for piece in (content[:1000], content[1000:]):
            async with session.patch(where, headers=headers, data=piece) as answer:
                assert answer.status == 202
        params = {"digest": descriptor(content)["digest"]}
        async with session.put(where, headers=headers, params=params) as done:
            assert done.status == 201
    typed = {**headers, "Content-Type": IMAGE}
    path = f"/v2/{name}/manifests/v1"
    async with session.put(path, headers=typed, data=manifest(layer)) as put:
        assert put.status == 201
    return layer


async def test_an_image_is_pushed_and_pulled_with_tokens(world: World) -> None:
    registry = world.cluster.registry
    async with talking(world) as session:
        async with session.get("/v2/") as stranger:
            assert stranger.status == 401
            assert f"https://{registry.host}/v2/token" in stranger.headers["WWW-Authenticate"]
        headers = await token(session, registry, "repository:team/adapter:pull,push")
        layer = await push(session, headers, "team/adapter")
        async with session.get("/v2/team/adapter/manifests/v1", headers=headers) as pulled:
            assert pulled.headers["Content-Type"] == IMAGE
            assert await pulled.read() == manifest(layer)
        blob = f"/v2/team/adapter/blobs/{descriptor(layer)['digest']}"
        async with session.get(blob, headers=headers) as pulled:
            assert await pulled.read() == layer
        async with session.head(blob, headers=headers) as head:
            assert head.headers["Content-Length"] == str(len(layer))
        async with session.get(blob, headers={**headers, "Range": "bytes=-2"}) as part:
            assert (part.status, await part.read()) == (206, layer[-2:])


async def test_what_was_pushed_outlives_the_cluster(start: Any, tmp_path: Path) -> None:
    arguments = {"data_dir": tmp_path, "profile": Profile.instant()}
    async with start(**arguments) as world, talking(world) as session:
        password = world.cluster.registry.password
        headers = await token(session, world.cluster.registry, "repository:a:pull,push")
        layer = await push(session, headers, "a")
    async with start(**arguments) as world, talking(world) as session:
        assert world.cluster.registry.password == password
        headers = await token(session, world.cluster.registry, "repository:a:pull")
        async with session.get("/v2/a/manifests/v1", headers=headers) as pulled:
            assert await pulled.read() == manifest(layer)


async def test_a_secret_for_pulling_is_one_that_kubernetes_takes(world: World) -> None:
    registry = world.cluster.registry
    secret = registry.docker_secret(Key("default", "pull"))
    stored = await world.client.create(SECRETS, secret)
    assert stored["type"] == "kubernetes.io/dockerconfigjson"
    assert (await world.client.get(SECRETS, SECRET))["data"] == stored["data"]
    config = json.loads(base64.b64decode(stored["data"][".dockerconfigjson"]))
    assert config == registry.docker_config()
    assert set(config["auths"]) == {registry.host}
    assert registry.image("a/b", "v1") == f"{registry.host}/a/b:v1"
    assert registry.password not in repr(registry)


async def test_skopeo_copies_inspects_and_deletes(world: World, tmp_path: Path) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("needs the program skopeo")
    registry = world.cluster.registry
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "ca.crt").write_text(world.cluster.ca_pem)
    (tmp_path / "auth.json").write_text(json.dumps(registry.docker_config()))
    trusted = ["--cert-dir", str(tmp_path / "certs"), "--authfile", str(tmp_path / "auth.json")]

    async def run(command: str, *arguments: str, options: list[str] | None = None) -> bytes:
        process = await asyncio.create_subprocess_exec(
            *(skopeo, "--insecure-policy", command, *(options or trusted), *arguments),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, _ = await process.communicate()
        assert process.returncode == 0, command
        return out

    async with talking(world) as session:
        headers = await token(session, registry, "repository:a/one:pull,push")
        layer = await push(session, headers, "a/one")
    certificates, account = trusted[1], trusted[3]
    both = ["--src-cert-dir", certificates, "--dest-cert-dir", certificates, "--authfile", account]
    one, two = (f"docker://{registry.host}/{name}:v1" for name in ("a/one", "a/two"))
    await run("copy", one, two, options=both)
    seen = json.loads(await run("inspect", "--raw", two))
    assert seen["layers"] == [descriptor(layer)]
    assert json.loads(await run("list-tags", two.removesuffix(":v1")))["Tags"] == ["v1"]
    await run("delete", two)
    assert json.loads(await run("list-tags", two.removesuffix(":v1")))["Tags"] == []


async def test_the_oras_package_pushes_and_pulls(world: World, tmp_path: Path) -> None:
    client = pytest.importorskip("oras.client", reason="needs the package oras")
    registry = world.cluster.registry
    authority, adapter = tmp_path / "ca.crt", tmp_path / "adapter_model.safetensors"
    authority.write_text(world.cluster.ca_pem)
    adapter.write_bytes(b"weights")

    def push_and_pull() -> list[str]:
        oras = client.OrasClient(
            hostname=registry.host, auth_backend="basic", tls_verify=str(authority)
        )
        oras.auth.set_basic_auth(registry.username, registry.password)
        target = registry.image("tuning/output", "v1")
        oras.push(target=target, files=[str(adapter)], disable_path_validation=True)
        found: list[str] = oras.pull(target=target, outdir=str(tmp_path / "back"))
        return found

    (pulled,) = await asyncio.to_thread(push_and_pull)
    assert Path(pulled).read_bytes() == b"weights"
