"""How prompts are read."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kaito.engine.errors import Refused
from kaito.engine.serving.prompts import AT_ONCE, Prompts


class Tokenizer:
    """Makes one token of a text, and remembers which thread asked for it."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def get_vocab(self) -> dict[str, int]:
        return {"a": 0, "ab" * 50: 1}

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        self.threads.append(threading.current_thread())
        return {"input_ids": [0]}

    def apply_chat_template(self, messages: Any, **said: Any) -> str:
        return str(messages[0]["content"] + 1)


async def test_a_long_prompt_is_read_aside_so_that_nobody_waits_for_it() -> None:
    tokenizer = Tokenizer()
    prompts = Prompts(tokenizer, 1000)
    await prompts.text({"prompt": "a"})
    await prompts.text({"prompt": "a" * (AT_ONCE + 1)})
    assert tokenizer.threads[0] is threading.current_thread()
    assert tokenizer.threads[1] is not threading.current_thread()


async def test_a_prompt_that_cannot_fit_is_refused_before_it_is_read() -> None:
    tokenizer = Tokenizer()
    with pytest.raises(Refused, match="100001 characters"):
        await Prompts(tokenizer, 1000).text({"prompt": "a" * 100_001})
    assert not tokenizer.threads


async def test_what_a_template_cannot_write_is_the_clients_affair() -> None:
    with pytest.raises(Refused, match="template refuses these messages") as raised:
        await Prompts(Tokenizer(), 9).chat({"messages": [{"role": "user", "content": "x"}]})
    assert raised.value.status == 400
