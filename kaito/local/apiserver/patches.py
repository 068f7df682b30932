"""Patches as pure functions: JSON patch, merge patch and strategic merge patch."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonpatch
import jsonpointer

from kaito.local.apiserver.jsontext import TextError, parse_json
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.schema import ANY, Field, Node
from kaito.local.apiserver.status import StatusError, bad_request, plain_failure

Object = dict[str, Any]
OPERATIONS_LIMIT = 10_000
REJECTED = "the server rejected our request due to an error in our request"


def parse_json_patch(body: bytes) -> list[Object]:
    """Raises StatusError where the body is no list of operations."""
    try:
        found = parse_json(body)
    except TextError as error:
        raise bad_request(f"error decoding patch: {error}") from error
    if not isinstance(found, list):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {json_kind(found)} into "
            "Go value of type []handlers.jsonPatchOp"
        )
    for operation in found:
        if not isinstance(operation, dict):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal "
                f"{json_kind(operation)} into Go value of type handlers.jsonPatchOp"
            )
    if len(found) > OPERATIONS_LIMIT:
        raise StatusError(
            413,
            "RequestEntityTooLarge",
            f"Request entity too large: The allowed maximum operations in a JSON "
            f"patch is {OPERATIONS_LIMIT}, got {len(found)}",
        )
    return found


def json_patch(obj: Object, operations: list[Object]) -> Any:
    """RFC 6902, except that replacing a missing key of a map adds it. Raises StatusError."""
    document: Any = copy.deepcopy(obj)
    try:
        for operation in operations:
            if operation.get("op") == "replace" and _addable(document, operation):
                operation = {**operation, "op": "add"}
            document = jsonpatch.JsonPatch([operation]).apply(document, in_place=True)
    except (
        jsonpatch.JsonPatchException,
        jsonpointer.JsonPointerException,
        TypeError,
        KeyError,
        ValueError,
        AttributeError,
        IndexError,
    ) as error:
        raise StatusError(422, "Invalid", REJECTED, {}) from error
    return document


def _addable(document: Any, operation: Object) -> bool:
    pointer = jsonpointer.JsonPointer(operation.get("path", ""))
    if not pointer.parts:
        return False
    parent, _ = pointer.to_last(document)
    return isinstance(parent, dict)


def parse_merge_patch(body: bytes, *, strategic: bool = False) -> Object:
    head = "" if strategic else "error decoding patch: "
    try:
        found = parse_json(body)
    except TextError as error:
        raise bad_request(f"{head}{error}") from error
    if found is None and not strategic:
        return {}
    if not isinstance(found, dict):
        raise bad_request(
            f"{head}json: cannot unmarshal {json_kind(found)} into Go value of type "
            "map[string]interface {}"
        )
    return found


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    out = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = merge_patch(out.get(name), value)
    return out


DIRECTIVE, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE = "$setElementOrder/", "$deleteFromPrimitiveList/"


def go_map(value: Any) -> str:
    """A value as Go's %v prints it."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{k}:{go_map(v)}" for k, v in sorted(value.items())) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_map(v) for v in value) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def strategic_merge(node: Node, target: Any, patch: Object) -> Object:
    """A strategic merge patch over an object of a built-in kind. Raises StatusError."""
    return _merge_map(node, dict(target) if isinstance(target, dict) else {}, patch)


def _merge_map(node: Node, target: Object, patch: Object) -> Object:
    if DIRECTIVE in patch:
        directive = patch[DIRECTIVE]
        rest = {k: v for k, v in patch.items() if k != DIRECTIVE}
        if directive == "replace":
            return rest
        if directive == "delete":
            return {}
        raise plain_failure(f"unknown patch type: {directive} in map: {go_map(patch)}")
    out = dict(target)
    if RETAIN in patch:
        kept = patch[RETAIN]
        out = {k: v for k, v in out.items() if k in kept}
    orders = {k[len(ORDER) :]: v for k, v in patch.items() if k.startswith(ORDER)}
    for name, value in patch.items():
        if name.startswith("$"):
            if name.startswith(DELETE):
                field = name[len(DELETE) :]
                if isinstance(out.get(field), list):
                    out[field] = [v for v in out[field] if v not in value]
            continue
        if value is None:
            out.pop(name, None)
            continue
        known = node.fields.get(name)
        child = node.child(name) if node.form != "any" else ANY
        current = out.get(name)
        if isinstance(value, dict):
            base = current if isinstance(current, dict) else {}
            out[name] = _merge_map(child, base, value)
        elif isinstance(value, list) and known is not None and "merge" in known.strategy:
            members = current if isinstance(current, list) else []
            out[name] = _merge_list(known, child, members, value, orders.pop(name, None))
        else:
            out[name] = _clean(value)
    for name, order in orders.items():
        known = node.fields.get(name)
        if known is not None and isinstance(out.get(name), list):
            out[name] = _ordered(known, out[name], order, out[name])
    return out


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items() if not k.startswith("$")}
    if isinstance(value, list):
        return [_clean(v) for v in value]
    return value


def _merge_list(
    known: Field, node: Node, target: list[Any], patch: list[Any], order: list[Any] | None
) -> list[Any]:
    element = node.element or ANY
    key = known.merge_key
    if not key:
        merged = [*patch, *(v for v in target if v not in patch)]
        deduped: list[Any] = []
        for value in merged:
            if value not in deduped:
                deduped.append(value)
        return _ordered(known, deduped, order if order is not None else patch, target)
    for item in patch:
        if isinstance(item, dict) and item.get(DIRECTIVE) == "replace":
            return [
                _clean(i)
                for i in patch
                if not (isinstance(i, dict) and i.get(DIRECTIVE) == "replace")
            ]
    out = list(target)
    for item in patch:
        if not isinstance(item, dict):
            raise plain_failure(f"expected map in list with merge key {key}: {go_map(item)}")
        if key not in item:
            raise plain_failure(f"map: {go_map(item)} does not contain declared merge key: {key}")
        directive = item.get(DIRECTIVE)
        at = next((i for i, o in enumerate(out) if o.get(key) == item[key]), None)
        if directive == "delete":
            out = [o for o in out if o.get(key) != item[key]]
        elif directive is not None and directive != "merge":
            raise plain_failure(f"unknown patch type: {directive} in map: {go_map(item)}")
        elif at is None:
            out.append(_merge_map(element, {}, item))
        else:
            out[at] = _merge_map(
                element, out[at], {k: v for k, v in item.items() if k != DIRECTIVE}
            )
    return _ordered(known, out, order if order is not None else patch, target)


def _ordered(known: Field, merged: list[Any], order: list[Any], live: list[Any]) -> list[Any]:
    """Members named by the order come in it; live ones that it does not name keep their place."""
    key = known.merge_key

    def identity(value: Any) -> Any:
        return value.get(key) if key and isinstance(value, dict) else value

    wanted = [identity(o) for o in order]
    positions = {json.dumps(identity(v)): i for i, v in enumerate(live)}
    named = sorted(
        (v for v in merged if identity(v) in wanted), key=lambda v: wanted.index(identity(v))
    )
    others = [v for v in merged if identity(v) not in wanted]
    out: list[Any] = []
    while named and others:
        here = positions.get(json.dumps(identity(named[0])))
        there = positions.get(json.dumps(identity(others[0])))
        if here is not None and there is not None and there < here:
            out.append(others.pop(0))
        else:
            out.append(named.pop(0))
    return out + named + others


PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+cbor": "cbor",
}
