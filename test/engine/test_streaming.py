"""What a model writes, as it is told piece by piece. Calls of tools are parsed as for Qwen 3."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from transformers.cli.serving.utils import ToolCall, build_response_parser

from hack.small_model import make_tokenizer
from kaito.engine.serving.stops import Stops
from kaito.engine.serving.streaming import Streamer

TOKENIZER = make_tokenizer()
MODEL = SimpleNamespace(config=SimpleNamespace(model_type="qwen3"))
CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'


class Batch:
    """Where requests are cancelled."""

    def cancel_request(self, name: str) -> None:
        """Nothing runs."""


async def told(text: str, *stops: str) -> list[Any]:
    """The pieces that a client gets of a text; TimeoutError when they do not end."""
    tokens = TOKENIZER(text)["input_ids"]
    pieces: asyncio.Queue[Any] = asyncio.Queue()
    ends: list[str] = []
    streamer = Streamer(
        Batch(),
        "request",
        TOKENIZER._tokenizer,
        asyncio.get_running_loop(),
        pieces,
        response_parser=build_response_parser(TOKENIZER, MODEL, TOKENIZER("x")["input_ids"]),
        stops=Stops(stops),
        done=ends.append,
    )
    for count in range(1, len(tokens) + 1):
        over = count == len(tokens)
        streamer.put(
            SimpleNamespace(
                generated_tokens=tokens[:count], error=None, is_finished=lambda over=over: over
            )
        )
    assert ends == ["stop"]
    found = []
    while (piece := pieces.get_nowait()) is not None:
        found.append(piece)
    return found


async def test_a_call_of_a_tool_is_told_as_one() -> None:
    assert (await told(CALL))[-1] == ToolCall(name="f", arguments='{"a": 1}')


@pytest.mark.parametrize(
    "inside", ['{"name": "f", "arg', "[1]", '{"x": 1}', "5", '{"name": "f"}', "no JSON"]
)
async def test_what_is_no_proper_call_is_told_as_the_text_it_is(inside: str) -> None:
    pieces = await told(f"<tool_call>{inside}</tool_call> and on")
    assert all(isinstance(each, str) for each in pieces)
    assert inside in "".join(pieces)
    assert "".join(pieces).endswith("and on")


async def test_a_call_that_was_cut_off_is_told_as_the_text_it_is() -> None:
    assert "".join(await told('<tool_call>{"name": "f", "arg')).endswith('{"name": "f", "arg')


async def test_a_stop_text_ends_an_answer_before_it_is_parsed() -> None:
    assert "".join(await told("<think>a plan</think>hello STOP there", "STOP")).endswith("hello ")
