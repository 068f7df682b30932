"""What the application behind the gate sees, and what becomes of its mistakes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from kaito.engine.serving.gate import App, Gate, Message, Receive, Scope, Send

SCOPE: Scope = {"type": "http", "path": "/v1/completions", "headers": []}


async def ask(app: App) -> list[Message]:
    """What is sent to a client that stays."""
    sent: list[Message] = []
    left: list[Message] = [{"type": "http.request", "body": b"{}"}]

    async def receive() -> Message:
        if left:
            return left.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await Gate(app, key="")(dict(SCOPE), receive, send)
    return sent


async def test_an_application_that_fails_does_not_take_its_connection_along(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b"failed"})
        raise ValueError("a mistake")

    with caplog.at_level(logging.ERROR):
        sent = await ask(app)
    assert [each["type"] for each in sent] == ["http.response.start", "http.response.body"]
    assert "a mistake" in caplog.text


async def test_who_waits_when_the_server_ends_is_told_to_ask_again() -> None:
    asked = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.set()
        await asyncio.Event().wait()

    waiting = asyncio.create_task(ask(app))
    await asked.wait()
    waiting.cancel()
    start, body = await waiting
    assert start["status"] == 503
    assert (b"retry-after", b"1") in start["headers"]
    assert b"ask again" in body["body"]


async def test_an_answer_that_has_begun_is_cut_off_when_the_server_ends() -> None:
    begun = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        await asyncio.Event().wait()

    waiting = asyncio.create_task(ask(app))
    await begun.wait()
    waiting.cancel()
    assert [each["type"] for each in await waiting] == ["http.response.start"]


async def test_the_answer_of_a_client_that_goes_is_given_up() -> None:
    given_up = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    left: list[Message] = [{"type": "http.disconnect"}, {"type": "http.request", "body": b"{}"}]

    async def receive() -> Message:
        return left.pop()

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await Gate(app, key="")(dict(SCOPE), receive, send)
    assert given_up.is_set()
