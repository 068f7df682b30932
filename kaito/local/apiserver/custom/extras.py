"""What a definition says of a version beside its schema: subresources, columns, selectors."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.custom.fieldpaths import FieldPathError, resolve
from kaito.local.apiserver.custom.structural import Structural, build
from kaito.local.apiserver.fields import FieldError, duplicate, required, too_many, wrong

Object = dict[str, Any]
COLUMN_TYPES = "boolean,date,integer,number,string"
COLUMN_FORMATS = "byte,date,date-time,double,float,int32,int64,password"
SELECTABLE = {"string", "boolean", "integer"}
MOST_SELECTABLE = 8
SCALE_PATHS = (
    ("specReplicasPath", (".spec.",), ".spec"),
    ("statusReplicasPath", (".status.",), ".status"),
    ("labelSelectorPath", (".spec.", ".status."), "either .spec or .status"),
)


def subresource_faults(subresources: Object | None, path: str) -> list[FieldError]:
    scale = (subresources or {}).get("scale")
    if scale is None:
        return []
    errors: list[FieldError] = []
    for name, parents, shown in SCALE_PATHS:
        text, where = scale.get(name) or "", f"{path}.scale.{name}"
        if not text:
            if name != "labelSelectorPath":
                errors.append(required(where))
        elif not text.startswith("."):
            errors.append(_not_simple(where, text))
        elif not text.startswith(parents):
            errors.append(wrong(where, text, f"should be a json path under {shown}"))
    return errors


def _not_simple(path: str, text: str) -> FieldError:
    return wrong(path, text, "must be a simple json path starting with .")


def column_faults(columns: list[Object] | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, column in enumerate(columns or ()):
        errors += _column(column, f"{path}[{i}]")
    return errors


def _column(column: Object, path: str) -> list[FieldError]:
    errors = [] if column.get("name") else [required(f"{path}.name")]
    kind, form, text = (column.get(n) or "" for n in ("type", "format", "jsonPath"))
    if not kind:
        errors.append(required(f"{path}.type", f"must be one of {COLUMN_TYPES}"))
    elif kind not in COLUMN_TYPES.split(","):
        errors.append(wrong(f"{path}.type", kind, f"must be one of {COLUMN_TYPES}"))
    if form and form not in COLUMN_FORMATS.split(","):
        errors.append(wrong(f"{path}.format", form, f"must be one of {COLUMN_FORMATS}"))
    if not text:
        errors.append(required(f"{path}.JSONPath"))
    elif not text.startswith("."):
        errors.append(_not_simple(f"{path}.JSONPath", text))
    return errors


def selectable_faults(
    entries: list[Object] | None, schema: Object | None, path: str, says_none: str
) -> list[FieldError]:
    """`says_none`: what is said where there is no schema."""
    if not entries:
        return []
    if schema is None:
        return [wrong(path, "", says_none)]
    structural, errors = build(schema), []
    seen: set[str] = set()
    for i, entry in enumerate(entries):
        text, where = entry.get("jsonPath") or "", f"{path}[{i}].jsonPath"
        if not text:
            errors.append(required(where))
            continue
        try:
            shown, found = resolve(text, structural, brackets=False)
        except FieldPathError as error:
            errors.append(wrong(where, text, f"is an invalid path: {error}"))
            continue
        errors += _selectable(shown, found, text, where)
        if shown in seen:
            errors.append(duplicate(where, text))
        seen.add(shown)
    if len(seen) > MOST_SELECTABLE:
        errors.append(too_many(path, len(seen), 8))
    return errors


def _selectable(shown: str, found: Structural, text: str, where: str) -> list[FieldError]:
    errors = []
    if shown.partition(".")[0] == "metadata":
        errors.append(wrong(where, text, "must not point to fields in metadata"))
    if found.type not in SELECTABLE:
        errors.append(
            wrong(
                where,
                text,
                "must point to a field of type string, boolean or integer. Enum string fields and "
                "strings with formats are allowed.",
            )
        )
    return errors
