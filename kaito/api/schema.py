"""Structural OpenAPI v3 schemas from the models, as a CustomResourceDefinition wants them.

Pure functions over pydantic models. A description is the docstring under a class or a field; a
bound is what pydantic checks, so Python and the API server refuse the same values. What a
structural schema cannot say is an error here, never a silent gap.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Schema: TypeAlias = dict[str, Any]

SCALARS: Mapping[object, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
}

# What constraints are called, by type, in pydantic and in OpenAPI.
_SIZES: Mapping[str, Mapping[str, str]] = {
    "string": {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"},
    "array": {"min_length": "minItems", "max_length": "maxItems"},
    "object": {"min_length": "minProperties", "max_length": "maxProperties"},
}
_NUMBERS = {"ge": "minimum", "gt": "minimum", "le": "maximum", "lt": "maximum"}
BOUNDS: Mapping[str, Mapping[str, str]] = {
    **_SIZES,
    "integer": {**_NUMBERS, "multiple_of": "multipleOf"},
    "number": {**_NUMBERS, "multiple_of": "multipleOf"},
}
# Version 3.0 of OpenAPI says of a bound that it is not reached, and has no second one for it.
EXCLUSIVE = {"gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


def object_schema(model: type[BaseModel]) -> Schema:
    """The schema of a model: its description, properties and required fields, in wire names.

    Raises TypeError for an annotation that a structural schema cannot express.
    """
    properties: Schema = {}
    required: list[str] = []
    notes = _field_docstrings(model)
    for name, field in model.model_fields.items():
        wire = field.alias or name
        schema = _field(field)
        if name in notes:
            schema = {"description": notes[name], **_without(schema, "description")}
        properties[wire] = schema
        if field.is_required():
            required.append(wire)
    schema = {"description": _sentence(model.__doc__ or ""), "type": "object"}
    if required:
        schema["required"] = sorted(required)
    if properties:
        schema["properties"] = properties
    return schema


def at(schema: Schema, path: str) -> Schema:
    """The part of a schema that describes a dotted path; "" is the whole, `[]` a list's item,
    `{}` a map's value.

    The part is the schema's own, so that writing to it changes the schema. Raises KeyError when
    the schema has no such path.
    """
    for step in path.split(".") if path else ():
        schema = schema["properties"][step.removesuffix("[]").removesuffix("{}")]
        if step.endswith("[]"):
            schema = schema["items"]
        elif step.endswith("{}"):
            schema = schema["additionalProperties"]
    return schema


def _field(field: FieldInfo) -> Schema:
    schema = _bounded(_of(field.annotation), field.metadata)
    schema = _extended(schema, field.json_schema_extra)
    default = field.get_default()
    # A falsy default is Python's word for absent; only a real value is the API's default.
    if isinstance(default, str | int | float) and default:
        schema["default"] = default
    return schema


def _of(annotation: object) -> Schema:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in SCALARS:
        return {"type": SCALARS[annotation]}
    if origin is Annotated:
        base, *extras = arguments
        schema = _of(base) if not _replaced(extras) else {}
        for extra in extras:
            if isinstance(extra, FieldInfo):
                schema = _bounded(schema, extra.metadata)
                schema = _extended(schema, extra.json_schema_extra)
            else:
                schema = _bounded(schema, [extra])
        return schema
    if origin in (Union, UnionType):
        present = [a for a in arguments if a is not NoneType]
        if len(present) == 1:
            return _of(present[0])
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": _of(arguments[0])}
    if origin is Mapping and arguments[0] is str:
        return {"type": "object", "additionalProperties": _of(arguments[1])}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return object_schema(annotation)
    if origin is not None and inspect.isclass(origin) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(arguments[1])}
    raise TypeError(f"{annotation!r} has no structural schema")


def _replaced(extras: Iterable[object]) -> bool:
    """Whether the annotation brings its own schema, so that the base type is not looked at."""
    return any(
        isinstance(e, FieldInfo)
        and isinstance(e.json_schema_extra, dict)
        and not e.json_schema_extra.keys().isdisjoint(("type", "anyOf"))
        for e in extras
    )


def _bounded(schema: Schema, metadata: Iterable[object]) -> Schema:
    bounds = dict(schema)
    for constraint in metadata:
        for name, value in _constraints(constraint):
            spelled = BOUNDS.get(schema.get("type", ""), {}).get(name)
            if spelled is None:
                raise TypeError(f"{name}={value!r} has no place in a structural schema of {schema}")
            bounds[spelled] = value
            if name in EXCLUSIVE:
                bounds[EXCLUSIVE[name]] = True
    return bounds


def _constraints(constraint: object) -> list[tuple[str, object]]:
    """What one piece of pydantic's metadata asks for: some are dataclasses, one holds a dict."""
    names = [each.name for each in fields(constraint)] if is_dataclass(constraint) else []
    held = names or [*getattr(constraint, "__dict__", {})]
    if not held:
        raise TypeError(f"{constraint!r} has no place in a structural schema")
    return [(name, getattr(constraint, name)) for name in held]


def _extended(schema: Schema, extra: object) -> Schema:
    if extra is None:
        return dict(schema)
    if not isinstance(extra, dict):
        raise TypeError(f"{extra!r} is no part of a schema, which can be told only when it is used")
    return {**schema, **extra}


def _without(schema: Schema, key: str) -> Schema:
    return {k: v for k, v in schema.items() if k != key}


def _sentence(docstring: str) -> str:
    """A docstring as one flowing text: line breaks become spaces, paragraphs stay apart."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return "\n\n".join(" ".join(p.split()) for p in paragraphs)


def _field_docstrings(model: type[BaseModel]) -> dict[str, str]:
    notes: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            notes.update(_class_docstrings(base.__module__).get(base.__name__, {}))
    return notes


@cache
def _class_docstrings(module: str) -> dict[str, dict[str, str]]:
    """For each class of a module, the docstrings under its annotated attributes."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        node.name: {
            before.target.id: _sentence(after.value.value)
            for before, after in zip(node.body, node.body[1:], strict=False)
            if isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
