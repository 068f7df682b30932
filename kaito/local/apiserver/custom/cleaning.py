"""Cleaning of custom resources: unknown fields go, nulls are settled, defaults come in."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import typed
from kaito.local.apiserver.custom.structural import NO_DEFAULT, Structural
from kaito.local.apiserver.opaque import copied
from kaito.local.apiserver.scalars import json_kind
from kaito.local.apiserver.schema import Node

RESOURCE = {"apiVersion", "kind", "metadata"}


def prune(
    value: Any,
    schema: Structural,
    path: str = "",
    *,
    root: bool = False,
    gone: list[str] | None = None,
) -> None:
    """Remove in place what the schema does not know; `gone` collects the paths."""
    if isinstance(value, dict):
        whole = root or schema.embedded
        for name in sorted(value):
            inner = f"{path}.{name}" if path else name
            if whole and name in RESOURCE:
                continue
            known = schema.properties.get(name)
            if known is not None:
                prune(value[name], known, inner, gone=gone)
            elif isinstance(schema.extra, Structural):
                prune(value[name], schema.extra, inner, gone=gone)
            elif not schema.preserve and schema.extra is not True:
                if gone is not None:
                    gone.append(inner)
                del value[name]
    elif isinstance(value, list) and schema.items is not None:
        for i, item in enumerate(value):
            prune(item, schema.items, f"{path}[{i}]", gone=gone)


def settle_nulls(value: Any, schema: Structural) -> None:
    """Drop nulls of fields that are neither nullable nor defaulted."""
    if isinstance(value, dict):
        for name in list(value):
            known = schema.properties.get(name)
            if known is None and isinstance(schema.extra, Structural):
                known = schema.extra
            if known is None:
                continue
            if value[name] is None:
                if not known.nullable and known.default is NO_DEFAULT:
                    del value[name]
            else:
                settle_nulls(value[name], known)
    elif isinstance(value, list) and schema.items is not None:
        for item in value:
            settle_nulls(item, schema.items)


def default(value: Any, schema: Structural) -> None:
    """Fill in defaults in place, at every depth that exists."""
    if not schema.has_defaults:
        return
    if isinstance(value, dict):
        for name, known in schema.properties.items():
            if known.default is not NO_DEFAULT and (
                name not in value or (value[name] is None and not known.nullable)
            ):
                value[name] = copied(known.default)
        for name, inner in value.items():
            known_ = schema.properties.get(name)
            if known_ is not None:
                default(inner, known_)
            elif isinstance(schema.extra, Structural):
                if (
                    inner is None
                    and schema.extra.default is not NO_DEFAULT
                    and not schema.extra.nullable
                ):
                    value[name] = copied(schema.extra.default)
                else:
                    default(inner, schema.extra)
    elif isinstance(value, list) and schema.items is not None:
        for i, item in enumerate(value):
            if (
                item is None
                and schema.items.default is not NO_DEFAULT
                and not schema.items.nullable
            ):
                value[i] = copied(schema.items.default)
            else:
                default(item, schema.items)


class EmbeddedFault(ValueError):
    """Embedded metadata does not decode; the message names the path."""


def clean_embedded(value: Any, schema: Structural, meta: Node, path: str, gone: list[str]) -> None:
    """Decode the metadata of embedded objects in place. Raises EmbeddedFault."""
    if isinstance(value, dict):
        if schema.embedded:
            for part in ("apiVersion", "kind"):
                if not isinstance(value.get(part, ""), str):
                    shown = _json(value[part])
                    raise EmbeddedFault(f"{path}.{part}: Invalid value: {shown}: must be a string")
        if schema.embedded and value.get("metadata") is not None:
            where = f"{path}.metadata"
            if not isinstance(value["metadata"], dict):
                raise EmbeddedFault(
                    f"{where}: Invalid value: {_json(value['metadata'])}: json: cannot unmarshal "
                    f"{json_kind(value['metadata'])} into Go value of type v1.ObjectMeta"
                )
            try:
                decoded = typed.decode(meta, value["metadata"])
            except typed.WrongType as error:
                raise EmbeddedFault(
                    f"{where}: Invalid value: {_json(value['metadata'])}: {error}"
                ) from error
            gone += [f"{where}.{p}" for p in decoded.unknown]
            value["metadata"] = decoded.value
        for name, inner in value.items():
            known = schema.properties.get(name)
            if known is None and isinstance(schema.extra, Structural):
                known = schema.extra
            if known is not None:
                clean_embedded(inner, known, meta, f"{path}.{name}" if path else name, gone)
    elif isinstance(value, list) and schema.items is not None:
        for i, item in enumerate(value):
            clean_embedded(item, schema.items, meta, f"{path}[{i}]", gone)


def _json(value: Any) -> str:
    import json

    return json.dumps(value, separators=(",", ":"), sort_keys=True)
