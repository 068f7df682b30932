"""Field errors: what is wrong with one field, in the words that clients parse."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver import gojson
from kaito.local.apiserver.opaque import Opaque

NOTHING = object()
REASONS = {
    "Required value": "FieldValueRequired",
    "Invalid value": "FieldValueInvalid",
    "Duplicate value": "FieldValueDuplicate",
    "Unsupported value": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
    "Not found": "FieldValueNotFound",
    "Too long": "FieldValueTooLong",
    "Too many": "FieldValueTooMany",
    "Internal error": "InternalError",
    "type": "FieldValueTypeInvalid",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One cause. `what` is a key of REASONS; `value` is shown as the server prints it."""

    field: str
    what: str
    value: Any = NOTHING
    detail: str = ""

    def text(self) -> str:
        head = "Invalid value" if self.what == "type" else self.what
        if self.value is not NOTHING and self.what not in {
            "Required value",
            "Forbidden",
            "Too long",
            "Internal error",
        }:
            head += ": " + shown(self.value)
        return f"{head}: {self.detail}" if self.detail else head

    def cause(self) -> dict[str, str]:
        return {"reason": REASONS[self.what], "message": self.text(), "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.text()}"


class Raw(str):
    """A value printed as it stands, without quotes."""

    __slots__ = ()


def shown(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return go_quote(value)
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return gojson.text(value if isinstance(value, Opaque) else gojson.by_key(value))


def go_quote(text: str) -> str:
    """A string in double quotes as Go's %q prints it."""
    out = ['"']
    for char in text:
        if char == '"' or char == "\\":
            out.append("\\" + char)
        elif char in "\n\t\r\a\b\f\v":
            out.append(
                {
                    "\n": "\\n",
                    "\t": "\\t",
                    "\r": "\\r",
                    "\a": "\\a",
                    "\b": "\\b",
                    "\f": "\\f",
                    "\v": "\\v",
                }[char]
            )
        elif char.isprintable():
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")
    out.append('"')
    return "".join(out)


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(field, "Required value", detail=detail)


def wrong(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(field, "Invalid value", value, detail)


def denied(field: str, detail: str) -> FieldError:
    return FieldError(field, "Forbidden", detail=detail)


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError(field, "Duplicate value", value)


def missing(field: str, value: Any) -> FieldError:
    return FieldError(field, "Not found", value)


def unsupported(field: str, value: Any, allowed: Iterable[str]) -> FieldError:
    return listed(field, value, sorted(allowed))


def listed(field: str, value: Any, allowed: Iterable[str]) -> FieldError:
    """An unsupported value whose alternatives keep the order given."""
    known = ", ".join(go_quote(a) for a in allowed)
    return FieldError(field, "Unsupported value", value, f"supported values: {known}")


def too_long(field: str, limit: int) -> FieldError:
    return FieldError(field, "Too long", detail=f"may not be more than {limit} bytes")


def too_many(field: str, count: int, limit: int) -> FieldError:
    return FieldError(field, "Too many", count, f"must have at most {limit} items")


def unchangeable(field: str, value: Any) -> FieldError:
    return wrong(field, value, "field is immutable")
