"""Structural schemas: a custom resource's shape, compiled once from its definition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver.schema import ANY, SCALARS, Field, Node, TypeTable

Schema = dict[str, Any]
NO_DEFAULT = object()


@dataclass(slots=True)
class Structural:
    """One value's schema. `extra` is the schema of further members, True when anything goes."""

    schema: Schema
    type: str = ""
    nullable: bool = False
    default: Any = NO_DEFAULT
    properties: dict[str, Structural] = field(default_factory=dict)
    extra: Structural | bool | None = None
    items: Structural | None = None
    preserve: bool = False
    embedded: bool = False
    int_or_string: bool = False
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""
    rules: list[Schema] = field(default_factory=list)
    has_defaults: bool = False
    has_rules: bool = False


def build(schema: Schema) -> Structural:
    extra = schema.get("additionalProperties")
    found = Structural(
        schema,
        type=schema.get("type", ""),
        nullable=bool(schema.get("nullable")),
        default=schema.get("default", NO_DEFAULT),
        preserve=bool(schema.get("x-kubernetes-preserve-unknown-fields")),
        embedded=bool(schema.get("x-kubernetes-embedded-resource")),
        int_or_string=bool(schema.get("x-kubernetes-int-or-string")),
        list_type=schema.get("x-kubernetes-list-type", ""),
        list_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
        map_type=schema.get("x-kubernetes-map-type", ""),
        rules=schema.get("x-kubernetes-validations") or [],
    )
    found.properties = {k: build(v) for k, v in (schema.get("properties") or {}).items()}
    if isinstance(extra, dict):
        found.extra = build(extra)
    elif isinstance(extra, bool):
        found.extra = extra
    items = schema.get("items")
    if isinstance(items, dict):
        found.items = build(items)
    children = [*found.properties.values()]
    if isinstance(found.extra, Structural):
        children.append(found.extra)
    if found.items is not None:
        children.append(found.items)
    found.has_defaults = found.default is not NO_DEFAULT or any(c.has_defaults for c in children)
    found.has_rules = bool(found.rules) or any(c.has_rules for c in children)
    return found


SCALAR_CODES = {"string": "s", "integer": "i64", "number": "f", "boolean": "b"}


def to_node(schema: Structural, types: TypeTable, *, root: bool = False) -> Node:
    """The node that ownership and merging use."""
    if schema.int_or_string:
        return ANY
    if schema.type in SCALAR_CODES:
        return SCALARS[SCALAR_CODES[schema.type]]
    if schema.type == "array":
        relation = schema.list_type or "atomic"
        element = to_node(schema.items, types) if schema.items is not None else ANY
        keys = schema.list_keys if relation == "map" else ()
        return Node("list", element=element, relation=relation, keys=keys)
    if schema.type == "object" or schema.properties or schema.embedded:
        return _object_node(schema, types, root=root)
    return ANY


def _object_node(schema: Structural, types: TypeTable, *, root: bool) -> Node:
    relation = "atomic" if schema.map_type == "atomic" else "granular"
    if isinstance(schema.extra, Structural):
        return Node("map", element=to_node(schema.extra, types), relation=relation)
    if not schema.properties and not root and not schema.embedded:
        return Node("map", element=ANY, relation=relation)

    def fields() -> dict[str, Field]:
        found = {}
        for name, inner in schema.properties.items():
            default = inner.default if inner.default is not NO_DEFAULT else None
            found[name] = Field(name, to_node(inner, types), default=default)
        if root or schema.embedded:
            found["apiVersion"] = Field("apiVersion", SCALARS["s"])
            found["kind"] = Field("kind", SCALARS["s"])
            found["metadata"] = Field("metadata", types.node("V1ObjectMeta"))
        return found

    return Node(
        "struct",
        fields=fields,
        relation=relation,
        element=ANY if schema.preserve or schema.extra is True else None,
    )
