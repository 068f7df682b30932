"""The keywords of a schema: what is not supported, and what does not go together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from kaito.local.apiserver.custom.rulechecks import Place, RuleChecks
from kaito.local.apiserver.fields import (
    FieldError,
    denied,
    required,
    unsupported,
    wrong,
)

Object = dict[str, Any]
TYPES = ["array", "boolean", "integer", "number", "object", "string"]
LIST, MAP, KEYS = (
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-list-map-keys",
)
PRESERVE, EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
META = ("metadata", "kind", "apiVersion")


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a schema stands. `lost`: from where on members have no former selves."""

    no_defaults: str | None = None
    in_meta: bool = False
    lost: str = ""


def keyword_faults(
    schema: Object, path: str, rules: RuleChecks | None, place: Place | None
) -> list[FieldError]:
    """Faults of keywords, then those of rules."""
    walker = _Walker(rules)
    found, told = walker.walk(schema, path, Setting(), place, root=True)
    return [*found, *told]


class _Walker:
    def __init__(self, rules: RuleChecks | None) -> None:
        self._rules = rules

    def walk(
        self, schema: Any, path: str, setting: Setting, place: Place | None, *, root: bool = False
    ) -> tuple[list[FieldError], list[FieldError]]:
        if not isinstance(schema, dict):
            return [], []
        errors, told = _own(schema, path, setting), []
        for inner, where, deeper, there in self._children(schema, path, setting, place, root=root):
            below = self.walk(inner, where, deeper, there)
            errors += below[0]
            told += below[1]
        errors += _types(schema, path)
        errors += _lists(schema, path)
        rules = schema.get("x-kubernetes-validations") or []
        if rules and self._rules is not None:
            errors += self._rules.texts(rules, schema, path)
            if not errors and place is not None:
                told += self._rules.expressions(rules, path, setting.lost, place)
        elif rules:
            errors += RuleChecks.texts(rules, schema, path)
        return errors, told

    @staticmethod
    def _children(
        schema: Object, path: str, setting: Setting, place: Place | None, *, root: bool
    ) -> Iterator[tuple[Any, str, Setting, Place | None]]:
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            deeper = setting
            if setting.in_meta:
                says = "inside additionalProperties applying to object metadata"
                deeper = replace(setting, no_defaults=says)
            where = f"{path}.additionalProperties"
            yield extra, where, deeper, place.values() if place else None
        for name, inner in (schema.get("properties") or {}).items():
            deeper = setting
            if (root or schema.get(EMBEDDED)) and name in META:
                deeper = replace(setting, in_meta=True)
                if root:
                    deeper = replace(deeper, no_defaults=f"in top-level {name}")
            where = f"{path}.properties[{name}]"
            yield inner, where, deeper, place.property(name) if place else None
        yield schema.get("not"), f"{path}.not", setting, None
        for part in ("allOf", "oneOf", "anyOf"):
            for i, branch in enumerate(schema.get(part) or ()):
                yield branch, f"{path}.{part}[{i}]", setting, None
        for part in ("definitions", "dependencies"):
            for name, inner in (schema.get(part) or {}).items():
                yield inner, f"{path}.{part}[{name}]", setting, None
        items = schema.get("items")
        deeper = setting
        if schema.get(LIST) != "map" and not setting.lost:
            deeper = replace(setting, lost=path)
        if isinstance(items, dict):
            yield items, f"{path}.items", deeper, place.items() if place else None
        for i, inner in enumerate(items if isinstance(items, list) else ()):
            yield inner, f"{path}.items[{i}]", deeper, None


def _own(schema: Object, path: str, setting: Setting) -> list[FieldError]:
    errors = []
    kind = schema.get("type", "")
    if kind and kind not in TYPES:
        errors.append(unsupported(f"{path}.type", kind, TYPES))
    if schema.get("default") is not None and setting.no_defaults is not None:
        errors.append(denied(f"{path}.default", f"must not be set {setting.no_defaults}"))
    for name in UNSUPPORTED:
        value = schema.get(name)
        if value or (value is not None and name in {"additionalItems", "dependencies", "$ref"}):
            errors.append(denied(f"{path}.{name}", f"{name} is not supported"))
    if kind == "null":
        errors.append(
            denied(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
        )
    if isinstance(schema.get("items"), list):
        errors.append(denied(f"{path}.items", "items must be a schema object and not an array"))
    if setting.in_meta and schema.get(EMBEDDED):
        errors.append(denied(f"{path}.{EMBEDDED}", "must not be used inside of resource meta"))
    if schema.get("uniqueItems"):
        errors.append(
            denied(
                f"{path}.uniqueItems",
                "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
            )
        )
    extra = schema.get("additionalProperties")
    if schema.get("properties") and extra is not None and extra is not True:
        errors.append(
            denied(
                f"{path}.additionalProperties",
                "additionalProperties and properties are mutual exclusive",
            )
        )
    return errors


def _types(schema: Object, path: str) -> list[FieldError]:
    errors = []
    if schema.get(PRESERVE) is False:
        errors.append(wrong(f"{path}.{PRESERVE}", False, "must be true or undefined"))
    for name, wanted, allowed in (
        (MAP, "object", ["atomic", "granular"]),
        (LIST, "array", ["atomic", "set", "map"]),
    ):
        found, kind = schema.get(name), schema.get("type", "")
        if found is None:
            continue
        if kind != wanted:
            says = f"must be {wanted} if {name} is specified"
            errors.append(
                wrong(f"{path}.type", kind, says) if kind else required(f"{path}.type", says)
            )
        if found not in allowed:
            listed = ", ".join(f'"{a}"' for a in allowed)
            errors.append(
                FieldError(
                    f"{path}.{name}", "Unsupported value", found, f"supported values: {listed}"
                )
            )
    return errors


def _lists(schema: Object, path: str) -> list[FieldError]:
    kind, keys, items = schema.get(LIST), schema.get(KEYS) or [], schema.get("items")
    errors: list[FieldError] = []
    if kind == "set" and isinstance(items, dict) and schema.get("type") == "array":
        errors += _set_items(items, path)
    if keys and kind != "map":
        says = f"must be map if {KEYS} is non-empty"
        errors.append(
            required(f"{path}.{LIST}", says)
            if kind is None
            else wrong(f"{path}.{LIST}", kind, says)
        )
    if kind == "map":
        errors += _map_items(keys, items, path)
    if kind in {"set", "map"} and isinstance(items, dict):
        if items.get("nullable"):
            errors.append(
                denied(f"{path}.items.nullable", f"cannot be nullable when {LIST} is {kind}")
            )
        if kind == "map":
            errors += _keys(keys, items, path)
    return errors


def _set_items(items: Object, path: str) -> list[FieldError]:
    says = f"must be atomic as item of a list with {LIST}=set"
    inner = items.get(LIST)
    if items.get("type") == "array" and inner not in {None, "atomic"}:
        return [wrong(f"{path}.items.{LIST}", inner, says)]
    if items.get("type") == "object" and items.get(MAP) != "atomic":
        return [wrong(f"{path}.items.{MAP}", inner, says)]
    return []


def _map_items(keys: list[str], items: Any, path: str) -> list[FieldError]:
    errors = []
    if not keys:
        errors.append(required(f"{path}.{KEYS}", f"must not be empty if {LIST} is map"))
    if items is None:
        return [*errors, required(f"{path}.items", f"must have a schema if {LIST} is map")]
    if not isinstance(items, dict):
        return errors
    if items.get("type") != "object":
        errors.append(
            wrong(
                f"{path}.items.type",
                items.get("type", ""),
                f"must be object if parent array's {LIST} is map",
            )
        )
        return errors
    seen: set[str] = set()
    for key in keys:
        known = (items.get("properties") or {}).get(key)
        if known is None:
            errors.append(
                wrong(f"{path}.{KEYS}", keys, "entries must all be names of item properties")
            )
        elif known.get("type") in {"array", "object"}:
            errors.append(
                wrong(
                    f"{path}.items.properties[{key}].type",
                    items.get("type"),
                    f"must be a scalar type if parent array's {LIST} is map",
                )
            )
        if key in seen:
            errors.append(wrong(f"{path}.{KEYS}", keys, "must not contain duplicate entries"))
        seen.add(key)
    return errors


def _keys(keys: list[str], items: Object, path: str) -> list[FieldError]:
    errors = []
    says = f"this property is in {KEYS}, so it"
    for key in keys:
        known = (items.get("properties") or {}).get(key)
        if known is None:
            continue
        where = f"{path}.items.properties[{key}]"
        if key not in (items.get("required") or ()) and known.get("default") is None:
            errors.append(
                required(
                    f"{where}.default", f"{says} must have a default or be a required property"
                )
            )
        if known.get("nullable"):
            errors.append(denied(f"{where}.nullable", f"{says} cannot be nullable"))
    return errors
