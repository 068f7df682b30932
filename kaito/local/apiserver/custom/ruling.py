"""Rules at work: every rule of a schema over an object, in the words of the server."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.custom.cel.rules import REASONS, Rule, Uncompilable, to_cel
from kaito.local.apiserver.custom.checking import MISSING, correlate, json_type, same
from kaito.local.apiserver.custom.structural import Structural
from kaito.local.apiserver.fields import NOTHING, FieldError

Object = dict[str, Any]


class Ruling:
    """The compiled rules of one schema."""

    def __init__(self, schema: Structural) -> None:
        self._schema = schema
        self._rules: dict[int, list[Rule]] = {}

    def check(self, obj: Object, old: Object | None) -> tuple[list[FieldError], list[FieldError]]:
        """Faults, and faults of parts that the write does not touch (which only warn)."""
        errors: list[FieldError] = []
        forgiven: list[FieldError] = []
        if self._schema.has_rules:
            self._walk(
                self._schema, obj, MISSING if old is None else old, "", errors, forgiven, root=True
            )
        return errors, forgiven

    def _of(self, schema: Structural, *, root: bool) -> list[Rule]:
        found = self._rules.get(id(schema))
        if found is None:
            found = []
            for raw in schema.rules:
                try:
                    found.append(Rule(raw, schema, root=root))
                except Uncompilable:
                    continue
            self._rules[id(schema)] = found
        return found

    def _walk(
        self,
        schema: Structural,
        value: Any,
        old: Any,
        path: str,
        errors: list[FieldError],
        forgiven: list[FieldError],
        *,
        root: bool = False,
    ) -> None:
        if not schema.has_rules or value is None:
            return
        if schema.rules:
            has_old = old is not MISSING and old is not None
            untouched = has_old and same(_bare(value, root), _bare(old, root))
            out = forgiven if untouched else errors
            mine = to_cel(value, schema)
            before = to_cel(old, schema) if has_old else None
            for rule in self._of(schema, root=root):
                if rule.applies(has_old=has_old):
                    fault = self._judge(rule, value, mine, before, path, has_old=has_old)
                    if fault is not None:
                        out.append(fault)
        if isinstance(value, dict):
            then = old if isinstance(old, dict) else {}
            for name, inner in value.items():
                known = schema.properties.get(name)
                if known is None and isinstance(schema.extra, Structural):
                    known = schema.extra
                if known is not None:
                    self._walk(
                        known,
                        inner,
                        then.get(name, MISSING),
                        f"{path}.{name}" if path else name,
                        errors,
                        forgiven,
                    )
        elif isinstance(value, list) and schema.items is not None and schema.items.has_rules:
            matched = correlate(schema, old) if isinstance(old, list) else None
            for i, item in enumerate(value):
                before_ = matched(item, i) if matched is not None else MISSING
                self._walk(schema.items, item, before_, f"{path}[{i}]", errors, forgiven)

    @staticmethod
    def _judge(
        rule: Rule, value: Any, mine: Any, before: Any, path: str, *, has_old: bool
    ) -> FieldError | None:
        found = rule.failure(mine, before, has_old=has_old)
        if found is None:
            return None
        kind, text = found
        where = path or "<nil>"
        if kind == "error":
            return FieldError(where, "Invalid value", json_type(value), text)
        place = rule.raw.get("fieldPath")
        if place:
            where = (path + place) if path else place.lstrip(".")
        what = REASONS[rule.raw.get("reason") or "FieldValueInvalid"]
        if what == "Duplicate value":
            return FieldError(where, what)
        if what == "Invalid value" and not isinstance(value, dict | list):
            return FieldError(where, what, value, text)
        return FieldError(where, what, NOTHING, text)


def _bare(value: Any, root: bool) -> Any:
    """What of an object counts as touched: not its metadata."""
    if root and isinstance(value, dict):
        return {k: v for k, v in value.items() if k != "metadata"}
    return value
