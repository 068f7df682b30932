"""Request bodies: from bytes to an object of the expected kind, or the server's refusal."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import typed
from kaito.local.apiserver.fields import go_quote
from kaito.local.apiserver.http import Request
from kaito.local.apiserver.jsontext import (
    TextError,
    encode,
    key_paths,
    may_repeat_keys,
    parse_json,
    parse_literal,
    parse_merging,
    repeated_keys,
)
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.opaque import KeptText, as_written
from kaito.local.apiserver.options import WriteOptions
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.schema import Node, TypeTable
from kaito.local.apiserver.status import StatusError, bad_request
from kaito.local.apiserver.yamltext import parse_yaml, repeated_yaml_keys

Object = dict[str, Any]
LIMIT = 3 * 1024 * 1024  # bytes of a request body, as the server's default
META_PROBE = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)
SCHEME = "pkg/api/legacyscheme/scheme.go:30"
META_SCHEME = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
COMMON_KINDS = {
    *("CreateOptions", "DeleteOptions", "GetOptions", "ListOptions", "PatchOptions"),
    *("UpdateOptions", "WatchEvent", "Status", "List", "APIGroup", "APIGroupList"),
    *("APIResourceList", "APIVersions"),
}
PROBED = "couldn't get version/kind; "
YAML_FAULTS = "yaml: unmarshal errors:\n  "
SHOWN = 30  # bytes of a body in a message
FAULTS = 100  # that strict decoding lists
JSON_TYPES = {"application/json", ""}
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"


class Line(str):
    """A fault of the text itself, reported as it stands."""

    __slots__ = ()


def media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_size(request: Request) -> None:
    if len(request.body) > LIMIT:
        raise StatusError(
            413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}"
        )


def unsupported_media() -> StatusError:
    return StatusError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types "
        f"include: {ACCEPTED}",
    )


def load(
    request: Request,
    expected: str,
    *,
    types: TypeTable | None = None,
    model: str = "",
) -> tuple[Any, list[str]]:
    """The parsed body and the paths of repeated keys. Raises StatusError."""
    check_size(request)
    kind = media_type(request)
    text = request.body
    if kind in JSON_TYPES:
        try:
            value = parse_json(text)
        except TextError as error:
            raise unrecognised(expected, f"{PROBED}json parse error: {error}", text) from error
        if not may_repeat_keys(text, value):
            return value, []
        repeated = repeated_keys(text)
        return parse_merging(text) if repeated else value, repeated
    if kind == YAML:
        try:
            found = repeated_yaml_keys(text)
            lines = "\n  ".join(found)
            return parse_yaml(text), [Line(f"{YAML_FAULTS}{lines}")] if found else []
        except TextError as error:
            raise unrecognised(expected, str(error), text) from error
    if kind == PROTOBUF and types is not None:
        from kaito.local.apiserver.protobuf import ProtobufError, decode

        try:
            return decode(text, types, model), []
        except ProtobufError as error:
            raise unrecognised(expected, str(error), text) from error
    raise unsupported_media()


def unrecognised(expected: str, why: str, text: bytes) -> StatusError:
    """A body that has no kind and version; only deletion says so without more words."""
    if not expected:
        return bad_request(why)
    return bad_request(
        f"the object provided is unrecognized (must be of type {expected}): {why} ({_start(text)})"
    )


def _start(text: bytes) -> str:
    """The first bytes of a body, as they are or as numbers."""
    if not text:
        return "<empty>"
    start, more = text[:SHOWN], " ..." if len(text) > SHOWN else ""
    return (start.decode(errors="replace") if text[:1] == b"{" else start.hex()) + more


def probe(value: Any, expected: str, text: bytes) -> tuple[str, str]:
    """apiVersion and kind of a body. Raises StatusError where it has no such parts."""
    if value is None:
        return "", ""
    head = f"{PROBED}json parse error: json: cannot unmarshal"
    if not isinstance(value, dict):
        why = f"{head} {json_kind(value)} into Go value of type {META_PROBE}"
        raise unrecognised(expected, why, text)
    for name in ("apiVersion", "kind"):
        part = value.get(name)
        if part is not None and not isinstance(part, str):
            why = f"{head} {json_kind(part)} into Go struct field .{name} of type string"
            raise unrecognised(expected, why, text)
    version: str = value.get("apiVersion") or ""
    if version.count("/") > 1:
        raise unrecognised(expected, f"unexpected GroupVersion string: {version}", text)
    return version, value.get("kind") or ""


def read_delete_options(request: Request, types: TypeTable) -> Object:
    """The options in the body of a deletion, which has one. Raises StatusError."""
    value, _ = load(request, "", types=types, model="V1DeleteOptions")
    version, kind = probe(value, "", request.body)
    version, kind = version or "meta.k8s.io/v1", kind or "DeleteOptions"
    value = {**(value or {}), "kind": kind, "apiVersion": version}
    if kind != "DeleteOptions":
        raise bad_request(
            f'no kind "{kind}" is registered for version "{version}" in scheme "{META_SCHEME}"'
        )
    node = types.node("V1DeleteOptions")
    try:
        return typed.decode(node, value).value
    except typed.WrongType as error:
        raise bad_request(_as_written(node, request, str(error))) from error


def read_object(request: Request, kind: Kind, kinds: Kinds, options: WriteOptions) -> Object:
    """A decoded object of this kind, defaults not yet set. Raises StatusError."""
    value, repeated = load(
        request,
        kind.kind,
        types=None if kind.custom else kinds.types,
        model=kind.model,
    )
    if kind.custom:
        from kaito.local.apiserver.custom.bodies import read_custom

        return read_custom(value, repeated, kind, options, request.body)
    version, name = probe(value, kind.kind, request.body)
    value = value or {}
    check_kind(version or kind.api_version, name or kind.kind, kind.api_version, kind.kind, kinds)
    value["apiVersion"], value["kind"] = kind.api_version, kind.kind
    head = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
    obj = _decoded(kind.node, value, repeated, head, request, options)
    if isinstance(kind.shape, KeptText) and media_type(request) in JSON_TYPES:
        field = kind.shape.field
        obj[field] = as_written(obj.get(field), request.body, field)
    return obj


def check_kind(version: str, name: str, wanted_version: str, wanted: str, kinds: Kinds) -> None:
    """Refuse a body of another kind. Raises StatusError."""
    if (version, name) == (wanted_version, wanted):
        return
    short = version.rpartition("/")[2]
    head = f'{name} in version "{short}" cannot be handled as a {wanted}: '
    if not registered(kinds, version, name):
        raise bad_request(
            f'{head}no kind "{name}" is registered for version "{version}" in scheme "{SCHEME}"'
        )
    raise bad_request(head + foreign(version, name, wanted_version, wanted))


def registered(kinds: Kinds, version: str, name: str) -> bool:
    """Does a built-in group know this kind, be it a list or one that belongs to every group?"""
    known = kinds.by_kind(version, name) or kinds.by_kind(version, name.removesuffix("List"))
    if known is not None:
        return not known.custom
    return name in COMMON_KINDS and any(k.api_version == version for k in kinds)


def foreign(version: str, name: str, wanted_version: str, wanted: str) -> str:
    """Why an object of one kind is none of another."""
    short = version.rpartition("/")[2]
    internal = wanted_version.rpartition("/")[0].partition(".")[0] or "core"
    return f"converting ({short}.{name}) to ({internal}.{wanted}): unknown conversion"


def _decoded(
    node: Node,
    value: Object,
    repeated: list[str],
    head: str,
    request: Request,
    options: WriteOptions,
) -> Object:
    try:
        decoded = typed.decode(node, value)
    except typed.WrongType as error:
        raise bad_request(head + _as_written(node, request, str(error))) from error
    if options.validation != "Ignore" and (repeated or decoded.unknown):
        found = faults(node, request, repeated, decoded.unknown)
        report(head, found[:FAULTS], options)
    return decoded.value


def _as_written(node: Node, request: Request, why: str) -> str:
    """The fault of a body, its numbers shown as they were written."""
    if media_type(request) in JSON_TYPES:
        try:
            typed.decode(node, parse_literal(request.body))
        except typed.WrongType as error:
            return str(error)
    return why


def faults(node: Node, request: Request, repeated: list[str], unknown: list[str]) -> list[str]:
    """What strict decoding finds, in the order of the text; nothing inside of what is skipped."""
    if not repeated or isinstance(repeated[0], Line):
        return listed(repeated, unknown)
    found: dict[str, None] = {}
    seen: set[str] = set()
    again, strange = set(repeated), set(unknown)
    for path in key_paths(request.body):
        if path in strange:
            found[f"unknown field {go_quote(path)}"] = None
        elif path in seen and path in again and typed.reads(node, path):
            found[f"duplicate field {go_quote(path)}"] = None
        seen.add(path)
    return list(found)


def listed(repeated: list[str], unknown: list[str]) -> list[str]:
    """Repeated fields, then unknown ones, in the words of strict decoding."""
    return [
        *(str(p) if isinstance(p, Line) else f"duplicate field {go_quote(p)}" for p in repeated),
        *(f"unknown field {go_quote(p)}" for p in unknown),
    ]


def report(head: str, found: list[str], options: WriteOptions) -> None:
    """Refuse or warn of what strict decoding found, as fieldValidation says."""
    if options.validation == "Ignore" or not found:
        return
    if options.validation == "Strict":
        raise bad_request(f"{head}strict decoding error: {', '.join(found)}")
    for fault in found:
        for line in fault.removeprefix(YAML_FAULTS).split("\n  "):
            options.warn(line)


def read_as(
    kinds: Kinds,
    model: str,
    request: Request,
    name: str,
    version: str,
    options: WriteOptions,
    *aliases: str,
) -> Object:
    """A body of a fixed kind such as Scale or Binding. Raises StatusError.

    `aliases` are older versions that mean the same.
    """
    node = kinds.types.node(model)
    value, repeated = load(request, name, types=kinds.types, model=model)
    given, kind = probe(value, name, request.body)
    value = value or {}
    meant = version if given in aliases else given or version
    check_kind(meant, kind or name, version, name, kinds)
    value["apiVersion"], value["kind"] = version, name
    head = f'{name} in version "{version.rpartition("/")[2]}" cannot be handled as a {name}: '
    return _decoded(node, value, repeated, head, request, options)


def read_back(value: Any, kind: Kind) -> Object:
    """An object that a webhook changed, decoded and completed again. Raises StatusError."""
    if kind.custom:
        from kaito.local.apiserver.custom.bodies import clean_custom

        obj, _, fault = clean_custom(value, kind)
        if fault:
            raise bad_request(fault)
        return obj
    try:
        obj = typed.decode(kind.node, value).value
    except typed.WrongType as error:
        raise bad_request(str(error)) from error
    kind.behaviour.default(obj)
    return obj


def canonical(value: object) -> bytes:
    return encode(value)
