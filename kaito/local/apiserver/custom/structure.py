"""What makes a schema structural: complete outside anyOf and its like, only values inside."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.custom.patterns import fault
from kaito.local.apiserver.fields import FieldError, denied, required, wrong

Object = dict[str, Any]
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
EITHER = "x-kubernetes-int-or-string"
EITHER_BRANCHES = [{"type": "integer"}, {"type": "string"}]
NEEDS_TYPE = {
    "root": "must not be empty at the root",
    "items": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
# Keyword inside anyOf and its like, and what it must be there.
FORBIDDEN = {
    "type": "empty",
    "additionalProperties": "undefined",
    "default": "undefined",
    "title": "empty",
    "description": "empty",
    "nullable": "false",
    PRESERVE: "false",
    EMBEDDED: "false",
    EITHER: "false",
    "x-kubernetes-list-map-keys": "empty",
    "x-kubernetes-list-type": "undefined",
    "x-kubernetes-map-type": "undefined",
    "x-kubernetes-validations": "empty",
}
# What restricts values, and so may also stand inside anyOf and its like.
BRANCHES = ("anyOf", "oneOf", "allOf")
UNREADABLE = ("id", "$ref", "patternProperties", "dependencies", "definitions")
IGNORED_IN_METADATA = {"type", "default"}


def readable(schema: Any) -> bool:
    """Can a schema be read as a structural one? Where it cannot, its structure is not judged."""
    if not isinstance(schema, dict):
        return True
    if any(schema.get(name) for name in UNREADABLE) or schema.get("additionalItems") is not None:
        return False
    inner = [schema.get(name) for name in ("items", "additionalProperties", "not")]
    for name in BRANCHES:
        inner += schema.get(name) or ()
    return all(map(readable, [*inner, *(schema.get("properties") or {}).values()]))


def structural_faults(schema: Object, path: str) -> list[FieldError]:
    """Why a schema is not structural."""
    errors: list[FieldError] = []
    _outside(schema, "root", path, errors)
    _complete(schema, path, errors)
    return errors


def _outside(schema: Object, level: str, path: str, errors: list[FieldError]) -> None:
    kind, properties = schema.get("type", ""), schema.get("properties") or {}
    items, extra = schema.get("items"), schema.get("additionalProperties")
    if kind == "array" and items is None:
        errors.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, dict):
        _outside(items, "items", f"{path}.items", errors)
    for name, inner in properties.items():
        _outside(inner, "field", f"{path}.properties[{name}]", errors)
    if extra is not None:
        if level == "root":
            errors.append(denied(f"{path}.additionalProperties", "must not be used at the root"))
        if isinstance(extra, dict):
            _outside(extra, "field", f"{path}.additionalProperties", errors)
    _extensions(schema, path, errors)
    any_of, all_of = schema.get("anyOf") or [], schema.get("allOf") or []
    first = (all_of[0].get("anyOf") or []) if all_of else []
    _values(
        schema,
        path,
        errors,
        spared=any_of == EITHER_BRANCHES,
        spared_first=first == EITHER_BRANCHES,
    )
    _type(schema, kind, level, path, errors)
    _resource(schema, level, path, errors)


def _extensions(schema: Object, path: str, errors: list[FieldError]) -> None:
    if schema.get(EITHER):
        errors += [
            wrong(f"{path}.{name}", True, f"must be false if {EITHER} is true")
            for name in (PRESERVE, EMBEDDED)
            if schema.get(name)
        ]


def _type(schema: Object, kind: str, level: str, path: str, errors: list[FieldError]) -> None:
    if schema.get(EMBEDDED) and kind != "object":
        says = f"must be object if {EMBEDDED} is true"
        errors.append(
            required(f"{path}.type", says) if not kind else wrong(f"{path}.type", kind, says)
        )
    elif not kind and not schema.get(EITHER) and not schema.get(PRESERVE):
        errors.append(required(f"{path}.type", NEEDS_TYPE[level]))
    if level == "root" and kind and kind != "object":
        errors.append(wrong(f"{path}.type", kind, "must be object at the root"))


def _resource(schema: Object, level: str, path: str, errors: list[FieldError]) -> None:
    """Roots and embedded objects have kind, apiVersion and metadata of their own."""
    embedded, properties = bool(schema.get(EMBEDDED)), schema.get("properties") or {}
    if embedded and schema.get("additionalProperties") is not None:
        errors.append(
            denied(f"{path}.additionalProperties", f"must not be used if {EMBEDDED} is set")
        )
    whole = embedded or level == "root"
    for name in {"kind", "apiVersion"} & set(properties) if whole else ():
        kind = properties[name].get("type", "")
        if kind != "string":
            errors.append(wrong(f"{path}.properties[{name}].type", kind, "must be string"))
    meta = properties.get("metadata")
    if meta is not None:
        where = f"{path}.properties[metadata]"
        if whole and meta.get("type", "") != "object":
            errors.append(wrong(f"{where}.type", meta.get("type", ""), "must be object"))
        if level == "root" and not _bare(meta):
            errors.append(
                denied(
                    where,
                    "must not specify anything other than name and generateName, but metadata is "
                    "implicitly specified",
                )
            )
    if embedded and not schema.get(PRESERVE) and not properties:
        errors.append(
            required(
                f"{path}.properties",
                f"must not be empty if {EMBEDDED} is true without {PRESERVE}",
            )
        )


def _bare(meta: Object) -> bool:
    """Does the schema of metadata say nothing of its own beside names?"""
    rest = {k: v for k, v in meta.items() if k not in IGNORED_IN_METADATA and v}
    names = set(rest.pop("properties", {}))
    return not rest and names <= {"name", "generateName"}


def _values(
    schema: Object,
    path: str,
    errors: list[FieldError],
    *,
    spared: bool = False,
    spared_first: bool = False,
) -> None:
    """What restricts values; `spared` is the anyOf of integers and strings."""
    for name in BRANCHES:
        if name == "anyOf" and spared:
            continue
        for i, branch in enumerate(schema.get(name) or ()):
            skip = name == "allOf" and i == 0 and spared_first
            _inside(branch, f"{path}.{name}[{i}]", errors, spared=skip)
    if isinstance(schema.get("not"), dict):
        _inside(schema["not"], f"{path}.not", errors)
    pattern = schema.get("pattern")
    why = fault(pattern) if pattern else ""
    if why:
        errors.append(
            wrong(
                f"{path}.pattern", pattern, f"must be a valid regular expression, but isn't: {why}"
            )
        )


def _inside(schema: Object, path: str, errors: list[FieldError], *, spared: bool = False) -> None:
    _values(schema, path, errors, spared=spared)
    if isinstance(schema.get("items"), dict):
        _inside(schema["items"], f"{path}.items", errors)
    properties = schema.get("properties") or {}
    for name, inner in properties.items():
        _inside(inner, f"{path}.properties[{name}]", errors)
    for name, wanted in FORBIDDEN.items():
        value = schema.get(name)
        there = value is not None if wanted == "undefined" else bool(value)
        if name == "additionalProperties":
            there = isinstance(value, dict) or value is True
        if there:
            errors.append(denied(f"{path}.{name}", f"must be {wanted} to be structural"))
    if "metadata" in properties:
        errors.append(
            denied(f"{path}.properties[metadata]", "must not be specified in a nested context")
        )


def _complete(schema: Object, path: str, errors: list[FieldError]) -> None:
    """Whatever stands inside the root's anyOf and its like must stand outside as well."""
    for name in BRANCHES:
        for i, branch in enumerate(schema.get(name) or ()):
            _known(branch, schema, path, f"{path}.{name}[{i}]", errors)
    if isinstance(schema.get("not"), dict):
        _known(schema["not"], schema, path, f"{path}.not", errors)


def _known(
    branch: Object, outside: Object, path: str, where: str, errors: list[FieldError]
) -> None:
    says = f"because it is defined in {where}"
    for name in branch.get("properties") or {}:
        inner = (outside.get("properties") or {}).get(name)
        here = f"{path}.properties[{name}]"
        if inner is None:
            errors.append(required(here, f"{says}.properties[{name}]"))
        else:
            _known(branch["properties"][name], inner, here, f"{where}.properties[{name}]", errors)
    if isinstance(branch.get("items"), dict):
        inner = outside.get("items")
        if not isinstance(inner, dict):
            errors.append(required(f"{path}.items", f"{says}.items"))
        else:
            _known(branch["items"], inner, f"{path}.items", f"{where}.items", errors)
    for name in BRANCHES:
        for i, deeper in enumerate(branch.get(name) or ()):
            _known(deeper, outside, path, f"{where}.{name}[{i}]", errors)
    if isinstance(branch.get("not"), dict):
        _known(branch["not"], outside, path, f"{where}.not", errors)
