"""Bodies of custom resources: decoded, cleaned, or refused in the server's words."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import typed
from kaito.local.apiserver.custom.cleaning import EmbeddedFault
from kaito.local.apiserver.custom.shapes import VersionShape
from kaito.local.apiserver.fields import wrong
from kaito.local.apiserver.jsontext import whole_numbers
from kaito.local.apiserver.kinds import Kind
from kaito.local.apiserver.options import WriteOptions
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.status import StatusError, bad_request, invalid

Object = dict[str, Any]
NO_KIND = "couldn't get version/kind; json parse error: json: cannot unmarshal "
SHOWN = 30  # signs of a body that is not recognized
META_PROBE = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)


def read_custom(
    value: Any, repeated: list[str], kind: Kind, options: WriteOptions, text: bytes
) -> Object:
    """A body as an object of this kind. Raises StatusError."""
    head = f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: '
    if not isinstance(value, dict | None):
        raise _unrecognized(
            kind, text, f"{NO_KIND}{json_kind(value)} into Go value of type {META_PROBE}"
        )
    version, name = (value or {}).get("apiVersion"), (value or {}).get("kind")
    for part, found in (("apiVersion", version), ("kind", name)):
        if not isinstance(found, str | None):
            given = json_kind(found)
            raise _unrecognized(
                kind, text, f"{NO_KIND}{given} into Go struct field .{part} of type string"
            )
    if value is None or not name:
        shown = text.decode(errors="replace")
        raise _unrecognized(kind, text, f"Object 'Kind' is missing in '{shown}'")
    if name != kind.kind and version == kind.api_version:
        called = (value.get("metadata") or {}).get("name", "")
        raise invalid(kind.group, name, called, [wrong("kind", name, f"must be {kind.kind}")])
    if version != kind.api_version:
        raise bad_request(
            f"the API version in the data ({version or ''}) does not match the expected "
            f"API version ({kind.api_version})"
        )
    obj, unknown, fault = clean_custom(value, kind)
    if fault:
        raise bad_request(head + fault)
    from kaito.local.apiserver.bodies import listed, report

    report(head, listed(repeated, unknown), options)
    return obj


def _unrecognized(kind: Kind, text: bytes, why: str) -> StatusError:
    """A body without a kind; the start of it is shown, in digits where it is no JSON object."""
    shown = text.decode(errors="replace") if text.lstrip().startswith(b"{") else text.hex()
    if len(shown) > SHOWN:
        shown = f"{shown[:SHOWN]} ..."
    return bad_request(
        f"the object provided is unrecognized (must be of type {kind.kind}): {why} "
        f"({shown or '<empty>'})"
    )


def clean_custom(value: Object, kind: Kind) -> tuple[Object, list[str], str]:
    """The cleaned object, the paths of unknown fields, and why it does not decode."""
    shape = kind.shape
    assert isinstance(shape, VersionShape)
    unknown: list[str] = []
    meta = value.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        return (
            value,
            [],
            (f"json: cannot unmarshal {json_kind(meta)} into Go value of type v1.ObjectMeta"),
        )
    try:
        decoded = typed.decode(shape.metadata, meta or {})
    except typed.WrongType as error:
        return value, [], str(error)
    value = whole_numbers({**value, "metadata": decoded.value})
    if value["metadata"].get("managedFields") == []:
        del value["metadata"]["managedFields"]
    try:
        unknown = shape.clean(value)
    except EmbeddedFault as error:
        return value, [], str(error)
    unknown = [*(f"metadata.{p}" for p in decoded.unknown), *unknown]
    return value, unknown, ""


def complete(value: Object, kind: Kind) -> str:
    """Fill the defaults of an applied object in place; why it does not decode, if so."""
    shape = kind.shape
    assert isinstance(shape, VersionShape)
    try:
        value["metadata"] = typed.decode(shape.metadata, value["metadata"]).value
    except typed.WrongType as error:
        return str(error)
    shape.complete(value)
    return ""
