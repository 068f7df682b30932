"""Requests of OpenAI's API, answered by the handlers of `transformers serve`.

Theirs is everything between a request and its answer: templates, parsing of tool calls and
reasoning, the shapes of answers and chunks. Ours are the checks before, and the name after.
"""

from __future__ import annotations

import copy
import inspect
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from fastapi.responses import JSONResponse, StreamingResponse
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.cli.serving.chat_completion import ChatCompletionHandler
from transformers.cli.serving.completion import CompletionHandler
from transformers.cli.serving.utils import BaseHandler

from kaito.engine.errors import Refused, error
from kaito.engine.serving.model import Loader, name_error
from kaito.engine.serving.questions import CHAT, COMPLETION, Wish, check_chat, check_prompt, wish

RESERVED = frozenset(inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters)
ERROR = 'data: {"error": "'
DONE = "data: [DONE]\n\n"


class Named(BaseHandler):
    """What both handlers do otherwise than their base classes."""

    model_manager: Loader

    def _resolve_model(self, body: dict[str, Any]) -> tuple[str, Any, Any]:
        """The model by the names that clients know, which the answers carry, too. The base class
        goes by paths and revisions, loads what it is asked for, and starts a timer each time."""
        served, name = self.model_manager.served, self.model_manager.settings.name
        asked = body.get("model") or name
        if not isinstance(asked, str) or (asked != name and asked not in served.adapters):
            raise Refused(
                name_error(served, name, str(asked)[:200]),
                status=404,
                param="model",
                code="model_not_found",
            )
        return asked, served.model, served.tokenizer

    def _configured(self, body: Mapping[str, Any], model_config: Any, wished: Wish) -> Any:
        """The model's own configuration with the wish beside it: the base class's has one wish for
        all requests of a batch, and a seed for the process."""
        config = copy.deepcopy(model_config)
        config.wish = wished
        config.adapter = self.model_manager.served.adapters.get(body.get("model") or "", "")
        # The batch has a cache of its own.
        config.use_cache = False
        return config


class Chats(Named, ChatCompletionHandler):
    """/v1/chat/completions."""

    def _validate_request(self, body: dict[str, Any]) -> None:
        wish(body, CHAT)
        check_chat(body, RESERVED)
        if body.get("tool_choice") == "none":
            body.pop("tools", None)

    async def handle_request(self, body: dict[str, Any], request_id: str) -> Any:
        """Answer. Raises Refused."""
        try:
            return await super().handle_request(body, request_id)
        except TemplateError as problem:
            raise Refused(
                f"The model's chat template refuses these messages: {problem}", param="messages"
            ) from None

    def _build_generation_config(
        self, body: dict[str, Any], model_generation_config: Any, use_cb: bool = False
    ) -> Any:
        return self._configured(body, model_generation_config, wish(body, CHAT))

    def _streaming(self, *given: Any, **named: Any) -> StreamingResponse:
        return ended(super()._streaming(*given, **named))

    def _build_chunk_sse(self, request_id: str = "", **said: Any) -> str:
        if said.get("content") is None or len(said) != 2:
            return super()._build_chunk_sse(request_id, **said)
        choice = {"delta": {"content": said["content"]}, "index": 0}
        return piece(request_id, "chat.completion.chunk", said["model"], choice)


class Completions(Named, CompletionHandler):
    """/v1/completions."""

    def _validate_request(self, body: dict[str, Any]) -> None:
        wish(body, COMPLETION)
        check_prompt(body)

    def _build_generation_config(
        self, body: dict[str, Any], model_generation_config: Any, use_cb: bool = False
    ) -> Any:
        return self._configured(body, model_generation_config, wish(body, COMPLETION))

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
