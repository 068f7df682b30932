"""What a request may ask, by OpenAI's names and vLLM's where OpenAI has none. Pure.

Everything is looked at before anything is done. What this server cannot do is refused with the
field and the way out; only what changes no answer is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaito.engine.errors import Refused

MOST_STOPS = 16
LONGEST_STOP = 256  # characters
GREEDY = 1e-5  # temperatures below it mean the likeliest token, as with vLLM

# Told, and without effect on an answer.
PASSED_OVER = frozenset(
    [
        *("user", "metadata", "store", "service_tier", "stream_options", "parallel_tool_calls"),
        *("safety_identifier", "prompt_cache_key"),
    ]
)
SHARED = frozenset(
    [
        *("model", "stream", "max_tokens", "min_tokens", "temperature", "top_p", "top_k", "min_p"),
        *("repetition_penalty", "frequency_penalty", "presence_penalty", "logit_bias", "seed"),
        *("stop", "ignore_eos"),
    ]
)
CHAT = SHARED | {
    "messages",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "chat_template_kwargs",
}
COMPLETION = SHARED | {"prompt"}
# What is asked for by other values than these cannot be done here.
NOT_DONE: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "suffix": ("",),
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "functions": ([],),
    "function_call": ("none",),
    "reasoning_effort": (),
    "verbosity": (),
    "web_search_options": (),
    "generation_config": (),
}
TOOL_CHOICES = ("auto", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the tokens of one answer are chosen, and when it ends."""

    temperature: float | None = None
    """None for the model's own; 0 for the likeliest token always."""
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)
    seed: int | None = None
    max_tokens: int | None = None
    """None for as many as there is room for."""
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    ignore_eos: bool = False


def wish(body: Mapping[str, Any], known: frozenset[str], vocabulary: int) -> Wish:
    """What a request to an endpoint with these fields wishes of a model with so many tokens. Raises
    Refused."""
    for name, value in body.items():
        if value is None or name in known or name in PASSED_OVER:
            continue
        if name not in NOT_DONE:
            raise Refused(f"There is no field {_shown(name)} here; leave it out.", param=name[:60])
        if not any(value == each and type(value) is type(each) for each in NOT_DONE[name]):
            raise Refused(
                f"{name} asks for something that this server does not do; leave it out.", param=name
            )
    _flag(body, "stream")
    limit = _whole(body, "max_completion_tokens", 1)
    return Wish(
        temperature=_number(body, "temperature", 0.0, 100.0),
        top_p=_number(body, "top_p", 0.0, 1.0, above=True),
        top_k=_top_k(body),
        min_p=_number(body, "min_p", 0.0, 1.0),
        repetition_penalty=_number(body, "repetition_penalty", 0.0, 100.0, above=True),
        frequency_penalty=_number(body, "frequency_penalty", -2.0, 2.0) or 0.0,
        presence_penalty=_number(body, "presence_penalty", -2.0, 2.0) or 0.0,
        logit_bias=_bias(body, vocabulary),
        seed=_whole(body, "seed", -(2**63), 2**63 - 1),
        max_tokens=limit if limit is not None else _whole(body, "max_tokens", 1),
        min_tokens=_whole(body, "min_tokens", 0) or 0,
        stop=_stop(body),
        ignore_eos=_flag(body, "ignore_eos"),
    )


def check_prompt(body: Mapping[str, Any]) -> None:
    """That a completion has a text to go on from. Raises Refused."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise Refused(
            "prompt must be one text that is not empty; send several as several requests.",
            param="prompt",
        )
    _text(prompt, "prompt")


def check_chat(body: Mapping[str, Any], reserved: frozenset[str]) -> None:
    """That a chat has messages of text, and that its options are no `reserved` names of what
    applies the template. Raises Refused."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("messages must be a list with one message or more.", param="messages")
    for place, message in enumerate(messages):
        _check_message(message, f"messages[{place}]")
    tools = body.get("tools")
    if tools is not None and not (isinstance(tools, list) and all(map(_is_tool, tools))):
        raise Refused(
            "tools must be a list of objects with type function and function.name.", param="tools"
        )
    choice = body.get("tool_choice")
    if choice is not None and choice not in TOOL_CHOICES:
        raise Refused(
            f"tool_choice must be one of {', '.join(TOOL_CHOICES)}: this server cannot force a "
            "call.",
            param="tool_choice",
        )
    options = body.get("chat_template_kwargs")
    if options is None:
        return
    if not isinstance(options, dict) or not reserved.isdisjoint(options):
        raise Refused(
            "chat_template_kwargs must be an object with variables of the model's template.",
            param="chat_template_kwargs",
        )


def _check_message(message: object, path: str) -> None:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Refused(f"{path} must be an object with role and content.", param=path)
    _text(message["role"], f"{path}.role")
    calls = message.get("tool_calls")
    if calls not in (None, []) and not _are_calls(calls):
        raise Refused(
            f"{path}.tool_calls must be a list of calls with function.name and "
            "function.arguments (JSON).",
            param=path,
        )
    content = message.get("content")
    if content is None or isinstance(content, str):
        _text(content or "", f"{path}.content")
        return
    if not isinstance(content, list):
        raise Refused(f"{path}.content must be a text or a list of parts.", param=f"{path}.content")
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else type(part).__name__
        if not isinstance(part, dict) or kind not in ("text", "input_text"):
            raise Refused(
                f"{path}.content has a part of type {_shown(kind)}, and this server reads text "
                "alone.",
                param=f"{path}.content",
            )
        if not isinstance(part.get("text"), str):
            raise Refused(f"{path}.content has a part without text.", param=f"{path}.content")
        _text(part["text"], f"{path}.content")


def _are_calls(calls: object) -> bool:
    if not isinstance(calls, list):
        return False
    functions = [each.get("function") if isinstance(each, dict) else None for each in calls]
    return all(
        isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and _are_arguments(each.get("arguments"))
        for each in functions
    )


def _are_arguments(said: object) -> bool:
    if isinstance(said, str):
        try:
            json.loads(said)
        except (ValueError, RecursionError):
            return False
    return isinstance(said, str | dict)


def _is_tool(said: object) -> bool:
    function = said.get("function") if isinstance(said, dict) else None
    return isinstance(function, dict) and isinstance(function.get("name"), str)


def _text(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refused(
            f"{path} has half of a surrogate pair, which is no character.", param=path
        ) from None


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise Refused(f"{name} must be true or false, not {_shown(value)}.", param=name)
    return bool(value)


def _number(
    body: Mapping[str, Any], name: str, least: float, most: float, *, above: bool = False
) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if not right or not least <= value <= most or (above and value == least):
        edge = "above" if above else "at least"
        raise Refused(
            f"{name} must be a number {edge} {least:g} and at most {most:g}, not {_shown(value)}.",
            param=name,
        )
    return float(value)


def _whole(body: Mapping[str, Any], name: str, least: int, most: int = 2**31) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refused(
            f"{name} must be a whole number from {least} to {most}, not {_shown(value)}.",
            param=name,
        )
    return value


def _top_k(body: Mapping[str, Any]) -> int | None:
    value = _whole(body, "top_k", -1)
    return 0 if value == -1 else value  # both mean all


def _bias(body: Mapping[str, Any], vocabulary: int) -> dict[int, float]:
    value = body.get("logit_bias")
    if value is None:
        return {}
    found = {}
    for token, bias in value.items() if isinstance(value, dict) else [("", value)]:
        right = isinstance(bias, int | float) and not isinstance(bias, bool)
        # Longer ones are beyond every vocabulary, and may be beyond what int reads.
        number = token.isascii() and token.isdecimal() and len(token) < 10
        if not number or int(token) >= vocabulary or not right or not -100 <= bias <= 100:
            raise Refused(
                f"logit_bias must be an object of token numbers from 0 to {vocabulary - 1} and "
                "biases from -100 to 100.",
                param="logit_bias",
            )
        found[int(token)] = float(bias)
    return found


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    value = body.get("stop")
    texts: Sequence[object] = (
        () if value is None else value if isinstance(value, list) else (value,)
    )
    if len(texts) > MOST_STOPS:
        raise Refused(
            f"stop has {len(texts)} texts; at most {MOST_STOPS} are looked for.", param="stop"
        )
    found = []
    for each in texts:
        if not isinstance(each, str) or not 1 <= len(each) <= LONGEST_STOP:
            raise Refused(
                f"stop must be texts of 1 to {LONGEST_STOP} characters, not {_shown(each)}.",
                param="stop",
            )
        found.append(each)
    return tuple(found)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
