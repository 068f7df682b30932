"""A client of the registry that reads as the requests do: over HTTP, without sockets."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from kaito.local.apiserver.http import Request, Response
from kaito.local.registry.access import Access, Account, Action
from kaito.local.registry.endpoint import RegistryEndpoint
from kaito.local.registry.storage import Storage

if TYPE_CHECKING:
    from test.unit.local.conftest import ManualClock

IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ADMIN = Account(name="admin", password="secret")
READER = Account(name="reader", password="secret2", actions=frozenset({Action.PULL}))


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def basic(account: Account) -> str:
    credentials = f"{account.name}:{account.password}".encode()
    return f"Basic {base64.b64encode(credentials).decode()}"


class RegistryClient:
    """Asks as the administrator unless told otherwise."""

    def __init__(
        self,
        clock: ManualClock,
        directory: Path,
        *,
        most: int = 10_000,
        anonymous_pull: bool = False,
    ) -> None:
        self.storage = Storage(directory, clock, most=most)
        self.access = Access([ADMIN, READER], service="test", anonymous_pull=anonymous_pull)
        self.endpoint = RegistryEndpoint(self.storage, self.access, clock)

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] = b"",
        auth: str = basic(ADMIN),
        query: Any = (),
        **headers: str,
    ) -> Response:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if auth:
            sent["authorization"] = auth
        whole = body if isinstance(body, bytes) else b""
        stream = None if isinstance(body, bytes) else body
        return await self.endpoint.handle(
            Request(
                method,
                f"/v2/{path}",
                urlencode(query),
                {"host": "127.0.0.1:6443", **sent},
                whole,
                stream,
            )
        )

    async def push_blob(self, name: str, content: bytes) -> str:
        found = digest_of(content)
        made = await self.ask("POST", f"{name}/blobs/uploads/", content, query={"digest": found})
        assert made.status == 201
        return found

    async def push(
        self, name: str, reference: str, manifest: Any, media_type: str = IMAGE
    ) -> Response:
        text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        return await self.ask("PUT", f"{name}/manifests/{reference}", text, content_type=media_type)

    async def push_image(self, name: str, tag: str = "v1", layer: bytes = b"layer") -> str:
        """An image of one layer; its digest."""
        for content in (b"{}", layer):
            await self.push_blob(name, content)
        pushed = await self.push(name, tag, image(layer))
        assert pushed.status == 201, read(pushed)
        return pushed.headers["docker-content-digest"]


def descriptor(content: bytes, media_type: str = "application/octet-stream") -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def image(layer: bytes = b"layer", **more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": descriptor(b"{}", "application/vnd.oci.empty.v1+json"),
        "layers": [descriptor(layer)],
        **more,
    }


async def content(response: Response) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([chunk async for chunk in response.body])


def read(response: Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def error(response: Response) -> tuple[int, str]:
    (only,) = read(response)["errors"]
    return response.status, only["code"]
