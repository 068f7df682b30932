"""Requests of OpenAI's API, answered by the handlers of `transformers serve`.

Theirs is everything between a request and its answer: templates, parsing of tool calls and
reasoning, the shapes of answers and chunks. Ours are the checks before, and the name after.
"""

from __future__ import annotations

import copy
import json
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi.responses import JSONResponse, StreamingResponse
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessageToolCall
from transformers.cli.serving.chat_completion import ChatCompletionHandler
from transformers.cli.serving.completion import CompletionHandler
from transformers.cli.serving.utils import (
    BaseHandler,
    ReasoningText,
    ToolCall,
    build_response_parser,
)

from kaito.engine.errors import error
from kaito.engine.serving.batching import Batch, State
from kaito.engine.serving.model import Loader, no_model
from kaito.engine.serving.prompts import RESERVED, Prompts
from kaito.engine.serving.questions import CHAT, COMPLETION, Wish, check_chat, check_prompt, wish

ERROR = 'data: {"error": "'
DONE = "data: [DONE]\n\n"


class Answers(BaseHandler):
    """What both handlers do otherwise than their base classes."""

    model_manager: Loader

    def __init__(self, loader: Loader, batch: Batch, prompts: Prompts) -> None:
        super().__init__(loader, State(batch))
        self._batch = batch
        self._prompts = prompts

    async def handle_request(self, body: dict[str, Any], request_id: str) -> Any:
        """Answer. Raises Refused.

        The base classes' choose among models, devices and ways to generate, and read the prompt
        between two turns of the event loop.
        """
        body = {name: value for name, value in body.items() if value is not None}
        wished = self._wish(body)
        name, model, tokenizer = self._resolve_model(body)
        with self._batch.place():
            tokens = await self._tokens(body)
        config = self._configured(name, model.generation_config, wished)
        asked = (request_id, model, tokenizer, name, {"input_ids": tokens}, config, self._batch)
        if body.get("stream"):
            return self._streaming(*asked, **self._more(body))
        return await self._non_streaming(*asked, **self._more(body))

    def _resolve_model(self, body: dict[str, Any]) -> tuple[str, Any, Any]:
        """The model by the names that clients know, which the answers carry, too. The base class
        goes by paths and revisions, loads what it is asked for, and starts a timer each time."""
        served, name = self.model_manager.served, self.model_manager.settings.name
        asked = body.get("model", "")
        asked = name if asked == "" else asked
        if not isinstance(asked, str) or (asked != name and asked not in served.adapters):
            raise no_model(served, name, str(asked)[:200])
        return asked, served.model, served.tokenizer

    def _configured(self, name: str, model_config: Any, wished: Wish) -> Any:
        """The model's own configuration with the wish beside it: the base class's has one wish for
        all requests of a batch, and a seed for the process."""
        config = copy.deepcopy(model_config)
        config.wish = wished
        config.adapter = self.model_manager.served.adapters.get(name, "")
        # The batch has a cache of its own.
        config.use_cache = False
        return config

    @abstractmethod
    def _wish(self, body: dict[str, Any]) -> Wish:
        """What a request wishes. Raises Refused."""

    @abstractmethod
    async def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        """Its prompt. Raises Refused."""

    def _more(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {}


class Chats(Answers, ChatCompletionHandler):
    """/v1/chat/completions."""

    def _wish(self, body: dict[str, Any]) -> Wish:
        found = wish(body, CHAT, self.model_manager.served.vocabulary)
        check_chat(body, RESERVED)
        if body.get("tool_choice") == "none":
            body.pop("tools", None)
        return found

    async def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        return await self._prompts.chat(body)

    def _more(self, body: Mapping[str, Any]) -> dict[str, Any]:
        return {"tools": body.get("tools")}

    async def _non_streaming(
        self,
        request_id: str,
        model: Any,
        processor: Any,
        model_id: str,
        inputs: Any,
        gen_config: Any,
        gen_manager: Any,
        tools: Any = None,
    ) -> JSONResponse:
        """A whole answer, of the pieces that a stream would have. The base class parses the tokens
        anew, with what a stop text cut off, and fails where the model wrote no proper call."""
        prompt = inputs["input_ids"]
        parser = build_response_parser(processor, model, prompt, tools=tools)
        found, streamer = await gen_manager.whole(
            model, processor, inputs, gen_config, request_id, parser
        )
        calls = [
            ChatCompletionMessageToolCall(
                id=f"{request_id}_tool_call_{number}",
                type="function",
                function={"name": call.name, "arguments": call.arguments},
            )
            for number, call in enumerate(each for each in found if isinstance(each, ToolCall))
        ]
        reasoning = "".join(each for each in found if isinstance(each, ReasoningText))
        content = "".join(each for each in found if type(each) is str)
        cut = streamer.total_tokens >= gen_config.max_new_tokens
        said = self._build_completion(
            request_id,
            content,
            model_id,
            finish_reason="tool_calls" if calls else "length" if cut else "stop",
            usage=CompletionUsage(
                prompt_tokens=len(prompt),
                completion_tokens=streamer.total_tokens,
                total_tokens=len(prompt) + streamer.total_tokens,
            ),
            tool_calls=calls or None,
            reasoning_content=reasoning or None,
        )
        return JSONResponse(said)

    def _streaming(self, *given: Any, **named: Any) -> StreamingResponse:
        return ended(super()._streaming(*given, **named))

    def _build_chunk_sse(self, request_id: str = "", **said: Any) -> str:
        if said.get("content") is None or len(said) != 2:
            return super()._build_chunk_sse(request_id, **said)
        choice = {"delta": {"content": said["content"]}, "index": 0}
        return piece(request_id, "chat.completion.chunk", said["model"], choice)


class Completions(Answers, CompletionHandler):
    """/v1/completions."""

    def _wish(self, body: dict[str, Any]) -> Wish:
        found = wish(body, COMPLETION, self.model_manager.served.vocabulary)
        check_prompt(body)
        return found

    async def _tokens(self, body: Mapping[str, Any]) -> list[int]:
        return await self._prompts.text(body)

    def _streaming(self, *given: Any, **named: Any) -> StreamingResponse:
        return ended(super()._streaming(*given, **named))

    def _build_chunk_sse(self, request_id: str, model_id: str, **said: Any) -> str:
        if said.keys() != {"text"}:
            return super()._build_chunk_sse(request_id, model_id, **said)
        choice = {"text": said["text"], "index": 0}
        return piece(request_id, "text_completion", model_id, choice)


def piece(request_id: str, kind: str, model: str, choice: dict[str, object]) -> str:
    """An event with a piece of text. The base classes make a pydantic model for each, validate and
    serialise it, which takes longer than all the rest of a token's way to its client."""
    created = int(time.time())
    said = {
        "id": request_id,
        "object": kind,
        "created": created,
        "model": model,
        "choices": [choice],
    }
    return f"data: {json.dumps(said)}\n\n"


def ended(response: StreamingResponse) -> StreamingResponse:
    """A stream that ends as OpenAI's do: with [DONE], or with an error of their shape."""
    response.body_iterator = _ended(response.body_iterator)
    return response


async def _ended(events: Any) -> AsyncIterator[str]:
    # Closed here, so that a client that has gone is noticed at once and not by a collector.
    async with aclosing(events):
        async for event in events:
            if ERROR in event:
                message = event[event.index(ERROR) + len(ERROR) :].rpartition('"}')[0]
                yield f"data: {json.dumps(error(500, message))}\n\n"
            else:
                yield event
    yield DONE


def answer_of(response: JSONResponse) -> dict[str, Any]:
    """What a response says."""
    found: dict[str, Any] = json.loads(bytes(response.body))
    return found
