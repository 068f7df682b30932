"""A model's configuration as strangers wrote it: a JSON object read field by field, with types.

A field that is absent or null is None; one of the wrong type or size is an error that names it.
This module knows no field and no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

LARGEST = 10**15  # sizes in bytes stay below it; keeps what follows from numbers finite
LARGEST_FACTOR = 10**6  # that a size is multiplied by
LONGEST = 10_000  # entries of a list; the deepest models have some hundred layers
SHOWN = 40  # characters of a value that a message repeats


class ModelError(Exception):
    """A model cannot be read. The message is one sentence with the way out.

    ModelError
    ├── Unreadable    its configuration is no use: correct the file, or name another model
    └── HubError      the hub did not give it (kaito/catalog/hub.py draws the rest)
    """


class Unreadable(ModelError):
    """The configuration is not that of a model which can be run."""


@dataclass(frozen=True, slots=True)
class Config:
    """The fields of one configuration. Every reader raises Unreadable."""

    owner: str
    """Whose it is, as messages call it."""
    fields: Mapping[str, object] = field(default_factory=dict)

    def number(self, *keys: str, least: int = 1) -> int | None:
        """The first of these that is there, a whole number from `least` on."""
        return _first(self._number(key, least) for key in keys)

    def factor(self, key: str) -> float | None:
        """A number above 0, that sizes are multiplied by."""
        value = self.fields.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, value, "a number")
        if not 0 < value <= LARGEST_FACTOR:
            raise self._wrong(key, value, f"a number above 0, up to {LARGEST_FACTOR}")
        return float(value)

    def numbers(self, key: str) -> list[int | None] | None:
        """A list of whole numbers from 0 on; null stays null."""
        values = self._list(key)
        if values is None:
            return None
        return [None if value is None else self._whole(key, value, 0) for value in values]

    def text(self, *keys: str) -> str | None:
        """The first of these that is there and not empty."""
        return _first(self._text(key) for key in keys)

    def texts(self, key: str) -> list[str] | None:
        """A list of texts."""
        values = self._list(key)
        if values is None:
            return None
        for value in values:
            if not isinstance(value, str):
                raise self._wrong(key, value, "a list of texts")
        return [str(value) for value in values]

    def flag(self, key: str) -> bool | None:
        """True or false."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def section(self, *keys: str) -> Config:
        """The object under the first of these that is there; without fields where none is."""
        for key in keys:
            value = self.fields.get(key)
            if value is None:
                continue
            if not isinstance(value, Mapping):
                raise self._wrong(key, value, "an object")
            return Config(self.owner, value)
        return Config(self.owner)

    def sections(self, key: str) -> list[Config]:
        """A list of objects; empty where it is absent."""
        found = []
        for value in self._list(key) or ():
            if not isinstance(value, Mapping):
                raise self._wrong(key, value, "a list of objects")
            found.append(Config(self.owner, value))
        return found

    def over(self, under: Config) -> Config:
        """These fields, and those of another where they are absent here."""
        mine = {key: value for key, value in self.fields.items() if value is not None}
        return Config(self.owner, {**under.fields, **mine})

    def is_list(self, key: str) -> bool:
        """Whether a field that may have several types holds a list."""
        return isinstance(self.fields.get(key), list)

    def is_text(self, key: str) -> bool:
        """Whether a field that may have several types holds a text."""
        return isinstance(self.fields.get(key), str)

    def _number(self, key: str, least: int) -> int | None:
        value = self.fields.get(key)
        return None if value is None else self._whole(key, value, least)

    def _whole(self, key: str, value: object, least: int) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= LARGEST:
            raise self._wrong(key, value, f"a whole number from {least} to {LARGEST}")
        return value

    def _text(self, key: str) -> str | None:
        value = self.fields.get(key)
        if value is not None and not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        return value or None

    def _list(self, key: str) -> Sequence[object] | None:
        value = self.fields.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) > LONGEST:
            raise self._wrong(key, value, f"a list of at most {LONGEST} entries")
        return value

    def _wrong(self, key: str, value: object, wanted: str) -> Unreadable:
        return Unreadable(
            f"The configuration of {self.owner} says that {key} is {_shown(value)}, but it must "
            f"be {wanted}: correct it, or name another model."
        )


def parse(owner: str, data: bytes) -> Config:
    """The configuration in a file's bytes. Infinity and NaN, which are no JSON, count as null.

    Raises Unreadable for what is no JSON object, or nested too deep to be one.
    """
    try:
        value = json.loads(data, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"The configuration of {owner} is no JSON ({_reason(error)}): give the config.json "
            "that comes with the weights."
        ) from error
    if not isinstance(value, dict):
        raise Unreadable(
            f"The configuration of {owner} is {_shown(value)} where a JSON object is due: give the "
            "config.json that comes with the weights."
        )
    return Config(owner, value)


def _first(found: Iterable[T | None]) -> T | None:
    return next((value for value in found if value is not None), None)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}: {error.msg}"
    return "it is nested too deep" if isinstance(error, RecursionError) else "not in UTF-8"


def _shown(value: object) -> str:
    match value:
        case str():
            text = json.dumps(value)
            return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
        case bool() | None:
            return json.dumps(value)
        case int() if abs(value) > LARGEST:
            return "a number beyond all models"
        case int() | float():
            return str(value)
        case list():
            return f"a list of {len(value)}"
        case _:
            return "an object"
