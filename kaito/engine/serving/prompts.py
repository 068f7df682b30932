"""From messages and texts to the tokens that the model reads.

The handlers of `transformers serve` do so between two turns of the event loop, where a long text
keeps everybody waiting, and take what a template cannot write for an error of the server.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.cli.serving.utils import BaseHandler, Modality

from kaito.engine.errors import Refused

# What a template is given by us or by its language, and no request may give in its place.
RESERVED = frozenset(
    [
        *inspect.signature(PreTrainedTokenizerBase.apply_chat_template).parameters,
        *("messages", "raise_exception", "strftime_now", "load_audio_from_video"),
    ]
)
AT_ONCE = 8192  # characters; what is longer is read aside, for it takes more than a few ms
TOO_LONG = "context_length_exceeded"


class Prompts:
    """Reads prompts, one long one at a time."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer = tokenizer
        self._context = context
        # No token stands for more, so a longer text need not be read to be known to be too long.
        self._most = context * max(map(len, tokenizer.get_vocab()))
        # One, for tokenizers are changed by some of their methods while others may use them.
        self._aside = ThreadPoolExecutor(1, "prompts")

    async def text(self, body: Mapping[str, Any]) -> list[int]:
        """The tokens of a prompt. Raises Refused."""
        return await self._read(body, lambda: self._tokens(body["prompt"], special=True))

    async def chat(self, body: Mapping[str, Any]) -> list[int]:
        """The tokens of a chat, as the model's template writes it. Raises Refused."""
        return await self._read(body, lambda: self._tokens(self._written(body), special=False))

    async def _read(self, body: object, read: Callable[[], list[int]]) -> list[int]:
        if _characters(body) <= AT_ONCE:
            return read()
        return await asyncio.get_running_loop().run_in_executor(self._aside, read)

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        if len(text) > self._most:
            raise Refused(
                f"The prompt has {len(text)} characters, and the model reads {self._context} "
                "tokens with its answer; shorten it.",
                code=TOO_LONG,
            )
        found: list[int] = self._tokenizer(text, add_special_tokens=special)["input_ids"]
        return found

    def _written(self, body: Mapping[str, Any]) -> str:
        messages = [
            {name: value for name, value in each.items() if value not in (None, [])}
            for each in body["messages"]
        ]
        try:
            written: str = self._tokenizer.apply_chat_template(
                BaseHandler.get_processor_inputs_from_messages(messages, Modality.LLM),
                tools=body.get("tools"),
                add_generation_prompt=True,
                tokenize=False,
                **body.get("chat_template_kwargs", {}),
            )
        except Exception as problem:
            # Templates are programs that come with models, and this is their input.
            raise Refused(
                f"The model's chat template refuses these messages: {problem}", param="messages"
            ) from problem
        return written


def _characters(value: object) -> int:
    """Of all texts in a value. Not by recursion, for it may be nested deeply."""
    found, left = 0, [value]
    while left:
        match left.pop():
            case str() as text:
                found += len(text)
            case Mapping() as inner:
                left.extend(inner.values())
            case list() as inner:
                left.extend(inner)
    return found
