"""The JSON paths of printer columns and selectable fields: members, indexes, filters, wildcards."""

from __future__ import annotations

import re
from typing import Any

STEP = re.compile(
    r"""\.\.(?P<deep>[\w-]+)|\.(?P<name>\*|(?:[^.\[\]\\]|\\.)+)|\[(?P<inside>(?:[^\[\]'"]|'[^']*'|"[^"]*")*)\]"""
)
FILTER = re.compile(
    r"""^\?\(\s*@(?P<path>[^=!<>\s)]*)\s*(?:(?P<op>==|!=|<=|>=|<|>)\s*(?P<value>.+?))?\s*\)$"""
)


class PathError(ValueError):
    """The text is no path that columns can use."""


class JsonPath:
    """A compiled path; `find` gives every value it leads to."""

    def __init__(self, text: str) -> None:
        self._steps: list[tuple[str, Any]] = []
        body = text.strip()
        if body.startswith("{") and body.endswith("}"):
            body = body[1:-1]
        if body.startswith("$"):
            body = body[1:]
        at = 0
        while at < len(body):
            found = STEP.match(body, at)
            if not found:
                raise PathError(text)
            at = found.end()
            if found["deep"]:
                self._steps.append(("deep", found["deep"]))
            elif found["name"]:
                name = re.sub(r"\\(.)", r"\1", found["name"])
                self._steps.append(("all", None) if name == "*" else ("name", name))
            else:
                self._steps.append(self._bracket(found["inside"].strip()))

    @staticmethod
    def _bracket(inside: str) -> tuple[str, Any]:
        if inside == "*":
            return "all", None
        if inside[:1] in "'\"" and inside[-1:] == inside[:1]:
            return "name", inside[1:-1]
        if re.fullmatch(r"-?\d+", inside):
            return "index", int(inside)
        found = FILTER.match(inside)
        if found:
            return "filter", (
                JsonPath(found["path"] or ""),
                found["op"] or "",
                _literal(found["value"]),
            )
        found_slice = re.fullmatch(r"(-?\d*):(-?\d*)", inside)
        if found_slice:
            first, last = (int(g) if g else None for g in found_slice.groups())
            return "slice", slice(first, last)
        raise PathError(inside)

    def find(self, value: Any) -> list[Any]:
        found = [value]
        for kind, argument in self._steps:
            found = [r for v in found for r in _step(kind, argument, v)]
        return found


def _literal(text: str | None) -> Any:
    if text is None:
        return None
    text = text.strip()
    if text[:1] in "'\"":
        return text[1:-1]
    if text in {"true", "false"}:
        return text == "true"
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _step(kind: str, argument: Any, value: Any) -> list[Any]:
    match kind:
        case "name":
            return [value[argument]] if isinstance(value, dict) and argument in value else []
        case "all":
            if isinstance(value, dict):
                return list(value.values())
            return list(value) if isinstance(value, list) else []
        case "index":
            if isinstance(value, list) and -len(value) <= argument < len(value):
                return [value[argument]]
            return []
        case "slice":
            return value[argument] if isinstance(value, list) else []
        case "deep":
            out = []
            if isinstance(value, dict):
                if argument in value:
                    out.append(value[argument])
                for inner in value.values():
                    out += _step("deep", argument, inner)
            elif isinstance(value, list):
                for inner in value:
                    out += _step("deep", argument, inner)
            return out
    path, operator, wanted = argument
    members = (
        value
        if isinstance(value, list)
        else list(value.values())
        if isinstance(value, dict)
        else []
    )
    return [m for m in members if _passes(path.find(m), operator, wanted)]


def _passes(found: list[Any], operator: str, wanted: Any) -> bool:
    if not operator:
        return bool(found)
    if not found:
        return False
    first = found[0]
    try:
        match operator:
            case "==":
                return bool(first == wanted)
            case "!=":
                return bool(first != wanted)
            case "<":
                return bool(first < wanted)
            case ">":
                return bool(first > wanted)
            case "<=":
                return bool(first <= wanted)
        return bool(first >= wanted)
    except TypeError:
        return False
