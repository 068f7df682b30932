"""Structural schemas as definitions write them: what makes one acceptable, rules included."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from kaito.local.apiserver.custom.cel.price import (
    CEILING,
    RULE_LIMIT,
    SCHEMA_LIMIT,
    excess,
)
from kaito.local.apiserver.custom.cel.rules import OLD, Uncompilable, compile_expression
from kaito.local.apiserver.custom.cel.types import REQUEST, least
from kaito.local.apiserver.custom.checking import Checker
from kaito.local.apiserver.custom.jsonpaths import JsonPath, PathError
from kaito.local.apiserver.custom.patterns import compiled
from kaito.local.apiserver.custom.structural import NO_DEFAULT, Structural, build
from kaito.local.apiserver.fields import (
    FieldError,
    Raw,
    denied,
    required,
    unsupported,
    wrong,
)

Object = dict[str, Any]
TYPES = ["array", "boolean", "integer", "number", "object", "string"]
HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, "
    "maps, and strings are declared)"
)
REASONS = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]
STRUCTURAL_ONLY = (
    "type",
    "default",
    "additionalProperties",
    "nullable",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "title",
    "description",
)


def check_schema(schema: Object, path: str) -> list[FieldError]:
    """Every fault of a version's schema."""
    errors: list[FieldError] = []
    if not schema.get("type"):
        errors.append(required(f"{path}.type", "must not be empty at the root"))
    elif schema["type"] != "object":
        errors.append(wrong(f"{path}.type", schema["type"], "must be object at the root"))
    _walk(schema, path, errors, root=True)
    if errors:
        return errors
    structural = build(schema)
    _defaults(structural, path, errors)
    _Rules(path, errors).check(structural)
    return errors


def _walk(schema: Object, path: str, errors: list[FieldError], *, root: bool = False) -> None:
    kind = schema.get("type", "")
    either = bool(schema.get("x-kubernetes-int-or-string"))
    loose = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if kind and kind not in TYPES:
        errors.append(unsupported(f"{path}.type", kind, TYPES))
    if not kind and not root and not either and not loose:
        errors.append(
            required(
                f"{path}.type",
                "must not be empty for specified object fields"
                if "properties[" in path.rpartition(".")[2] or path.endswith("]")
                else "must not be empty for specified array items"
                if path.endswith(".items")
                else "must not be empty for specified object fields",
            )
        )
    if either and kind:
        errors.append(denied(f"{path}.type", "must be empty if x-kubernetes-int-or-string is true"))
    pattern = schema.get("pattern")
    if pattern:
        fault = regex_fault(pattern)
        if fault:
            errors.append(
                wrong(
                    f"{path}.pattern",
                    pattern,
                    f"must be a valid regular expression, but isn't: {fault}",
                )
            )
    if schema.get("uniqueItems"):
        errors.append(
            denied(
                f"{path}.uniqueItems",
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            )
        )
    errors += [
        denied(f"{path}.{name}", f"{name} is not supported")
        for name in ("patternProperties", "definitions", "dependencies", "id", "$ref", "$schema")
        if schema.get(name)
    ]
    if root and "metadata" in (schema.get("properties") or {}):
        allowed = {"name", "generateName"}
        meta = schema["properties"]["metadata"]
        if set(meta.get("properties") or {}) - allowed or set(meta) - {
            "type",
            "properties",
            "description",
        }:
            errors.append(
                denied(
                    f"{path}.properties[metadata]",
                    "must not specify anything other than name and generateName, but "
                    "metadata is implicitly specified",
                )
            )
    if schema.get("properties") and isinstance(schema.get("additionalProperties"), dict):
        errors.append(
            denied(
                f"{path}.additionalProperties",
                "additionalProperties and properties are mutual exclusive",
            )
        )
    if kind == "array" and "items" not in schema:
        errors.append(required(f"{path}.items", "must be specified"))
    _list_rules(schema, path, errors)
    for name, inner in (schema.get("properties") or {}).items():
        if isinstance(inner, dict):
            _walk(inner, f"{path}.properties[{name}]", errors)
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            _walk(schema[name], f"{path}.{name}", errors)
    for name in ("anyOf", "oneOf", "allOf"):
        for i, inner in enumerate(schema.get(name) or ()):
            if not (either and _int_or_string(inner)):
                _nested(inner, f"{path}.{name}[{i}]", errors)
    if isinstance(schema.get("not"), dict):
        _nested(schema["not"], f"{path}.not", errors)


def _int_or_string(schema: Object) -> bool:
    return set(schema) == {"type"} and schema["type"] in {"integer", "string"}


def _nested(schema: Object, path: str, errors: list[FieldError]) -> None:
    """Inside anyOf and its like only values are restricted; the structure stands outside."""
    errors += [
        denied(
            f"{path}.{name}",
            f"must be {'false' if name.startswith('x-') else 'empty'} to be structural",
        )
        for name in STRUCTURAL_ONLY
        if name in schema
    ]
    for name, inner in (schema.get("properties") or {}).items():
        _nested(inner, f"{path}.properties[{name}]", errors)
    if isinstance(schema.get("items"), dict):
        _nested(schema["items"], f"{path}.items", errors)
    for part in ("anyOf", "oneOf", "allOf"):
        for i, inner in enumerate(schema.get(part) or ()):
            _nested(inner, f"{path}.{part}[{i}]", errors)


def _list_rules(schema: Object, path: str, errors: list[FieldError]) -> None:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys")
    if kind is not None and schema.get("type") != "array":
        errors.append(
            wrong(
                f"{path}.type",
                schema.get("type", ""),
                "must be array if x-kubernetes-list-type is specified",
            )
        )
    if kind not in {None, "atomic", "set", "map"}:
        errors.append(unsupported(f"{path}.x-kubernetes-list-type", kind, ["atomic", "map", "set"]))
    if kind == "map":
        if not keys:
            errors.append(
                required(
                    f"{path}.x-kubernetes-list-map-keys",
                    "must not be empty if x-kubernetes-list-type is map",
                )
            )
        items = schema.get("items") or {}
        for key in keys or ():
            known = (items.get("properties") or {}).get(key)
            if known is None:
                errors.append(
                    wrong(
                        f"{path}.x-kubernetes-list-map-keys",
                        key,
                        "entries must all be names of item properties",
                    )
                )
            elif "default" not in known and key not in (items.get("required") or ()):
                errors.append(
                    required(
                        f"{path}.items.properties[{key}].default",
                        "this property is in x-kubernetes-list-map-keys, so it must have a default "
                        "or be a required property",
                    )
                )
    elif keys:
        errors.append(
            wrong(
                f"{path}.x-kubernetes-list-type",
                kind,
                "must be map if x-kubernetes-list-map-keys is non-empty",
            )
        )


def regex_fault(pattern: str) -> str:
    """Why a pattern is none, as Go's compiler says it; empty when it is one."""
    try:
        compiled(pattern)
    except re.error as error:
        text = str(error)
        if "unterminated subpattern" in text:
            return f"error parsing regexp: missing closing ): `{pattern}`"
        if "unbalanced parenthesis" in text:
            return f"error parsing regexp: unexpected ): `{pattern}`"
        if "unterminated character set" in text:
            return f"error parsing regexp: missing closing ]: `{pattern[error.pos or 0 :]}`"
        if "nothing to repeat" in text:
            at = error.pos or 0
            return (
                "error parsing regexp: missing argument to repetition operator: "
                f"`{pattern[at : at + 1]}`"
            )
        return f"error parsing regexp: {text}: `{pattern}`"
    return ""


def _defaults(schema: Structural, path: str, errors: list[FieldError]) -> None:
    if schema.default is not NO_DEFAULT:
        for fault in Checker(schema).check(schema.default, None):
            inner = f".{fault.field}" if fault.field not in {"<nil>", ""} else ""
            errors.append(replace(fault, field=f"{path}.default{inner}"))
    for name, known in schema.properties.items():
        _defaults(known, f"{path}.properties[{name}]", errors)
    if schema.items is not None:
        _defaults(schema.items, f"{path}.items", errors)
    if isinstance(schema.extra, Structural):
        _defaults(schema.extra, f"{path}.additionalProperties", errors)


class _Rules:
    """The rules of a whole schema: each compiles, and together they are not too dear."""

    def __init__(self, path: str, errors: list[FieldError]) -> None:
        self._path = path
        self._errors = errors
        self._total = 0
        self._dear: list[tuple[str, int]] = []

    def check(self, schema: Structural) -> None:
        if not schema.has_rules:
            return
        self._walk(schema, self._path, 1, "", root=True)
        if self._total > SCHEMA_LIMIT:
            for path, price in self._dear:
                if price * 100 >= SCHEMA_LIMIT:
                    self._errors.append(
                        denied(
                            path,
                            "contributed to estimated rule cost total "
                            "exceeding cost limit for entire OpenAPIv3 schema",
                        )
                    )
            self._errors.append(
                denied(
                    self._path,
                    "x-kubernetes-validations estimated rule cost total for entire "
                    f"OpenAPIv3 schema exceeds budget by factor of "
                    f"{excess(self._total, SCHEMA_LIMIT)} {HINT}",
                )
            )

    def _walk(
        self, schema: Structural, path: str, times: int, lost: str, *, root: bool = False
    ) -> None:
        if not schema.has_rules:
            return
        for i, raw in enumerate(schema.rules):
            self._rule(raw, schema, f"{path}.x-kubernetes-validations[{i}]", times, lost, root=root)
        for name, inner in schema.properties.items():
            self._walk(inner, f"{path}.properties[{name}]", times, lost)
        if isinstance(schema.extra, Structural):
            most = schema.schema.get("maxProperties")
            many = most if most is not None else REQUEST // (least(schema.extra) + 4)
            self._walk(
                schema.extra, f"{path}.additionalProperties", min(times * many, CEILING), lost
            )
        if schema.items is not None:
            most = schema.schema.get("maxItems")
            many = most if most is not None else REQUEST // (least(schema.items) + 1)
            here = lost or ("" if schema.list_type in {"map"} else path)
            self._walk(schema.items, f"{path}.items", min(times * many, CEILING), here)

    def _rule(
        self, raw: Object, schema: Structural, path: str, times: int, lost: str, *, root: bool
    ) -> None:
        errors, text = self._errors, raw.get("rule") or ""
        if not text.strip():
            errors.append(required(f"{path}.rule", "rule is not specified"))
            return
        message = raw.get("message")
        if message is not None:
            if "\n" in message or "\r" in message:
                errors.append(wrong(f"{path}.message", message, "must not contain line breaks"))
            elif message and not message.strip():
                errors.append(
                    wrong(f"{path}.message", message, "message must be non-empty if specified")
                )
        elif "\n" in text and not raw.get("messageExpression"):
            errors.append(
                required(
                    f"{path}.message", "message must be specified if rule contains line breaks"
                )
            )
        if raw.get("reason") is not None and raw["reason"] not in REASONS:
            errors.append(unsupported(f"{path}.reason", raw["reason"], REASONS))
        place = raw.get("fieldPath")
        if place and not _valid_place(place, schema):
            errors.append(wrong(f"{path}.fieldPath", place, "must be a valid path"))
        shown = Raw(go_rule(raw))
        optional = bool(raw.get("optionalOldSelf"))
        try:
            compiled = compile_expression(text, schema, root=root, optional=optional)
        except Uncompilable as error:
            errors.append(wrong(f"{path}.rule", shown, f"compilation failed: {error}"))
            return
        if compiled.type.name not in {"bool", "dyn"}:
            errors.append(wrong(f"{path}.rule", shown, "cel expression must evaluate to a bool"))
            return
        self._price(compiled.price, f"{path}.rule", times)
        if OLD.search(text) and lost:
            errors.append(
                wrong(
                    f"{path}.rule",
                    text,
                    "oldSelf cannot be used on the "
                    f"uncorrelatable portion of the schema within {lost}",
                )
            )
        self._words(raw, schema, path, times, shown, root=root)

    def _words(
        self, raw: Object, schema: Structural, path: str, times: int, shown: Raw, *, root: bool
    ) -> None:
        text = raw.get("messageExpression")
        if not text:
            return
        where = f"{path}.messageExpression"
        try:
            compiled = compile_expression(
                text, schema, root=root, optional=bool(raw.get("optionalOldSelf"))
            )
        except Uncompilable as error:
            self._errors.append(
                wrong(where, shown, f"messageExpression compilation failed: {error}")
            )
            return
        if compiled.type.name not in {"string", "dyn"}:
            self._errors.append(wrong(where, shown, "messageExpression must evaluate to a string"))
            return
        self._price(compiled.price, where, times)

    def _price(self, price: int, path: str, times: int) -> None:
        whole = min(price * times, CEILING)
        if whole > RULE_LIMIT:
            what = "rule" if path.endswith(".rule") else "messageExpression"
            self._errors.append(
                denied(
                    path,
                    f"estimated {what} cost exceeds budget by factor of "
                    f"{excess(whole, RULE_LIMIT)} {HINT}",
                )
            )
        self._total = min(self._total + whole, CEILING)
        self._dear.append((path, whole))


def _valid_place(path: str, schema: Structural) -> bool:
    if not path.startswith(".") and not path.startswith("["):
        return False
    try:
        steps = JsonPath(path)._steps
    except PathError:
        return False
    at: Structural | None = schema
    for kind, name in steps:
        if kind != "name" or at is None:
            return False
        known = at.properties.get(name)
        if known is None and isinstance(at.extra, Structural):
            known = at.extra
        if known is None:
            return False
        at = known
    return True


def go_rule(raw: Object) -> str:
    """A rule as the server prints its own structure."""
    shown = {
        "Rule": raw.get("rule", ""),
        "Message": raw.get("message") or "",
        "MessageExpression": raw.get("messageExpression") or "",
        "Reason": raw.get("reason"),
        "FieldPath": raw.get("fieldPath") or "",
        "OptionalOldSelf": raw.get("optionalOldSelf"),
    }
    text = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
