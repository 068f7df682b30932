"""The stand-in for the engine, as a process and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest


@pytest.fixture
async def engine() -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a running engine."""
    async with started() as session:
        yield session


@asynccontextmanager
async def started(*options: str, **variables: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of an engine that runs with these."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "kaito.local.simulated_engine", "--port", "0", "--model", "phi", *options),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **variables},
    )
    assert process.stdout is not None
    async with asyncio.timeout(20):
        port = (await process.stdout.readline()).decode().split()[-1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    process.terminate()
    assert await process.wait() == 0


async def post(engine: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, Any]:
    async with engine.post(path, json=body) as answer:
        assert answer.headers["x-kaito-simulated"] == "true"
        return answer.status, await answer.json()


@pytest.mark.parametrize("path", ["/health", "/healthz", "/"])
async def test_it_is_well(engine: aiohttp.ClientSession, path: str) -> None:
    async with engine.get(path) as answer:
        assert await answer.json() == {"status": "Healthy", "simulated": True}


async def test_a_chat_answers_and_says_that_it_is_simulated(engine: aiohttp.ClientSession) -> None:
    status, body = await post(engine, "/chat", {"prompt": "Why?"})
    assert status == 200
    assert body["simulated"]
    assert "simulated" in body["Result"]
    assert body["Result"].endswith("Why?")


async def test_it_speaks_the_openai_api(engine: aiohttp.ClientSession) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi there"}]
    status, body = await post(
        engine, "/v1/chat/completions", {"model": "phi", "messages": messages, "max_tokens": 3}
    )
    assert status == 200
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "This is a"}
    assert choice["finish_reason"] == "length"
    assert body["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
    status, body = await post(engine, "/v1/completions", {"prompt": ["One"]})
    assert body["choices"][0]["text"].endswith("One")


async def test_it_streams(engine: aiohttp.ClientSession) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    async with engine.post("/v1/chat/completions", json=body) as answer:
        lines = [line.decode().strip() async for line in answer.content if line.strip()]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text.endswith("You asked: Hi")
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/chat", {}, 400),
        ("/chat", ["x"], 400),
        ("/v1/chat/completions", {"messages": []}, 400),
        ("/v1/chat/completions", {"prompt": "x", "max_tokens": 0}, 400),
        ("/v1/chat/completions", {"model": "other", "prompt": "x"}, 404),
        ("/nothing", {}, 404),
    ],
)
async def test_what_it_cannot_answer_it_refuses_with_a_reason(
    engine: aiohttp.ClientSession, path: str, body: Any, status: int
) -> None:
    got, answer = await post(engine, path, body)
    assert got == status
    assert answer["error"]["message"]


async def test_it_counts(engine: aiohttp.ClientSession) -> None:
    await post(engine, "/chat", {"prompt": "one two three"})
    async with engine.get("/metrics") as answer:
        text = await answer.text()
    assert 'vllm:prompt_tokens_total{model_name="phi",engine_kind="simulated"} 3' in text
    assert 'vllm:request_success_total{model_name="phi",engine_kind="simulated"} 1' in text


async def test_adapters_are_models_of_their_own(engine: aiohttp.ClientSession) -> None:
    async with started("--adapter", "poet") as served:
        async with served.get("/v1/models") as answer:
            models = (await answer.json())["data"]
        assert [(each["id"], each.get("parent")) for each in models] == [
            ("phi", None),
            ("poet", "phi"),
        ]
        status, body = await post(served, "/v1/completions", {"prompt": "a", "model": "poet"})
        assert (status, body["model"]) == (200, "poet")
    status, _ = await post(engine, "/v1/completions", {"prompt": "a", "model": "poet"})
    assert status == 404


@pytest.mark.parametrize("variable", ["VLLM_API_KEY", "KAITO_API_KEY"])
async def test_a_key_is_asked_for_where_there_is_one(variable: str) -> None:
    async with started(**{variable: "open sesame"}) as served:
        async with served.get("/health") as answer:
            assert answer.status == 200
        for wrong in ({}, {"Authorization": "Bearer sesame"}, {"Authorization": "open sesame"}):
            async with served.get("/v1/models", headers=wrong) as answer:
                assert answer.status == 401
            async with served.post("/chat", headers=wrong, json={"prompt": "a"}) as answer:
                assert answer.status == 401
        right = {"Authorization": "Bearer open sesame"}
        async with served.get("/v1/models", headers=right) as answer:
            assert answer.status == 200


async def test_a_leader_answers_while_all_workers_are_there() -> None:
    port = free_port()
    group = {
        "KAITO_NODES": "3",
        "KAITO_RAY_PORT": str(port),
        "KAITO_RAY_LEADER": f"localhost:{port}",
    }
    async with started(POD_INDEX="0", **group) as leader:
        assert await health(leader) == 503
        status, _ = await post(leader, "/v1/completions", {"prompt": "a"})
        assert status == 503
        first, second = [await joined(port, index) for index in (1, 2)]
        assert await health(leader) == 200
        await left(*first)
        assert await health(leader) == 503
        # Another that comes before the old one has gone counts once.
        again, twice = [await joined(port, 1), await joined(port, 1)]
        await left(*again)
        assert await health(leader) == 200
        await left(*second)
        await left(*twice)


async def test_a_worker_joins_its_leader_and_answers_nobody() -> None:
    came = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"2\n"
        came.set()
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        group = {"KAITO_NODES": "3", "KAITO_RAY_PORT": "1", "KAITO_RAY_LEADER": f"127.0.0.1:{port}"}
        async with started(POD_INDEX="2", **group) as worker:
            async with asyncio.timeout(20):
                await came.wait()
                came.clear()
                await came.wait()  # it comes again when it was sent away
            assert await health(worker) == 200
            status, body = await post(worker, "/v1/completions", {"prompt": "a"})
            assert (status, body["error"]["message"]) == (
                404,
                "This is a worker: the leader answers.",
            )


async def health(engine: aiohttp.ClientSession) -> int:
    async with engine.get("/health") as answer:
        return answer.status


async def joined(port: int, index: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A worker's connection, once the leader has counted it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{index}\n".encode())
    assert await reader.readline() == b"joined\n"
    return reader, writer


async def left(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a worker's connection; returns when the leader knows."""
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
