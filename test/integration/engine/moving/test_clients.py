"""Other clients have what was pushed, and what they push is had."""

from __future__ import annotations

import asyncio
import json
import shutil
import tarfile
from pathlib import Path

import oras.client
import pytest

from kaito.engine.moving.archive import members
from kaito.engine.moving.pull import Pull
from kaito.engine.moving.push import Push
from test.integration.engine.moving.conftest import ADMIN, HASTY, Shop, files


async def run(*words: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    assert process.returncode == 0, err.decode()


def push(shop: Shop, adapter: Path) -> Push:
    return Push(
        source=adapter,
        reference=shop.name(),
        auth=[shop.login()],
        annotations={"sh.kaito.model.name": "phi-4"},
        patience=HASTY,
        tls=shop.tls,
    )


def pull(shop: Shop, target: Path, tag: str) -> Pull:
    target.mkdir()
    name = shop.name(tag=tag)
    return Pull(reference=name, to=target, auth=[shop.login()], patience=HASTY, tls=shop.tls)


async def test_skopeo_copies_what_was_pushed(shop: Shop, adapter: Path, tmp_path: Path) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("needs the program skopeo")
    certificates, auth, copied = tmp_path / "certificates", shop.login(), tmp_path / "copied"
    certificates.mkdir()
    shutil.copy(shop.ca, certificates / "ca.crt")
    both = (skopeo, "--insecure-policy", "copy", "--src-cert-dir", certificates)
    said = await asyncio.to_thread(push(shop, adapter).run)
    ours = f"docker://{shop.name()}"
    await run(*both, "--src-authfile", auth, ours, f"dir:{copied}")
    manifest = json.loads((copied / "manifest.json").read_bytes())
    (layer,) = manifest["layers"]
    with members(copied / layer["digest"].removeprefix("sha256:")) as archive:
        held = {each.name: each for each in archive}
    assert sorted(held) == ["data", *(f"data/{name}" for name in sorted(files(adapter)))]
    assert held["data"].type == tarfile.DIRTYPE
    # And once through skopeo's own format of manifests, packing and pushing.
    docker = (*both[:3], "--format=v2s2", "--dest-cert-dir", certificates, "--dest-authfile", auth)
    await run(*docker, f"dir:{copied}", f"docker://{shop.name(tag='docker')}")
    target = tmp_path / "target"
    await asyncio.to_thread(pull(shop, target, "docker").run)
    assert files(target) == files(adapter)
    assert said.startswith(shop.name())


async def test_files_and_directories_of_oras_are_had(
    shop: Shop, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    (folder / "vocabulary.txt").write_text("a b")
    monkeypatch.chdir(tmp_path)

    def send() -> None:
        client = oras.client.OrasClient(
            hostname=shop.host, auth_backend="basic", tls_verify=str(shop.ca)
        )
        client.auth.set_basic_auth(ADMIN.name, ADMIN.password)
        names = [*(f"results/{path.name}" for path in adapter.iterdir()), "tokenizer"]
        client.push(target=shop.name(tag="oras"), files=names)
        client.session.close()

    await asyncio.to_thread(send)
    target = tmp_path / "target"
    await asyncio.to_thread(pull(shop, target, "oras").run)
    found = files(target)
    assert {name: found.pop(name) for name in files(adapter)} == files(adapter)
    assert list(found.values()) == [b"a b"]
