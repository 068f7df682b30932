"""`POST /chat` of KAITO's first releases, in terms of OpenAI's API. Pure.

A request has `prompt` or `messages`, and `generate_kwargs` as the generate method of transformers
takes them; the answer is `{"Result": TEXT}` (kaito.md 3.13). What both kinds of engine can do is
translated, and everything else is refused with its name: an answer that was made otherwise than
asked for would be worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kaito.engine.errors import Refused

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
LENGTH, TOP_K = 200, 10  # what was generated where nothing was said
FIELDS = ("generate_kwargs", "messages", "model", "prompt", "return_full_text")
# Of the pipeline that these releases ran; they change nothing where texts are whole.
WITHOUT_EFFECT = ("clean_up_tokenization_spaces", "handle_long_generation", "return_tensors")
# By their names in both APIs, where a value means the same.
SAME = {
    "max_new_tokens": "max_tokens",
    # It counted the prompt, too; here it bounds the answer alone.
    "max_length": "max_tokens",
    "min_new_tokens": "min_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
    "stop_strings": "stop",
}
# Ways to generate that neither engine has, and the value that asks for none of them.
OTHER_WAYS: Mapping[str, object] = {
    "num_beams": 1,
    "num_beam_groups": 1,
    "penalty_alpha": 0,
    "no_repeat_ngram_size": 0,
    "num_return_sequences": 1,
    "early_stopping": False,
    "use_cache": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One historical request, as it is asked of the engine."""

    path: str
    body: Mapping[str, object]
    before: str
    """What stands before the answer in Result: a completion repeats its prompt unless it is told
    not to."""


def question(said: object, model: str | None = None) -> Question:
    """What a request asks, of this model unless it names one. Refused says what is wrong."""
    if not isinstance(said, Mapping):
        raise Refused("The body must be a JSON object.")
    for name in said:
        if name not in FIELDS and name not in WITHOUT_EFFECT:
            raise Refused(
                f"{name} is no field of /chat; fields are {', '.join(FIELDS)}.", param=str(name)
            )
    prompt, messages = said.get("prompt"), said.get("messages")
    if (prompt is None) == (messages is None):
        raise Refused("A request has either prompt or messages.", param="prompt")
    body: dict[str, object] = dict(_generation(said.get("generate_kwargs")))
    if chosen := said.get("model") or model:
        body["model"] = chosen
    if messages is not None:
        if not isinstance(messages, list) or not messages:
            raise Refused("messages must be a list with one message or more.", param="messages")
        return Question(path=CHAT, body={**body, "messages": messages}, before="")
    if not isinstance(prompt, str) or not prompt:
        raise Refused("prompt must be a text that is not empty.", param="prompt")
    whole = said.get("return_full_text", True)
    if not isinstance(whole, bool):
        raise Refused("return_full_text must be true or false.", param="return_full_text")
    return Question(
        path=COMPLETIONS, body={**body, "prompt": prompt}, before=prompt if whole else ""
    )


def result(asked: Question, answer: Mapping[str, object]) -> dict[str, str]:
    """The historical answer, from the engine's."""
    choices = answer["choices"]
    assert isinstance(choices, list)
    choice = choices[0]
    text = choice["text"] if asked.path == COMPLETIONS else choice["message"]["content"]
    return {"Result": asked.before + (text or "")}


def _generation(said: object) -> dict[str, object]:
    if said is None:
        said = {}
    if not isinstance(said, Mapping):
        raise Refused("generate_kwargs must be a JSON object.", param="generate_kwargs")
    body: dict[str, object] = {"max_tokens": LENGTH, "top_k": TOP_K}
    left = {name: value for name, value in said.items() if value is not None}
    sampled = left.pop("do_sample", True)
    if not isinstance(sampled, bool):
        raise _wrong("do_sample", "must be true or false")
    for name, value in left.items():
        if name == "max_length" and "max_new_tokens" in left:
            continue
        if name in SAME:
            body[SAME[name]] = _checked(name, value)
        elif name not in OTHER_WAYS:
            raise _wrong(name, f"is none that is known; known are {', '.join(SAME)} and do_sample")
        elif value != OTHER_WAYS[name]:
            raise _wrong(name, "asks for a way to generate that this engine does not have")
    if not sampled:
        body |= {"temperature": 0.0}
        body.pop("top_k")
    return body


def _checked(name: str, value: object) -> object:
    if name == "stop_strings":
        if isinstance(value, str | list):
            return value
        raise _wrong(name, "must be a text or a list of texts")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "must be a number")
    if SAME[name] == "max_tokens" and (isinstance(value, float) or value < 1):
        raise _wrong(name, "must be a whole number above 0")
    return value


def _wrong(name: str, why: str) -> Refused:
    return Refused(f"generate_kwargs.{name} {why}.", param=f"generate_kwargs.{name}")
