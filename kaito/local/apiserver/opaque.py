"""Values that the server keeps as text: equal only if they are written alike.

A body's JSON is kept as it came. What went through a typed merge or YAML is a plain dict, which
stands for its compact text with sorted keys.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kaito.local.apiserver import gojson

Object = dict[str, Any]
_texts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Opaque(Object):
    """A JSON object and the text that it was read from."""

    __slots__ = ("text",)

    def __init__(self, value: Object, text: str) -> None:
        super().__init__(value)
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and self.text == text_of(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None


def copied(value: Any) -> Any:
    """A copy of decoded JSON that shares nothing; `copy.deepcopy` takes four times as long."""
    kind = type(value)
    if kind is dict:
        return {k: v if type(v) is str else copied(v) for k, v in value.items()}
    if kind is list:
        return [v if type(v) is str else copied(v) for v in value]
    if kind is Opaque:
        return Opaque({k: copied(v) for k, v in value.items()}, value.text)
    return value


def text_of(value: Object) -> str:
    if isinstance(value, Opaque):
        return value.text
    return gojson.text(gojson.by_key(value))


def as_written(value: Any, body: bytes, field: str) -> Any:
    """A member of a JSON body with its text; only objects have one."""
    return Opaque(value, bytes(_texts(body)[field]).decode()) if isinstance(value, dict) else value


def compact(value: Any) -> Any:
    """A value that a patch printed anew."""
    return Opaque(value, gojson.text(value)) if isinstance(value, dict) else value


class KeptText:
    """Stores one field with its text beside it, where the text says more than the value."""

    epoch = 0

    def __init__(self, field: str) -> None:
        self.field = field
        self._beside = field + "Text"

    def read(self, obj: Object) -> Object:
        text = obj.get(self._beside)
        if text is None:
            return obj
        found = {k: v for k, v in obj.items() if k != self._beside}
        found[self.field] = Opaque(found[self.field], text)
        return found

    def write(self, obj: Object) -> Object:
        value = obj.get(self.field)
        if not isinstance(value, Opaque) or value == dict(value):
            return obj
        return {**obj, self._beside: value.text}
