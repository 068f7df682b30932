"""A patch of one form over the live object, decoded as the server decodes what comes out.

A result that does not decode is refused with the whole of it (or, for a strategic patch, with the
patch), so the texts here are in the order in which the server prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kaito.local.apiserver import bodies, converting, gojson, patches, strategic, typed
from kaito.local.apiserver.fields import go_quote, wrong
from kaito.local.apiserver.jsontext import repeated_keys
from kaito.local.apiserver.kinds import Kind, Kinds
from kaito.local.apiserver.opaque import copied
from kaito.local.apiserver.options import WriteOptions
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.schema import Node
from kaito.local.apiserver.status import StatusError, internal, invalid

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What is patched: a kind, or the Scale of one. `custom` is set for custom resources."""

    node: Node
    version: str
    kind: str
    custom: Kind | None = None

    @staticmethod
    def of(kind: Kind) -> Target:
        return Target(kind.node, kind.api_version, kind.kind, kind if kind.custom else None)


class Change:
    """A patch of the form json, merge or strategic; it is read when there is an object for it."""

    def __init__(
        self, form: str, body: bytes, target: Target, kinds: Kinds, options: WriteOptions
    ) -> None:
        self._form = form
        self._body = body
        self._target = target
        self._kinds = kinds
        self._options = options
        self._checked = options.validation != "Ignore"

    @cached_property
    def _patch(self) -> Any:
        if self._form == "json":
            return patches.parse_json_patch(self._body, checked=self._checked)
        strategic = self._form == "strategic"
        return patches.parse_merge_patch(self._body, strategic=strategic, checked=self._checked)

    @cached_property
    def _found(self) -> list[str]:
        return self._strict(self._body) if self._checked else []

    def _strict(self, body: bytes) -> list[str]:
        """What strict decoding finds in the patch itself."""
        found = [f"duplicate field {go_quote(p)}" for p in repeated_keys(body)]
        if self._form == "json":
            unknown = patches.unknown_operation_fields(self._patch)
            found = [*found, *(f"unknown field {go_quote(p)}" for p in unknown)]
            return [f"json patch {f}" for f in found]
        return found

    def apply(self, live: Object) -> Object:
        """The decoded object that the patch makes of the live one, which it uses up.

        Raises StatusError.
        """
        if self._form == "strategic":
            patch = copied(self._patch)
            merged = strategic.merge(self._target.node, live, patch)
            return self._converted(merged, patch)
        patched = self._patched(live)
        try:
            obj, unknown = self._decoded(patched)
            self._report(unknown)
        except typed.WrongType as error:
            raise _unfit(gojson.text(self._patched(self._printed(live))), str(error)) from error
        return obj

    def _patched(self, live: Object) -> Any:
        if self._form == "json":
            return patches.json_patch(live, self._patch)
        return patches.merge_patch(live, self._patch)

    def _printed(self, live: Object) -> Object:
        node = self._target.node
        found: Object = gojson.by_key(live) if self._target.custom else gojson.ordered(node, live)
        return found

    def _converted(self, merged: Object, patch: Object) -> Object:
        target = self._target
        try:
            decoded = converting.convert(target.node, merged)
            self._report(decoded.unknown)
        except typed.WrongType as error:
            raise _unfit(strategic.go_map(patch), str(error)) from error
        return {**decoded.value, "apiVersion": target.version, "kind": target.kind}

    def _decoded(self, patched: Any) -> tuple[Object, list[str]]:
        """The object and its unknown fields. Raises WrongType."""
        target = self._target
        if not isinstance(patched, dict):
            raise typed.WrongType(
                f"couldn't get version/kind; json parse error: json: cannot unmarshal "
                f"{json_kind(patched)} into Go value of type {bodies.META_PROBE}"
            )
        version, name = patched.get("apiVersion"), patched.get("kind")
        if target.custom is not None:
            return self._custom(target.custom, patched)
        node = target.node
        if not version:  # read as the server's own form of the kind, where no field has this name
            return {"metadata": {}}, [n for n in patched if n not in {"apiVersion", "kind"}]
        if (version, name) != (target.version, target.kind):
            node = self._named(version, name)
        decoded = typed.decode(node, patched)
        if node is not target.node:
            raise typed.WrongType(
                bodies.foreign(
                    version or target.version, name or target.kind, target.version, target.kind
                )
            )
        decoded.value["apiVersion"], decoded.value["kind"] = target.version, target.kind
        return decoded.value, decoded.unknown

    def _named(self, version: Any, name: Any) -> Node:
        """The shape of the kind that a patched object names. Raises WrongType."""
        for field, part in (("apiVersion", version), ("kind", name)):
            if part is not None and not isinstance(part, str):
                raise typed.WrongType(
                    f"couldn't get version/kind; json parse error: json: cannot unmarshal "
                    f"{json_kind(part)} into Go struct field .{field} of type string"
                )
        version, name = version or self._target.version, name or self._target.kind
        if (version, name) == (self._target.version, self._target.kind):
            return self._target.node
        known = self._kinds.by_kind(version, name)
        if known is None or known.custom:
            raise typed.WrongType(
                f'no kind "{name}" is registered for version "{version}" in scheme '
                f'"{bodies.SCHEME}"'
            )
        return known.node

    @staticmethod
    def _custom(kind: Kind, patched: Object) -> tuple[Object, list[str]]:
        from kaito.local.apiserver.custom.bodies import clean_custom

        version, name = patched.get("apiVersion"), patched.get("kind")
        meta = patched.get("metadata")
        if not name:
            text = gojson.text(gojson.by_key(patched))
            raise typed.WrongType(f"Object 'Kind' is missing in '{text}'")
        if not version:
            if not isinstance(meta, dict):
                return {"metadata": {}}, []
            raise internal("Object 'apiVersion' is missing in 'object has no apiVersion field'")
        if (version, name) != (kind.api_version, kind.kind):
            raise _foreign(kind, version, name, meta if isinstance(meta, dict) else {})
        obj, unknown, fault = clean_custom(patched, kind)
        if fault:
            raise typed.WrongType(fault)
        return obj, unknown

    def _report(self, unknown: list[str]) -> None:
        """Warn of what strict decoding found. Raises WrongType where it is to fail."""
        options = self._options
        if options.validation == "Ignore":
            return
        found = [*self._found, *bodies.listed([], unknown)]
        if found and options.validation == "Strict":
            raise typed.WrongType(f"strict decoding error: {', '.join(found)}")
        bodies.report("", found, options)


def _foreign(kind: Kind, version: str, name: str, meta: Object) -> StatusError:
    """The answer to a patch that makes a custom resource one of another kind or version."""
    errors = []
    if version != kind.api_version:
        errors.append(wrong("apiVersion", version, f"must be {kind.api_version}"))
    if name != kind.kind:
        errors.append(wrong("kind", name, f"must be {kind.kind}"))
    return invalid(version.rpartition("/")[0], name, meta.get("name", ""), errors)


def _unfit(shown: str, why: str) -> StatusError:
    return invalid("", "", "", [wrong("patch", shown, why)])
