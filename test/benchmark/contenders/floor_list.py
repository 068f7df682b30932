"""No library at all: one list, split as bytes, one header and one decoding for each object."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from test.benchmark.contenders.access import session
from test.benchmark.names import GROUP, PLURAL, VERSION, done


class Listing(msgspec.Struct):
    items: list[msgspec.Raw]


class Metadata(msgspec.Struct, rename="camel"):
    name: str
    uid: str
    resource_version: str


class Header(msgspec.Struct):
    metadata: Metadata


async def main(namespace: str, count: int) -> None:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}?resourceVersion=0"
    decode_header = msgspec.json.Decoder(Header).decode
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    store: dict[str, tuple[Header, bytes]] = {}
    async with (
        session() as http,
        http.get(path, headers={"Accept-Encoding": "identity"}) as answer,
    ):
        body = await answer.read()
    for item in msgspec.json.decode(body, type=Listing).items:
        header = decode_header(item)
        store[header.metadata.name] = header, bytes(item)
    seen = {name for name, (_, kept) in store.items() if decode(kept)}
    assert len(seen) == count
    done()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
