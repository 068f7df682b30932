"""What a record means: a chat, an instruction with its answer, or plain text. Pure.

Workers get one of three shapes: `messages`; `prompt` and `completion`, both lists of messages;
`text`. An instruction's loss is that of its answer alone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

CHATS = ("messages", "conversations")
# In the order in which they are looked for: a record may have several.
REQUESTS = ("instruction", "prompt", "question", "input", "context")
CONTEXTS = ("input", "context")
ANSWERS = ("completion", "response", "output", "answer")
SYSTEMS = ("system", "system_prompt")
PLAIN = "text"
KNOWN = (
    "messages (a chat), prompt and response, instruction and output with or without input "
    "(an instruction and its answer), or text (plain text)"
)
ROLES: Mapping[str, str] = MappingProxyType(
    {
        "assistant": "assistant",
        "bot": "assistant",
        "developer": "system",
        "gpt": "assistant",
        "human": "user",
        "model": "assistant",
        "system": "system",
        "user": "user",
    }
)

Message: TypeAlias = dict[str, str]
Example: TypeAlias = dict[str, str | list[Message]]


class Unfit(Exception):
    """A record is none of its form; the message ends a sentence that begins with its place."""


@dataclass(frozen=True, slots=True)
class Chat:
    """Messages with roles."""

    column: str
    kind = "chat"
    described = "chats"

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that are read."""
        return (self.column,)

    def example(self, record: Mapping[str, object]) -> Example:
        """As workers get it."""
        said = _written(record.get(self.column))
        if not isinstance(said, list):
            raise Unfit(f"has no list of messages in {self.column}")
        messages = [self._message(number, each) for number, each in enumerate(said, 1)]
        if not any(each["role"] == "assistant" for each in messages):
            raise Unfit("has no message of the assistant to learn from")
        return {"messages": messages}

    def _message(self, number: int, said: object) -> Message:
        if not isinstance(said, Mapping):
            raise Unfit(f"has a message {number} that is no object with role and content")
        role = said.get("role", said.get("from"))
        content = said.get("content", said.get("value"))
        known = ROLES.get(role) if isinstance(role, str) else None
        if known is None:
            raise Unfit(f"has a message {number} whose role is none of system, user and assistant")
        return {"role": known, "content": _text(content, f"the content of message {number}")}


@dataclass(frozen=True, slots=True)
class Instruction:
    """A request, perhaps with a text that it is about, and the answer to it."""

    request: str
    answer: str
    context: str = ""
    system: str = ""
    kind = "instruction"
    described = "instructions with answers"

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that are read."""
        names = (self.request, self.answer, self.context, self.system)
        return tuple(each for each in names if each)

    def example(self, record: Mapping[str, object]) -> Example:
        """As workers get it."""
        request = _column(record, self.request)
        context = _optional(record, self.context)
        system = _optional(record, self.system)
        answer = _column(record, self.answer)
        user: Message = {
            "role": "user",
            "content": f"{request}\n\n{context}" if context else request,
        }
        return {
            "prompt": [{"role": "system", "content": system}, user] if system else [user],
            "completion": [{"role": "assistant", "content": answer}],
        }


@dataclass(frozen=True, slots=True)
class Plain:
    """Text to go on with."""

    column: str
    kind = "plain"
    described = "plain texts"

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that are read."""
        return (self.column,)

    def example(self, record: Mapping[str, object]) -> Example:
        """As workers get it."""
        return {"text": _column(record, self.column)}


Form: TypeAlias = Chat | Instruction | Plain


def asked(dataset: Mapping[str, object]) -> Form | None:
    """The form that DatasetConfig says, None when it leaves that to the data."""
    chat, request, answer = (
        str(dataset.get(f"{name}_column") or "") for name in ("messages", "context", "response")
    )
    if chat:
        return Chat(chat)
    if request:
        return Instruction(request, answer)
    return Plain(answer) if answer else None


def choose(columns: Collection[str]) -> Form | None:
    """The form that has these columns, None when none has."""

    def first(names: Collection[str], *but: str) -> str:
        return next((each for each in names if each in columns and each not in but), "")

    if chat := first(CHATS):
        return Chat(chat)
    request = first(REQUESTS)
    answer = first(ANSWERS)
    if request and answer:
        context = first(CONTEXTS, request)
        return Instruction(request, answer, context, first(SYSTEMS))
    return Plain(PLAIN) if PLAIN in columns else None


def _written(value: object) -> object:
    """Tables without lists have them as JSON in a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _column(record: Mapping[str, object], name: str) -> str:
    if record.get(name) is None:
        raise Unfit(f"has no {name}")
    return _text(record[name], name)


def _optional(record: Mapping[str, object], name: str) -> str:
    value = record.get(name) if name else None
    if value is None or value == "":
        return ""
    return _text(value, name, empty=True)


def _text(value: object, what: str, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise Unfit(f"has {_worded(value)} in place of a text as {what}")
    if not value.strip() and not empty:
        raise Unfit(f"has nothing as {what}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit(f"has half a character, from an escape, in {what}") from None
    return value


def _worded(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case list():
            return "a list"
        case dict():
            return "an object"
    return "another value"
