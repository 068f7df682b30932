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

# Attributes of pydantic's constraint metadata, and what OpenAPI calls them for each type.
BOUNDS: Mapping[str, Mapping[str, str]] = {
    "min_length": {"string": "minLength", "array": "minItems", "object": "minProperties"},
    "max_length": {"string": "maxLength", "array": "maxItems", "object": "maxProperties"},
    "ge": {"integer": "minimum", "number": "minimum"},
    "le": {"integer": "maximum", "number": "maximum"},
    "pattern": {"string": "pattern"},
}


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
    """The part of a schema that describes a dotted path; "" is the whole, `[]` a list's item.

    The part is the schema's own, so that writing to it changes the schema. Raises KeyError when
    the schema has no such path.
    """
    for step in path.split(".") if path else ():
        name = step.removesuffix("[]")
        schema = schema["properties"][name]
        if name != step:
            schema = schema["items"]
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
        for attribute, names in BOUNDS.items():
            value = getattr(constraint, attribute, None)
            if value is not None:
                bounds[names[schema["type"]]] = value
    return bounds


def _extended(schema: Schema, extra: object) -> Schema:
    return {**schema, **extra} if isinstance(extra, dict) else dict(schema)


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
