"""The columns of custom resources."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver import times
from kaito.local.apiserver.custom.jsonpaths import JsonPath
from kaito.local.apiserver.tables import AGE_SAYS, NAME_SAYS, Column, Columns, age

Object = dict[str, Any]


def printer(version: Object) -> Columns:
    """Columns of one version of a definition; Age alone when it declares none."""
    declared = version.get("additionalPrinterColumns") or [
        {
            "name": "Age",
            "type": "date",
            "jsonPath": ".metadata.creationTimestamp",
            "description": AGE_SAYS,
        }
    ]
    columns = [Column("Name", format="name", description=NAME_SAYS)]
    paths = []
    for entry in declared:
        says = entry.get("description") or (
            f"Custom resource definition column (in JSONPath format): {entry['jsonPath'].lstrip()}"
            if not entry.get("description")
            else ""
        )
        columns.append(
            Column(
                entry["name"],
                entry.get("type", "string"),
                entry.get("format", ""),
                says,
                entry.get("priority", 0),
            )
        )
        paths.append((JsonPath(entry["jsonPath"]), entry.get("type", "string")))

    def cells(obj: Object, now: float) -> list[Any]:
        return [obj["metadata"].get("name", ""), *(cell(p.find(obj), t, now) for p, t in paths)]

    return Columns(tuple(columns), cells)


def cell(found: list[Any], kind: str, now: float) -> Any:
    """The first value, in the column's type; None where there is none or it does not fit."""
    if not found:
        return None
    value = found[0]
    if value is None:
        return "<no value>" if kind == "string" else None
    match kind:
        case "integer":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            return int(value)
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float):
                return None
            return value
        case "boolean":
            return value if isinstance(value, bool) else None
        case "date":
            return moment(value, now) if isinstance(value, str) else None
    return text(value)


def moment(value: str, now: float) -> str:
    """How long ago, or the mark of what is no time."""
    try:
        return age(value, now)
    except times.TimeError:
        return "<invalid>"


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import json

        return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return str(value)
