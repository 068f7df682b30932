"""Requests that ask for too much are refused like any other: no crash, no long thought."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from kaito.local.apiserver import ApiServer, Request

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
YAML = "application/yaml"
DEEP = 5_000
DIGITS = "1" * 5_000


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    await server.start()
    yield server
    await server.aclose()


async def ask(
    server: ApiServer, method: str, path: str, body: str, media: str = "application/json"
) -> tuple[int, dict[str, Any]]:
    path, _, query = path.partition("?")
    headers = {"content-type": media}
    response = await server.handle(Request(method, path, query, headers, body.encode()))
    assert isinstance(response.body, bytes)
    return response.status, json.loads(response.body)


@pytest.mark.parametrize("depth", [300, DEEP])
@pytest.mark.parametrize("media", ["application/json", YAML])
async def test_a_body_may_be_deep(server: ApiServer, media: str, depth: int) -> None:
    body = '{"metadata":{"name":"a"},"data":' + '{"a":' * depth + "1" + "}" * depth + "}"
    assert (await ask(server, "POST", CONFIG_MAPS, body, media))[0] == 400


@pytest.mark.parametrize(
    ("media", "head"),
    [
        (MERGE_PATCH, '{"metadata":{"labels":'),
        (JSON_PATCH, '[{"op":"add","path":"/data","value":'),
        (APPLY, '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":'),
    ],
)
async def test_a_patch_may_be_deep(server: ApiServer, media: str, head: str) -> None:
    await ask(server, "POST", CONFIG_MAPS, '{"metadata":{"name":"a"}}')
    path = f"{CONFIG_MAPS}/a?fieldManager=test"
    assert (await ask(server, "PATCH", path, head + "[" * DEEP, media))[0] == 400


@pytest.mark.parametrize("media", ["application/json", YAML])
async def test_a_number_may_have_many_digits(server: ApiServer, media: str) -> None:
    body = f'{{"metadata": {{"name": "a", "generation": {DIGITS}}}}}'
    assert (await ask(server, "POST", CONFIG_MAPS, body, media))[0] == 400


@pytest.mark.parametrize("parameter", ["limit", "timeoutSeconds", "resourceVersion"])
async def test_a_parameter_may_have_many_digits(server: ApiServer, parameter: str) -> None:
    status, answer = await ask(server, "GET", f"{CONFIG_MAPS}?{parameter}={DIGITS}", "")
    assert status == 400
    assert answer["message"].endswith("value out of range")


@pytest.mark.parametrize("amount", [DIGITS, "1e1000000", "1e999999999", "0.1e-999999999"])
async def test_a_quantity_may_be_beyond_all_bounds(server: ApiServer, amount: str) -> None:
    container = {"name": "a", "image": "a", "resources": {"limits": {"cpu": amount}}}
    body = {"metadata": {"name": "a"}, "spec": {"containers": [container]}}
    assert (await ask(server, "POST", PODS, json.dumps(body)))[0] == 400


async def test_a_patch_that_copies_without_end_is_refused(server: ApiServer) -> None:
    await ask(server, "POST", CONFIG_MAPS, '{"metadata":{"name":"a"}}')
    doubled = [{"op": "copy", "from": "/data", "path": f"/data/{i}"} for i in range(60)]
    patch = [{"op": "add", "path": "/data", "value": {"a": "b"}}, *doubled]
    status, _ = await ask(server, "PATCH", f"{CONFIG_MAPS}/a", json.dumps(patch), JSON_PATCH)
    assert status == 422


async def test_a_name_may_be_no_text(server: ApiServer) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"metadata":{"name":"\xff\xfe"}}'
    assert (await server.handle(Request("POST", CONFIG_MAPS, "", headers, body))).status == 422
