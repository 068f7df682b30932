"""The registry of a stage's cluster: accounts for Workspaces, and images in it."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp

from kaito.local.registry.registry import SECRET
from kaito.runtime import Object, Resource
from test.e2e.stage import Stage, certificate_of

SECRETS: Resource[Object] = Resource("", "v1", "secrets", "Secret")
EXAMPLE = "registry.example.com"
"""What stands for a registry in the examples."""
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NOTHING = b"{}"


async def registry(made: Stage, secret: str, password: str = "") -> str:
    """The host of the registry, whose account is in a Secret of this name from now on; with another
    password where one is given."""
    host, account = await _account(made)
    if password:
        account["password"] = password
        account["auth"] = base64.b64encode(f"{account['username']}:{password}".encode()).decode()
    text = json.dumps({"auths": {host: account}})
    made_of: Object = {
        "metadata": {"name": secret, "namespace": "default"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": text},
    }
    await made.client.create(SECRETS, made_of)
    return host


async def push(made: Stage, repository: str, tag: str, files: Mapping[str, bytes]) -> None:
    """An artifact with these files, as `oras push` makes it."""
    host, account = await _account(made)
    tls = ssl.create_default_context(cadata=certificate_of(made.kubeconfig).decode())
    connector = aiohttp.TCPConnector(ssl=tls)
    base = f"/v2/{repository}"
    async with aiohttp.ClientSession(f"https://{host}", connector=connector) as session:
        asked = {"scope": f"repository:{repository}:pull,push"}
        basic = {"Authorization": f"Basic {account['auth']}"}
        async with session.get("/v2/token", params=asked, headers=basic) as answer:
            bearer = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        for content in (NOTHING, *files.values()):
            async with session.post(f"{base}/blobs/uploads/", headers=bearer) as begun:
                where = begun.headers["Location"]
            params = {"digest": _descriptor(content)["digest"]}
            async with session.put(where, headers=bearer, params=params, data=content) as put:
                assert put.status == 201, await put.text()
        typed = {**bearer, "Content-Type": MANIFEST}
        manifest = json.dumps(_manifest(files)).encode()
        path = f"{base}/manifests/{tag}"
        async with session.put(path, headers=typed, data=manifest) as put:
            assert put.status == 201, await put.text()


async def _account(made: Stage) -> tuple[str, dict[str, str]]:
    found = await made.client.get(SECRETS, SECRET)
    config = json.loads(base64.b64decode(found["data"][".dockerconfigjson"]))
    [(host, account)] = config["auths"].items()
    return host, account


def _manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    layers = [
        {**_descriptor(content), "annotations": {"org.opencontainers.image.title": name}}
        for name, content in files.items()
    ]
    config = {**_descriptor(NOTHING), "mediaType": "application/vnd.oci.empty.v1+json"}
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}


def _descriptor(content: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}
