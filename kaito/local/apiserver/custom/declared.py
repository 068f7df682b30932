"""Schemas as rules see them: types, names of fields, and how large values may be."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from kaito.local.apiserver.cel import values
from kaito.local.apiserver.cel.expressions import Place
from kaito.local.apiserver.cel.numbers import to_duration, to_timestamp
from kaito.local.apiserver.cel.parse import KEYWORDS
from kaito.local.apiserver.cel.spans import Path, Span
from kaito.local.apiserver.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Type,
    list_of,
    map_of,
    optional_of,
)
from kaito.local.apiserver.custom.structural import NO_DEFAULT, Structural

REQUEST = 3 * 1024 * 1024  # bytes: nothing in a request can be larger
SIGNS = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
# format of a string: its type, the least bytes it takes in JSON, the most
TIMES = {
    "duration": (DURATION, 3, 32),
    "date": (TIMESTAMP, 12, 12),
    "date-time": (TIMESTAMP, 21, 32),
}
META = ("name", "generateName")
_names = count(1)


@dataclass(slots=True)
class Declared:
    """One value's type; `most` bounds texts, lists and maps, `least` is its size in JSON."""

    type: Type
    most: int = 0
    least: int = 2
    element: Declared | None = None
    key: Declared | None = None
    fields: dict[str, Declared] = field(default_factory=dict)


def escape(name: str) -> str | None:
    """A property's name inside rules; None where it cannot be used there."""
    if name in KEYWORDS:
        return f"__{name}__"
    if not re.fullmatch(r"[a-zA-Z_./-][a-zA-Z0-9_./-]*", name):
        return None
    return re.sub(r"__|[./-]", lambda m: SIGNS[m[0]], name)


def declared(schema: Structural | None, *, root: bool = False) -> Declared | None:
    """None where rules cannot see values of this schema."""
    if schema is None:
        return None
    raw = schema.schema
    if schema.int_or_string:
        longest = raw.get("maxLength")
        return Declared(DYN, max(longest, 0) * 4 if longest is not None else REQUEST - 2, 1)
    match schema.type:
        case "array":
            item = declared(schema.items, root=bool(schema.items and schema.items.embedded))
            if item is None:
                return None
            most = _bound(raw.get("maxItems"), (REQUEST - 2) // (item.least + 1))
            return Declared(list_of(item.type), most, 2, item)
        case "object":
            return _object(schema, root=root)
        case "string":
            return _text(schema)
        case "boolean":
            return Declared(BOOL, least=4)
        case "number":
            return Declared(DOUBLE, least=1)
        case "integer":
            return Declared(INT, least=1)
    return None


def _bound(given: Any, otherwise: int) -> int:
    return otherwise if given is None else max(int(given), 0)


def _text(schema: Structural) -> Declared:
    raw, form = schema.schema, schema.schema.get("format")
    if form in TIMES:
        kind, least, most = TIMES[form]
        return Declared(kind, most, least)
    longest = raw.get("maxLength")
    if form == "byte":
        return Declared(BYTES, _bound(longest, REQUEST - 2))
    if longest is not None:
        return Declared(STRING, max(longest, 0) * 4)
    if raw.get("enum"):
        most = max((len(e.encode()) for e in raw["enum"] if isinstance(e, str)), default=0)
        return Declared(STRING, most)
    return Declared(STRING, REQUEST - 2)


def _object(schema: Structural, *, root: bool) -> Declared | None:
    raw = schema.schema
    if isinstance(schema.extra, Structural) and not root:
        value = declared(schema.extra, root=schema.extra.embedded)
        if value is None:
            return None
        most = _bound(raw.get("maxProperties"), (REQUEST - 2) // (value.least + 6))
        return Declared(map_of(STRING, value.type), most, 2, value, Declared(STRING))
    found = Declared(Type("object", "object"))
    needed = set(raw.get("required") or ())
    for name, inner in schema.properties.items():
        known = declared(inner, root=inner.embedded)
        if known is None:
            continue
        escaped = escape(name)
        if escaped is not None:
            found.fields[escaped] = known
        if name in needed and inner.default is NO_DEFAULT:
            found.least += len(name) + known.least + 4
    if root:
        found.fields |= _resource(schema)
    return found


def _resource(schema: Structural) -> dict[str, Declared]:
    """The fields of every resource, unless a schema names them all itself."""
    known, meta = schema.properties, schema.properties.get("metadata")
    if (
        meta is not None
        and all(n in known and known[n].type == "string" for n in ("kind", "apiVersion"))
        and all(n in meta.properties and meta.properties[n].type == "string" for n in META)
    ):
        return {}
    text = Declared(STRING, REQUEST - 2)
    names = Declared(Type("object", "object"), fields=dict.fromkeys(META, text))
    return {"kind": text, "apiVersion": text, "metadata": names}


def named(found: Declared, name: str, fields: dict[str, dict[str, Type]]) -> Type:
    """The type with objects under names of their own; `fields` collects what they have."""
    if found.fields or found.type.kind == "object":
        fields[name] = {n: named(f, f"{name}.{n}", fields) for n, f in found.fields.items()}
        return Type("object", name)
    if found.element is None:
        return found.type
    if found.type.kind == "list":
        return list_of(named(found.element, f"{name}.@idx", fields))
    return map_of(STRING, named(found.element, f"{name}.@elem", fields))


def sizes(root: Declared, path: Path) -> Span | None:
    """How large the value at a path may be; the path begins with the variable's name."""
    at = root
    for step in path[1:]:
        inner = (
            at.element
            if step in {"@items", "@values"}
            else at.key
            if step == "@keys"
            else at.fields.get(step)
        )
        if inner is None:
            return None
        at = inner
    return Span(0, at.most)


def place(found: Declared, *, optional: bool = False) -> Place:
    """Where the rules of a schema stand: `self`, and `oldSelf` beside it."""
    fields: dict[str, dict[str, Type]] = {}
    mine = named(found, f"selfType{next(_names)}", fields)
    variables = {"self": mine, "oldSelf": optional_of(mine) if optional else mine}
    return Place(variables, fields, lambda path: sizes(found, path))


def to_cel(value: Any, schema: Structural | None, *, root: bool = False) -> Any:
    """A value as rules see it: members under their escaped names, unknown ones left out."""
    if schema is None or value is None:
        return value
    if isinstance(value, dict):
        return _members(value, schema, root=root or schema.embedded)
    if isinstance(value, list):
        items = [to_cel(v, schema.items) for v in value]
        if schema.list_type == "set":
            return values.SetList(items)
        if schema.list_type == "map":
            keys = tuple(escape(k) or k for k in schema.list_keys)
            return values.KeyedList(items, keys)
        return items
    if isinstance(value, str) and schema.type == "string":
        return _special(value, schema.schema.get("format"))
    if schema.type == "number" and isinstance(value, int):
        return float(value)
    if schema.type == "integer" and isinstance(value, float):
        return int(value)
    return value


def _members(value: dict[str, Any], schema: Structural, *, root: bool) -> dict[str, Any]:
    if isinstance(schema.extra, Structural) and not root:
        return {k: to_cel(v, schema.extra) for k, v in value.items()}
    out = {}
    for name, inner in value.items():
        if root and name == "metadata" and isinstance(inner, dict):
            out[name] = {k: inner[k] for k in META if k in inner}
            continue
        if root and name in {"kind", "apiVersion"}:
            out[name] = inner
            continue
        known = schema.properties.get(name)
        escaped = escape(name) if known is not None else None
        if known is not None and escaped is not None and inner is not None:
            out[escaped] = to_cel(inner, known)
    return out


def _special(value: str, form: str | None) -> Any:
    """Texts that stand for times and bytes; as they are where they do not read."""
    import base64
    import binascii

    try:
        match form:
            case "byte":
                return base64.b64decode(value, validate=True)
            case "duration":
                return to_duration(value)
            case "date":
                return to_timestamp(f"{value}T00:00:00Z")
            case "date-time":
                return to_timestamp(value)
    except (values.CelError, binascii.Error):
        return value
    return value
