"""A version's schema as a definition writes it: what makes it acceptable, rules included."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kaito.local.apiserver.custom import cleaning
from kaito.local.apiserver.custom.checking import Checker
from kaito.local.apiserver.custom.keywords import keyword_faults
from kaito.local.apiserver.custom.rulechecks import Place, RuleChecks
from kaito.local.apiserver.custom.ruling import Ruling
from kaito.local.apiserver.custom.structural import NO_DEFAULT, Structural, build
from kaito.local.apiserver.custom.structure import readable, structural_faults
from kaito.local.apiserver.fields import FieldError, denied, wrong
from kaito.local.apiserver.opaque import copied

Object = dict[str, Any]
AT_ROOT_WITH_STATUS = frozenset(
    [
        "description",
        "type",
        "format",
        "title",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "pattern",
        "maxItems",
        "minItems",
        "uniqueItems",
        "multipleOf",
        "required",
        "items",
        "properties",
        "externalDocs",
        "example",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ]
)


def check_schema(schema: Object, path: str, *, has_status: bool = False) -> list[FieldError]:
    """Every fault of a version's schema."""
    errors: list[FieldError] = []
    if has_status:
        errors += _beside_status(schema, path)
    if schema.get("nullable"):
        errors.append(denied(f"{path}.nullable", "nullable cannot be true at the root"))
    rules: RuleChecks | None = None
    place: Place | None = None
    known = readable(schema)
    faults = structural_faults(schema, path) if known else []
    if known and not faults:
        faults = _default_faults(build(schema), path)
    if known and not faults:
        rules, place = RuleChecks(), Place.root(schema)
    errors += faults
    errors += keyword_faults(schema, path, rules, place)
    if rules is not None:
        errors += rules.whole(path)
    if not errors and _names_schema(schema):
        errors.append(wrong(path, "", "OpenAPIV3Schema 'schema' is not supported"))
    return errors


def _names_schema(schema: object) -> bool:
    """Does any part say which dialect it is written in?"""
    if isinstance(schema, dict):
        parts = (v for k, v in schema.items() if k not in {"default", "enum", "example"})
        return isinstance(schema.get("$schema"), str) or any(map(_names_schema, parts))
    return isinstance(schema, list) and any(map(_names_schema, schema))


def _beside_status(schema: Object, path: str) -> list[FieldError]:
    """With a status of its own, a root may only say so much."""
    kind = schema.get("type", "")
    if kind and kind != "object":
        return [
            wrong(
                f"{path}.type",
                kind,
                'only "object" is allowed as the type at the root of the schema if the status '
                "subresource is enabled",
            )
        ]
    if all(name in AT_ROOT_WITH_STATUS or not value for name, value in schema.items()):
        return []
    allowed = (
        "Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength "
        "MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties "
        "ExternalDocs Example XPreserveUnknownFields XValidations"
    )
    return [
        wrong(
            path,
            schema,
            f"only [{allowed}] fields are allowed at the root of the schema if the status "
            "subresource is enabled",
        )
    ]


def _default_faults(schema: Structural, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    _defaults(schema, path, errors, root=True, in_meta=False)
    return errors


def _defaults(
    schema: Structural, path: str, errors: list[FieldError], *, root: bool, in_meta: bool
) -> None:
    whole = root or schema.embedded
    if schema.embedded:
        in_meta = False
    if schema.default is not NO_DEFAULT and schema.default is not None:
        errors += _one_default(schema, f"{path}.default", in_meta=in_meta, root=root)
    for name, known in schema.properties.items():
        meta = in_meta or (whole and name in {"metadata", "apiVersion", "kind"})
        _defaults(known, f"{path}.properties[{name}]", errors, root=False, in_meta=meta)
    if schema.items is not None:
        _defaults(schema.items, f"{path}.items", errors, root=False, in_meta=in_meta)
    if isinstance(schema.extra, Structural):
        _defaults(schema.extra, f"{path}.additionalProperties", errors, root=False, in_meta=in_meta)


def _one_default(schema: Structural, path: str, *, in_meta: bool, root: bool) -> list[FieldError]:
    value, errors = schema.default, []
    if root:
        schema = replace(schema, embedded=True)
    if not in_meta:
        pruned = copied(value)
        cleaning.prune(pruned, schema)
        if pruned != value:
            errors.append(wrong(path, value, "must not have unknown fields"))
    found = Checker(schema).check(value, None, distinct=False)
    if not found and schema.has_rules:
        found = Ruling(schema).check(value, None)[0]
    for fault in found:
        inner = fault.field if fault.field != "<nil>" else ""
        where = f"{path}.{inner.removeprefix('.')}" if inner else path
        errors.append(replace(fault, field=where))
    return errors
