"""JSON and YAML text: parse it fast, and explain what is wrong with it as the server does.

Numbers keep their kind: an integer literal is an int, anything else a float.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
import yaml

from kaito.local.apiserver.scalars import Literal

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
encode_sorted = msgspec.json.Encoder(order="sorted").encode
DIGITS = re.compile(rb"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


class TextError(ValueError):
    """The text is not JSON (or YAML); the message is the server's."""


def encode(value: object) -> bytes:
    return _encode(value)


def parse_json(text: bytes) -> Any:
    """The value of a JSON text. Raises TextError."""
    try:
        return _decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise TextError(explain(text)) from error


def parse_literal(text: bytes) -> Any:
    """The value of a JSON text whose fractions remember how they were written."""
    return msgspec.json.Decoder(float_hook=Literal).decode(text)


def explain(text: bytes) -> str:
    """The first fault of a text that is not JSON."""
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


def parse_yaml(text: bytes) -> Any:
    """The value of a YAML 1.1 text, keys turned into strings as JSON needs them."""
    try:
        return _stringed(yaml.load(text, Loader=_Loader))  # noqa: S506 a SafeLoader subclass
    except yaml.YAMLError as error:
        raise TextError(_yaml_fault(error)) from error


def repeated_yaml_keys(text: bytes) -> list[str]:
    """Keys set twice in one map of a YAML text, each as the server reports it."""
    found: list[str] = []

    def walk(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                name = str(key.value)
                if name in seen:
                    found.append(f'line {key.start_mark.line + 1}: key "{name}" already set in map')
                seen.add(name)
                walk(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                walk(item)

    try:
        walk(yaml.compose(text, Loader=_Loader))
    except yaml.YAMLError:
        return []
    return found


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    line = mark.line + isinstance(error, yaml.scanner.ScannerError) if mark is not None else 0
    where = f"line {line}: " if line else ""
    return f"yaml: {where}{problem}"


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the fast loader where it is built
    """YAML 1.1 without timestamps, which JSON does not have."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(
        r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON"
        r"|off|Off|OFF)$"
    ),
    list("yYnNtTfFoO"),
)


def _bool(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() in {"y", "yes", "true", "on"}


_Loader.add_constructor("tag:yaml.org,2002:bool", _bool)


def _stringed(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key(k): _stringed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_stringed(v) for v in value]
    return value


def _key(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


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
        return "invalid JSON"

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
            if not self.text[self.at : self.at + 1].isdigit():
                raise self.fail("in numeric literal")
            self.at -= 1
        found = DIGITS.match(self.text, self.at)
        if not found:
            raise self.fail("in numeric literal")
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
            elif char < 0x20:
                raise self.fail("in string literal")
            self.at += 1
        try:
            return str(_decode(self.text[start : self.at]))
        except msgspec.DecodeError:
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
