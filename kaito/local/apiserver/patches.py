"""Patch bodies, and JSON and merge patches as pure functions."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import operations
from kaito.local.apiserver.jsontext import TextError, parse_json
from kaito.local.apiserver.opaque import copied
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.status import StatusError, bad_request

Object = dict[str, Any]
OPERATIONS_LIMIT = 10_000
REJECTED = "the server rejected our request due to an error in our request"
OPERATION_FIELDS = ("op", "path", "from")


def rejected() -> StatusError:
    """A patch that cannot be applied; clients do not learn why."""
    return StatusError(422, "Invalid", REJECTED, {})


def unsupported(*, custom: bool) -> StatusError:
    """A content type that is no patch for such a kind."""
    if not custom:
        return StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    return StatusError(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, "
        "application/apply-patch+yaml",
    )


def parse_json_patch(body: bytes, *, checked: bool = True) -> list[Object]:
    """The operations of a body; `checked` as fieldValidation asks for it. Raises StatusError."""
    head = "error decoding patch: " if checked else ""
    listed, single = (
        ("[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
        if checked
        else ("jsonpatch.Patch", "jsonpatch.Operation")
    )
    try:
        found = parse_json(body)
    except TextError as error:
        raise bad_request(f"{head}{error}") from error
    if found is None:
        return []
    if not isinstance(found, list):
        raise bad_request(
            f"{head}json: cannot unmarshal {json_kind(found)} into Go value of type {listed}"
        )
    for operation in found:
        if operation is not None and not isinstance(operation, dict):
            raise bad_request(
                f"{head}json: cannot unmarshal {json_kind(operation)} into Go value of type "
                f"{single}"
            )
        for name in OPERATION_FIELDS if checked else ():
            part = (operation or {}).get(name)
            if part is not None and not isinstance(part, str):
                raise bad_request(
                    f"{head}json: cannot unmarshal {json_kind(part)} into Go struct field "
                    f"jsonPatchOp.{name} of type string"
                )
    if len(found) > OPERATIONS_LIMIT:
        raise StatusError(
            413,
            "RequestEntityTooLarge",
            f"Request entity too large: The allowed maximum operations in a JSON "
            f"patch is {OPERATIONS_LIMIT}, got {len(found)}",
        )
    return [operation or {} for operation in found]


def unknown_operation_fields(found: list[Object]) -> list[str]:
    known = {*OPERATION_FIELDS, "value"}
    return [f"[{i}].{name}" for i, o in enumerate(found) for name in o if name not in known]


def json_patch(obj: Object, found: list[Object]) -> Any:
    """What the operations make of a copy of the object. Raises StatusError."""
    try:
        return operations.apply(copied(obj), found)
    except operations.Rejected as error:
        raise rejected() from error


def parse_merge_patch(body: bytes, *, strategic: bool = False, checked: bool = True) -> Any:
    """Raises StatusError. A merge patch that is not `checked` may be a list."""
    head = "" if strategic else "error decoding patch: "
    if not strategic and not checked:
        return _loose_merge_patch(body)
    try:
        found = parse_json(body)
    except TextError as error:
        raise bad_request(f"{head}{error}") from error
    if found is None:
        if strategic:
            return {}
        raise bad_request("Invalid JSON Patch")
    if not isinstance(found, dict):
        raise bad_request(
            f"{head}json: cannot unmarshal {json_kind(found)} into Go value of type "
            "map[string]interface {}"
        )
    return found


def _loose_merge_patch(body: bytes) -> Any:
    try:
        found = parse_json(body)
    except TextError:
        found = None
    if not isinstance(found, dict | list):
        raise bad_request("Invalid JSON Patch")
    return found


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386; maps that the patch goes into are left sorted, as the server prints them."""
    if not isinstance(patch, dict):
        return patch if isinstance(target, dict) else _pruned(patch)
    if not isinstance(target, dict):
        return _pruned(patch)
    out = dict(target)
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = merge_patch(out.get(name), value)
    return dict(sorted(out.items()))


def _pruned(value: Any) -> Any:
    """A new value without the nulls of its maps."""
    if isinstance(value, dict):
        return {k: _pruned(v) for k, v in sorted(value.items()) if v is not None}
    if isinstance(value, list):
        return [_pruned(v) for v in value]
    return value


PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+cbor": "cbor",
}
