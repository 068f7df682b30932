"""JSON text: parse it fast, and explain what is wrong with it as the server does.

Numbers keep their kind: an integer literal is an int, anything else a float.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import msgspec

from kaito.local.apiserver.scalars import LONGEST, Literal

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
encode_sorted = msgspec.json.Encoder(order="sorted").encode
TOO_DEEP = "exceeded max depth"
WORD = 1 << 63  # integers from here on, and below its negative, are doubles
LARGEST = 10**308  # about the largest double
EXPONENTS = 1e21  # from here on numbers are printed with an exponent
SCIENCE, SIGNS = (b"e", b"E"), (b"+", b"-")
# The parts of a number behind its sign: how one starts, all of it, and where a fault in it is.
NUMBER: tuple[tuple[tuple[bytes, ...], re.Pattern[bytes], str], ...] = (
    ((), re.compile(rb"0|[1-9]\d*"), "in numeric literal"),
    ((b".",), re.compile(rb"\.\d+"), "after decimal point in numeric literal"),
    (SCIENCE, re.compile(rb"[eE][-+]?\d+"), "in exponent of numeric literal"),
)
HEX = re.compile(rb"[0-9a-fA-F]{0,4}")


class TextError(ValueError):
    """The text is not JSON or YAML; the message is the server's."""


def encode(value: object) -> bytes:
    return _encode(value)


def parse_json(text: bytes) -> Any:
    """The value of a JSON text. Raises TextError."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        fault = explain(text)
        if fault:
            raise TextError(fault) from error
        return _lenient(text)


def _lenient(text: bytes) -> Any:
    """The value of JSON with halves of characters or broken UTF-8, which are replaced."""
    found = json.loads(
        text.decode(errors="replace"), parse_int=lambda digits: int(digits[:LONGEST])
    )
    shown = json.dumps(found, ensure_ascii=False)
    return json.loads(shown.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def parse_merging(text: bytes) -> Any:
    """The value of a JSON text where a repeated object adds to the one before."""

    def gather(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            before = found.get(key)
            if isinstance(before, dict) and isinstance(value, dict):
                value = gather([*before.items(), *value.items()])
            found[key] = value
        return found

    return json.loads(text, object_pairs_hook=gather)


def whole_numbers(value: Any) -> Any:
    """A value whose numbers are printed as a real server prints them.

    Fractions without a rest become integers, integers that fill no word lose their last digits.
    """
    kind = type(value)
    if kind is dict:
        return {k: whole_numbers(v) for k, v in value.items()}
    if kind is list:
        return [whole_numbers(v) for v in value]
    if kind is int and not -WORD <= value < WORD and abs(value) < LARGEST:
        kind, value = float, float(value)
    if kind is float and value.is_integer() and abs(value) < EXPONENTS:
        return int(Decimal(repr(value)))
    return value


def parse_literal(text: bytes) -> Any:
    """The value of a JSON text whose fractions remember how they were written."""
    try:
        return msgspec.json.Decoder(float_hook=Literal).decode(text)
    except msgspec.DecodeError:
        return parse_json(text)


def explain(text: bytes) -> str:
    """The first fault of a text that is not JSON; empty where there is none."""
    return _Scanner(text).fault()


def may_repeat_keys(text: bytes, value: object) -> bool:
    """Cheap test: a repeated key was dropped, so the value has fewer quotes than the text."""
    return b"\\" in text or text.count(b'"') != _encode(value).count(b'"')


def repeated_keys(text: bytes) -> list[str]:
    """Paths of keys that occur twice in one object, in the order of the text."""
    return _Scanner(text).repeats()


def key_paths(text: bytes) -> list[str]:
    """The path of every key in the order of the text, repeated ones as often as they occur."""
    return _Scanner(text).paths()


class _Scanner:
    """Reads JSON byte by byte; slow, and only used to say what is wrong or repeated."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0
        self.found: list[str] = []
        self.keys: list[str] = []

    def fault(self) -> str:
        try:
            self.space()
            self.value("")
            self.space()
            if self.at < len(self.text):
                return f"invalid character {self.char()} after top-level value"
        except TextError as error:
            return str(error)
        except RecursionError:
            return TOO_DEEP
        return ""

    def repeats(self) -> list[str]:
        try:
            self.space()
            self.value("")
        except TextError:
            pass
        return self.found

    def paths(self) -> list[str]:
        self.repeats()
        return self.keys

    def char(self) -> str:
        char = self.text[self.at : self.at + 1]
        shown = {b"'": "\\'", b'"': "'\"'", b"\n": "\\n", b"\t": "\\t", b"\\": "\\\\"}
        if char == b'"':
            return "'\"'"
        if char in shown:
            return f"'{shown[char]}'"
        code = char[0] if char else 0
        if 0x20 <= code < 0x7F:
            return f"'{chr(code)}'"
        return (
            f"'\\x{code:02x}'"
            if code < 0x80
            else f"'\\u{code:04x}'"
            if not chr(code).isprintable()
            else f"'{chr(code)}'"
        )

    def fail(self, where: str) -> TextError:
        if self.at >= len(self.text):
            return TextError("unexpected end of JSON input")
        return TextError(f"invalid character {self.char()} {where}")

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in b" \t\r\n":
            self.at += 1

    def value(self, path: str) -> None:
        char = self.text[self.at : self.at + 1]
        if char == b"{":
            self.object(path)
        elif char == b"[":
            self.array(path)
        elif char == b'"':
            self.string()
        elif char and (char.isdigit() or char == b"-"):
            self.number()
        else:
            self.literal()

    def literal(self) -> None:
        for word in (b"true", b"false", b"null"):
            if self.text[self.at : self.at + 1] == word[:1]:
                for i, char in enumerate(word):
                    if self.at >= len(self.text) or self.text[self.at] != char:
                        raise self.fail(f"in literal {word.decode()} (expecting '{chr(word[i])}')")
                    self.at += 1
                return
        raise self.fail("looking for beginning of value")

    def number(self) -> None:
        if self.text[self.at : self.at + 1] == b"-":
            self.at += 1
        for lead, pattern, where in NUMBER:
            if lead and self.text[self.at : self.at + 1] not in lead:
                continue
            found = pattern.match(self.text, self.at)
            if not found:
                self.at += len(lead[:1])
                if lead == SCIENCE and self.text[self.at : self.at + 1] in SIGNS:
                    self.at += 1
                raise self.fail(where)
            self.at = found.end()

    def string(self) -> str:
        start = self.at
        self.at += 1
        while True:
            if self.at >= len(self.text):
                raise self.fail("")
            char = self.text[self.at]
            if char == 0x22:
                self.at += 1
                break
            if char == 0x5C:
                self.at += 1
                if self.at < len(self.text) and self.text[self.at] not in b'"\\/bfnrtu':
                    raise self.fail("in string escape code")
                if self.text[self.at : self.at + 1] == b"u":
                    digits = HEX.match(self.text, self.at + 1)
                    assert digits is not None
                    if len(digits[0]) < 4:
                        self.at = digits.end()
                        raise self.fail("in \\u hexadecimal character escape")
            elif char < 0x20:
                raise self.fail("in string literal")
            self.at += 1
        try:
            return str(_decode(self.text[start : self.at]))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self.text[start + 1 : self.at - 1].decode(errors="replace")

    def object(self, path: str) -> None:
        self.at += 1
        self.space()
        seen: set[str] = set()
        if self.text[self.at : self.at + 1] == b"}":
            self.at += 1
            return
        while True:
            if self.text[self.at : self.at + 1] != b'"':
                raise self.fail("looking for beginning of object key string")
            key = self.string()
            inner = f"{path}.{key}" if path else key
            self.keys.append(inner)
            if key in seen and inner not in self.found:
                self.found.append(inner)
            seen.add(key)
            self.space()
            if self.text[self.at : self.at + 1] != b":":
                raise self.fail("after object key")
            self.at += 1
            self.space()
            self.value(inner)
            self.space()
            char = self.text[self.at : self.at + 1]
            self.at += 1
            if char == b"}":
                return
            if char != b",":
                self.at -= 1
                raise self.fail("after object key:value pair")
            self.space()

    def array(self, path: str) -> None:
        self.at += 1
        self.space()
        if self.text[self.at : self.at + 1] == b"]":
            self.at += 1
            return
        index = 0
        while True:
            self.value(f"{path}[{index}]")
            index += 1
            self.space()
            char = self.text[self.at : self.at + 1]
            self.at += 1
            if char == b"]":
                return
            if char != b",":
                self.at -= 1
                raise self.fail("after array element")
            self.space()
