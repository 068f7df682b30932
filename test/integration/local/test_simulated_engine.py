"""The stand-in for the engine, as a process and over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest


@pytest.fixture
async def engine() -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a running engine."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "kaito.local.simulated_engine", "--port", "0", "--model", "phi"),
        stdout=asyncio.subprocess.PIPE,
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
