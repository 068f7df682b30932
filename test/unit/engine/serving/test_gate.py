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
