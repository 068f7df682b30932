"""Faults on request, and what a restart keeps."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kaito.local.apiserver.faults import Fails, Fault, Resets, TooMany
from kaito.local.apiserver.http import Request, Response
from kaito.local.apiserver.server import ApiServer
from kaito.local.apiserver.watches import Cut

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    await server.start()
    yield server
    await server.aclose()


async def create(server: ApiServer, name: str) -> Response:
    body = json.dumps({"metadata": {"name": name}}).encode()
    return await server.handle(
        Request("POST", MAPS, headers={"content-type": "application/json"}, body=body)
    )


async def get(server: ApiServer, path: str) -> tuple[int, Any]:
    response = await server.handle(Request("GET", path))
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


async def test_too_many_requests_are_refused_once(server: ApiServer) -> None:
    server.faults.add(Fault(TooMany(retry_after=3)))
    refused = await server.handle(Request("GET", MAPS))
    assert (refused.status, refused.headers["retry-after"]) == (429, "3")
    assert (await get(server, MAPS))[0] == 200


async def test_a_fault_applies_to_what_it_matches(server: ApiServer) -> None:
    server.faults.add(Fault(Fails(503), match=lambda r: r.method == "POST", times=None))
    assert (await create(server, "a")).status == 503
    assert (await get(server, MAPS))[0] == 200


async def test_an_answer_may_be_lost_after_the_write(server: ApiServer) -> None:
    server.faults.add(Fault(Resets(after=True), match=lambda r: r.method == "POST"))
    with pytest.raises(Cut):
        await create(server, "a")
    assert (await get(server, f"{MAPS}/a"))[0] == 200


async def test_compaction_expires_older_versions(server: ApiServer) -> None:
    first = await get(server, MAPS)
    await create(server, "a")
    server.compact()
    old = first[1]["metadata"]["resourceVersion"]
    response = await server.handle(
        Request("GET", MAPS, f"resourceVersion={old}&resourceVersionMatch=Exact")
    )
    assert response.status == 410


async def test_a_restart_keeps_or_loses_the_objects(tmp_path: Path) -> None:
    server = ApiServer(data_dir=tmp_path)
    await server.start()
    await create(server, "a")
    await server.restart(keep=True)
    assert (await get(server, f"{MAPS}/a"))[0] == 200
    await server.restart(keep=False)
    assert (await get(server, f"{MAPS}/a"))[0] == 404
    await server.aclose()
