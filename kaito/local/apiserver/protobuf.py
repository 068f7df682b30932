"""Protobuf request bodies, read into the same objects as JSON ones.

kubectl sends some creations this way and takes JSON back, so nothing is ever written as protobuf.
The messages are those of data/protobuf.json; other kinds are refused.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.schema import Node, TypeTable

Object = dict[str, Any]
MAGIC = b"k8s\x00"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class ProtobufError(ValueError):
    """The body is not a message that this server reads."""


@lru_cache(1)
def _numbers() -> dict[str, dict[str, str]]:
    text = resources.files("kaito.local.apiserver").joinpath("data/protobuf.json").read_bytes()
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of every field: ints, or bytes for what has a length."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind == BYTES:
            size, at = _varint(data, at)
            yield tag >> 3, _piece(data, at, size)
            at += size
        elif kind == FIXED64:
            yield tag >> 3, _piece(data, at, 8)
            at += 8
        elif kind == FIXED32:
            yield tag >> 3, _piece(data, at, 4)
            at += 4
        else:
            raise ProtobufError("proto: illegal wireType " + str(kind))


def _piece(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise ProtobufError("unexpected EOF")
    return data[at : at + size]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise ProtobufError("unexpected EOF")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7


def decode(body: bytes, types: TypeTable, model: str) -> Object:
    """An object from its envelope. Raises ProtobufError."""
    if not body.startswith(MAGIC):
        raise ProtobufError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    if body == MAGIC:
        raise ProtobufError("empty body")
    try:
        return _decode(body[len(MAGIC) :], types, model)
    except (AttributeError, TypeError, OverflowError, RecursionError, struct.error) as error:
        raise ProtobufError("proto: wrong wireType") from error
    except UnicodeDecodeError as error:
        raise ProtobufError("proto: invalid UTF-8") from error


def _decode(body: bytes, types: TypeTable, model: str) -> Object:
    envelope: dict[int, Any] = dict(fields(body))
    meta = {n: v.decode() for n, v in fields(envelope.get(1, b""))}
    if model not in _numbers():
        raise ProtobufError(f"no protobuf message is known for {meta.get(2, model)}")
    found = _message(envelope.get(2, b""), types.node(model), model)
    found["apiVersion"], found["kind"] = meta.get(1, ""), meta.get(2, "")
    return found


def _message(data: bytes, node: Node, model: str) -> Object:
    table = _numbers().get(model, {})
    out: Object = {}
    for number, value in fields(data):
        name = table.get(str(number))
        if name is None:
            continue
        if name.startswith("*"):
            out.update(_message(value, node, name[1:]))
            continue
        known = node.fields.get(name)
        if known is None:
            continue
        _put(out, name, known.node, value)
    return out


def _put(out: Object, name: str, node: Node, value: Any) -> None:
    if node.form == "list":
        assert node.element is not None
        out.setdefault(name, []).append(_value(node.element, value))
    elif node.form == "map":
        assert node.element is not None
        entry = dict(fields(value))
        key = entry.get(1, b"").decode()
        item = entry.get(2, b"" if node.element.form != "scalar" else None)
        out.setdefault(name, {})[key] = _value(node.element, item) if item is not None else ""
    elif value or node.scalar not in {"t", "mt"}:  # an empty time is no time
        out[name] = _value(node, value)


def _value(node: Node, value: Any) -> Any:
    if node.form == "struct":
        return _message(value, node, node.name)
    if node.form == "list":
        assert node.element is not None
        return [_value(node.element, v) for n, v in fields(value) if n == 1]
    if node.form != "scalar":
        raw = dict(fields(value)).get(1, b"null")
        return json.loads(raw)
    return _scalar(node.scalar, value)


def _scalar(code: str, value: Any) -> Any:
    match code:
        case "s":
            return value.decode()
        case "b":
            return bool(value)
        case "i32" | "i64":
            return value - (1 << 64) if value >= 1 << 63 else value
        case "f":
            return struct.unpack("<d", value)[0]
        case "B":
            return base64.b64encode(value).decode()
        case "q":
            return dict(fields(value)).get(1, b"0").decode()
        case "ios":
            parts = dict(fields(value))
            return parts.get(3, b"").decode() if parts.get(1) else _scalar("i32", parts.get(2, 0))
    parts = dict(fields(value))
    moment = datetime.fromtimestamp(parts.get(1, 0), UTC).replace(
        microsecond=parts.get(2, 0) // 1000
    )
    return times.micros(moment) if code == "mt" else times.seconds(moment)
