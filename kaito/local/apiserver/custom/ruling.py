"""Rules at work: every rule of a schema over an object, in the words of the server."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kaito.local.apiserver.cel.expressions import Uncompilable
from kaito.local.apiserver.custom.comparing import MISSING, former, same
from kaito.local.apiserver.custom.declared import Declared, declared, escape, to_cel
from kaito.local.apiserver.custom.fieldpaths import shown_path
from kaito.local.apiserver.custom.rules import REASONS, OutOfBudget, Purse, Rule
from kaito.local.apiserver.custom.structural import Structural
from kaito.local.apiserver.fields import NOTHING, FieldError

Object = dict[str, Any]
RESOURCE = ("apiVersion", "kind", "metadata")


class Ruling:
    """The compiled rules of one schema."""

    def __init__(self, schema: Structural) -> None:
        self._schema = schema
        self._declared = declared(schema, root=True)
        self._rules: dict[int, list[Rule | str]] = {}

    def check(self, obj: Object, old: Object | None) -> tuple[list[FieldError], list[FieldError]]:
        """Faults, and faults of parts that the write does not touch (which only warn)."""
        run = _Run(self._rules, [], [])
        before = MISSING if old is None else old
        with suppress(OutOfBudget):  # told where it happened
            run.walk(self._schema, self._declared, obj, before, "", same_before=False, root=True)
        return run.errors, run.forgiven


class _Run:
    """The rules over one object."""

    def __init__(
        self,
        rules: dict[int, list[Rule | str]],
        errors: list[FieldError],
        forgiven: list[FieldError],
    ) -> None:
        self._rules = rules
        self._purse = Purse()
        self.errors = errors
        self.forgiven = forgiven

    def walk(
        self,
        schema: Structural,
        known: Declared | None,
        value: Any,
        old: Any,
        path: str,
        *,
        same_before: bool,
        root: bool = False,
    ) -> None:
        """`same_before`: is the nearest part that has a former self unchanged?"""
        if not schema.has_rules or value is None or known is None:
            return
        untouched = same(value, old) if old is not MISSING else same_before
        if schema.rules:
            self._judge(schema, known, value, old, path, untouched=untouched, root=root)
        if isinstance(value, dict):
            then = old if isinstance(old, dict) else {}
            for name, inner in value.items():
                found = self._member(schema, known, name)
                if found is None:
                    continue
                before = then.get(name, MISSING) if schema.map_type != "other" else MISSING
                keyed = isinstance(schema.extra, Structural) and name not in schema.properties
                where = f"{path}[{name}]" if keyed else f"{path}.{name}" if path else name
                spared = untouched and not (root and name in {"apiVersion", "kind"})
                self.walk(*found, inner, before, where, same_before=spared)
        elif isinstance(value, list) and schema.items is not None:
            matched = former(schema, old)
            for i, item in enumerate(value):
                self.walk(
                    schema.items,
                    known.element,
                    item,
                    matched(item),
                    f"{path}[{i}]",
                    same_before=untouched,
                )

    @staticmethod
    def _member(
        schema: Structural, known: Declared, name: str
    ) -> tuple[Structural, Declared | None] | None:
        inner = schema.properties.get(name)
        if inner is not None:
            escaped = escape(name)
            if escaped is None:
                return inner, declared(inner, root=inner.embedded)
            return inner, known.fields.get(escaped)
        if isinstance(schema.extra, Structural):
            return schema.extra, known.element
        return None

    def _of(self, schema: Structural, known: Declared) -> list[Rule | str]:
        """The rules; a text in the place of one that does not compile."""
        found = self._rules.get(id(schema))
        if found is None:
            found = self._rules[id(schema)] = []
            for raw in schema.rules:
                try:
                    found.append(Rule(raw, known))
                except Uncompilable as error:
                    found.append(f"rule compile error: {error}")
        return found

    def _judge(
        self,
        schema: Structural,
        known: Declared,
        value: Any,
        old: Any,
        path: str,
        *,
        untouched: bool,
        root: bool,
    ) -> None:
        where = path or "<nil>"
        has_old = old is not MISSING and old is not None
        mine = to_cel(value, schema, root=root)
        before = to_cel(old, schema, root=root) if has_old else None
        for rule in self._of(schema, known):
            if isinstance(rule, str):
                self.errors.append(FieldError(where, "Invalid value", schema.type, rule))
                continue
            if not rule.applies(has_old=has_old):
                continue
            try:
                found = rule.failure(mine, before, self._purse, has_old=has_old)
            except OutOfBudget as fault:
                self.errors.append(FieldError(where, "Invalid value", schema.type, str(fault)))
                raise
            if found is None:
                continue
            kind, text = found
            if kind == "error":
                self.errors.append(FieldError(where, "Invalid value", schema.type, text))
                continue
            out = self.forgiven if untouched and not rule.transition else self.errors
            out.append(self._told(rule, schema, value, path, text))

    @staticmethod
    def _told(rule: Rule, schema: Structural, value: Any, path: str, text: str) -> FieldError:
        where = path or "<nil>"
        place = shown_path(rule.raw.get("fieldPath") or "", schema)
        if place:
            where = f"{path}.{place}" if path else place
        what = REASONS[rule.raw.get("reason") or "FieldValueInvalid"]
        shown = NOTHING if schema.type in {"object", "array"} else value
        if what == "Duplicate value":
            return FieldError(where, what, shown)
        return FieldError(where, what, shown, text)
