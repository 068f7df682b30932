"""A plain HTTP client for API servers: what was answered, word for word.

It retries nothing and hides nothing; the tests look at status, headers and body themselves.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from test.conformance.servers import Server

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
METADATA = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"

PATIENCE = 10.0  # seconds; only a failing test waits that long
PAUSE = 0.02  # seconds between two looks at something that announces nothing

Object = dict[str, Any]
Query = str | int | bool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `warnings` are the texts of its Warning headers."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    warnings: tuple[str, ...] = ()

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        return self.raw.decode()

    @property
    def reason(self) -> str:
        """The reason of a Status; empty where it has none."""
        return self.body.get("reason", "")

    @property
    def message(self) -> str:
        return self.body.get("message", "")

    @property
    def fields(self) -> set[str]:
        """The fields that the causes of a Status name."""
        causes = self.body.get("details", {}).get("causes", [])
        return {cause.get("field", "") for cause in causes}

    @property
    def metadata(self) -> Object:
        return self.body["metadata"]

    @property
    def version(self) -> str:
        return self.metadata["resourceVersion"]

    @property
    def names(self) -> list[str]:
        """The names of a list's items, in its order."""
        return [item["metadata"]["name"] for item in self.body["items"]]

    def ok(self) -> Answer:
        """This answer, if it tells of success."""
        assert 200 <= self.status < 300, self.text
        return self


class Stream:
    """The events of a watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status

    async def next(self) -> Object | None:
        """The next event; None at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            line = await self._response.content.readline()
        return json.loads(line) if line else None

    async def take(self, count: int) -> list[tuple[str, str]]:
        """The next events as (type, name)."""
        found = []
        for _ in range(count):
            event = await self.next()
            assert event is not None, f"the stream ended after {found}"
            found.append((event["type"], event["object"]["metadata"].get("name", "")))
        return found

    async def rest(self) -> list[Object]:
        """Every event until the server ends the stream."""
        events = []
        while (event := await self.next()) is not None:
            events.append(event)
        return events

    async def read(self) -> bytes:
        return await self._response.read()


class Api:
    """Calls to one API server."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.server = server
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: Query,
    ) -> Answer:
        """One call. A body of bytes or text is sent as it is; `continue_` is `continue`."""
        async with self._open(
            method, path, body, content_type, accept, headers or {}, query
        ) as response:
            async with asyncio.timeout(3 * PATIENCE):
                raw = await response.read()
            warnings = tuple(
                value.split('"', 1)[1].rsplit('"', 1)[0].replace('\\"', '"')
                for value in response.headers.getall("Warning", [])
            )
            return Answer(response.status, response.headers.copy(), raw, warnings)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def create(self, path: str, body: object, **options: Any) -> Answer:
        return await self.call("POST", path, body, **options)

    async def replace(self, path: str, body: object, **options: Any) -> Answer:
        return await self.call("PUT", path, body, **options)

    async def delete(self, path: str, body: object = None, **options: Any) -> Answer:
        return await self.call("DELETE", path, body, **options)

    async def json_patch(self, path: str, body: object, **options: Any) -> Answer:
        return await self.call("PATCH", path, body, content_type=JSON_PATCH, **options)

    async def merge(self, path: str, body: object, **options: Any) -> Answer:
        return await self.call("PATCH", path, body, content_type=MERGE_PATCH, **options)

    async def strategic(self, path: str, body: object, **options: Any) -> Answer:
        return await self.call("PATCH", path, body, content_type=STRATEGIC_PATCH, **options)

    async def apply(self, path: str, body: object, manager: str, **options: Any) -> Answer:
        return await self.call(
            "PATCH", path, body, content_type=APPLY_PATCH, fieldManager=manager, **options
        )

    @asynccontextmanager
    async def watch(
        self, path: str, *, accept: str = "application/json", **query: Query
    ) -> AsyncIterator[Stream]:
        """An open watch; the connection is cut at the end of the block."""
        query.setdefault("watch", 1)
        async with self._open("GET", path, None, "", accept, {}, query) as response:
            try:
                yield Stream(response)
            finally:
                response.close()

    async def until(self, path: str, holds: Callable[[Answer], object]) -> Answer:
        """The first answer to GET that `holds`: for what happens later and is watched nowhere."""
        return await self.repeat(lambda: self.get(path), holds)

    async def repeat(
        self, ask: Callable[[], Awaitable[Answer]], holds: Callable[[Answer], object]
    ) -> Answer:
        """The first answer that `holds`; TimeoutError where none comes."""
        async with asyncio.timeout(6 * PATIENCE):
            while True:
                if holds(answer := await ask()):
                    return answer
                await asyncio.sleep(PAUSE)

    @asynccontextmanager
    async def _open(
        self,
        method: str,
        path: str,
        body: object,
        content_type: str,
        accept: str,
        headers: Mapping[str, str],
        query: Mapping[str, Query],
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        sent = {"Accept": accept, "User-Agent": "conformance/1", **headers}
        authorization = await self.server.credentials.authorization()
        if authorization and "Authorization" not in sent:
            sent["Authorization"] = authorization
        if sent.get("Authorization") == "":
            del sent["Authorization"]
        data = None
        if body is not None:
            sent["Content-Type"] = content_type
            text = body if isinstance(body, str | bytes) else json.dumps(body)
            data = io.BytesIO(text.encode() if isinstance(text, str) else text)
        url = URL(self.server.url + path, encoded=True).update_query(
            {name.rstrip("_"): _text(value) for name, value in query.items()}
        )
        async with self._session.request(
            method, url, data=data, headers=sent, allow_redirects=False
        ) as response:
            yield response


def _text(value: Query) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
