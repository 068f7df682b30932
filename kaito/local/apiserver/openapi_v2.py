"""OpenAPI v2, which kubectl still checks lists against: JSON, or gnostic's protobuf form."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kaito.local.apiserver.http import JSON, Request, Response
from kaito.local.apiserver.jsontext import encode

Object = dict[str, Any]
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
TITLE, VERSION = "Kubernetes", "1.36"
V3, V2 = "#/components/schemas/", "#/definitions/"
KEPT = ("type", "format", "description", "required")


def answer(request: Request, schemas: Object) -> Response:
    """Answer with every schema of the v3 documents, in the v2 form that the client reads."""
    definitions = {name: _plain(schema) for name, schema in sorted(schemas.items())}
    if "proto-openapi" in (request.headers.get("accept", "")):
        return Response(200, {"content-type": PROTOBUF, "vary": "Accept"}, _document(definitions))
    info = {"title": TITLE, "version": VERSION}
    body = {"swagger": "2.0", "info": info, "paths": {}, "definitions": definitions}
    return Response(200, {"content-type": JSON, "vary": "Accept"}, encode(body))


def _plain(schema: Object) -> Object:
    """One schema in v2's smaller language; what has no word there is left open."""
    whole = schema.get("allOf")
    if whole and len(whole) == 1 and "$ref" in whole[0]:
        schema = {**schema, **whole[0]}
    if "$ref" in schema:
        return {"$ref": schema["$ref"].replace(V3, V2)}
    found = {k: schema[k] for k in KEPT if k in schema}
    found |= {k: v for k, v in schema.items() if k.startswith("x-kubernetes-")}
    if "oneOf" in schema and "type" not in schema:
        found["type"] = "string"
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        found.pop("required", None)
        return {k: v for k, v in found.items() if k != "type"}
    if "properties" in schema:
        found["properties"] = {n: _plain(s) for n, s in schema["properties"].items()}
    if "items" in schema:
        found["items"] = _plain(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = _plain(schema["additionalProperties"])
    return found


def _document(definitions: Object) -> bytes:
    info = _text(1, TITLE) + _text(2, VERSION)
    return _text(1, "2.0") + _bytes(2, info) + _bytes(8, b"") + _bytes(9, _named(definitions))


def _named(schemas: Object) -> bytes:
    return b"".join(_bytes(1, _text(1, n) + _bytes(2, _schema(s))) for n, s in schemas.items())


def _schema(schema: Object) -> bytes:
    out = b"".join(
        _text(number, schema[name])
        for number, name in ((1, "$ref"), (2, "format"), (4, "description"))
        if name in schema
    )
    out += b"".join(_text(19, name) for name in schema.get("required", ()))
    if "additionalProperties" in schema:
        out += _bytes(21, _bytes(1, _schema(schema["additionalProperties"])))
    if "type" in schema:
        out += _bytes(22, _text(1, schema["type"]))
    if "items" in schema:
        out += _bytes(23, _bytes(1, _schema(schema["items"])))
    if "properties" in schema:
        out += _bytes(25, _named(schema["properties"]))
    return out + b"".join(_extensions(schema.items()))


def _extensions(pairs: Iterable[tuple[str, Any]]) -> Iterable[bytes]:
    for name, value in pairs:
        if name.startswith("x-"):
            # JSON is YAML, so the reader takes it as it is.
            yield _bytes(31, _text(1, name) + _bytes(2, _text(2, json.dumps(value))))


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _bytes(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
