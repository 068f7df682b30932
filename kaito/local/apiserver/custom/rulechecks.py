"""The rules of a definition, checked when it is written: they compile and are not too dear."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver.cel.expressions import Expression, Uncompilable, compile_expression
from kaito.local.apiserver.custom.declared import REQUEST, Declared, declared, escape, place
from kaito.local.apiserver.custom.fieldpaths import FieldPathError, resolve
from kaito.local.apiserver.custom.structural import Structural, build
from kaito.local.apiserver.fields import (
    FieldError,
    Raw,
    denied,
    required,
    unsupported,
    wrong,
)

Object = dict[str, Any]
RULE_LIMIT = 10_000_000
SCHEMA_LIMIT = 100_000_000
MOST = (1 << 64) - 1
TOLD = 4  # of the dearest rules, where all together cost too much
REASONS = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"]
HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, "
    "maps, and strings are declared)"
)


@dataclass(slots=True)
class Place:
    """A schema among its parents. `times`: how often it stands in one object; None: unbounded."""

    schema: Structural
    declared: Declared | None
    times: int | None = 1

    @classmethod
    def root(cls, schema: Object) -> Place:
        structural = build(schema)
        return cls(structural, declared(structural, root=True))

    def _inner(self, inner: Structural | None, known: Declared | None) -> Place | None:
        if inner is None:
            return None
        many = _members(self.schema.schema)
        times = None if self.times is None or many is None else min(self.times * many, MOST)
        return Place(inner, known or declared(inner, root=inner.embedded), times)

    def values(self) -> Place | None:
        extra = self.schema.extra
        inner = extra if isinstance(extra, Structural) else None
        return self._inner(inner, self.declared.element if self.declared else None)

    def property(self, name: str) -> Place | None:
        known = self.declared.fields.get(escape(name) or "") if self.declared else None
        return self._inner(self.schema.properties.get(name), known)

    def items(self) -> Place | None:
        return self._inner(self.schema.items, self.declared.element if self.declared else None)


def _members(raw: Object) -> int | None:
    """How many members a value has at most; 1 where they are told apart by name."""
    if raw.get("type") == "object":
        if raw.get("additionalProperties") is None:
            return 1
        most = raw.get("maxProperties")
    elif raw.get("type") == "array":
        most = raw.get("maxItems")
    else:
        return 1
    return None if most is None else max(int(most), 0)


def excess(what: str, cost: int, limit: int) -> str:
    """By how much a limit is passed, as the server says it."""
    factor = cost / limit
    shown = (
        "more than 100x" if factor > 100 else f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    )
    return f"{what} exceeds budget by factor of {shown} {HINT}"


@dataclass(slots=True)
class RuleChecks:
    """The rules of one version's schema, and what they cost together."""

    total: int = 0
    dear: list[tuple[int, str]] = field(default_factory=list)
    known: frozenset[str] = frozenset()  # texts that are stored already

    def expressions(
        self, rules: list[Object], path: str, lost: str, where: Place
    ) -> list[FieldError]:
        """Faults of what rules say."""
        errors: list[FieldError] = []
        if where.declared is None:
            return [
                FieldError(
                    f"{path}.x-kubernetes-validations",
                    "Internal error",
                    detail="internal error: failed to construct type information for "
                    "x-kubernetes-validations rules: unable to convert structural schema to CEL "
                    "declarations",
                )
            ]
        for i, raw in enumerate(rules):
            here = f"{path}.x-kubernetes-validations[{i}]"
            self._rule(raw, here, lost, where, where.declared, errors)
        return errors

    def _rule(
        self,
        raw: Object,
        path: str,
        lost: str,
        where: Place,
        known: Declared,
        errors: list[FieldError],
    ) -> None:
        shown, standing = Raw(go_rule(raw)), place(known, optional=bool(raw.get("optionalOldSelf")))
        rule = self._compiled(raw["rule"], standing, "bool")
        if isinstance(rule, str):
            errors.append(wrong(f"{path}.rule", shown, rule))
            self._unused(raw, path, errors)
            return
        most = where.times if where.times is not None else REQUEST // (known.least + 1)
        self._spend(f"{path}.rule", "rule", min(rule.price * most, MOST), errors)
        if raw.get("messageExpression"):
            words = self._compiled(raw["messageExpression"], standing, "string")
            at = f"{path}.messageExpression"
            if isinstance(words, str):
                head = "" if words.startswith("must evaluate") else " "
                errors.append(wrong(at, shown, f"messageExpression{head or ' '}{words}"))
            else:
                self._spend(at, "messageExpression", words.price, errors)
        if "oldSelf" not in rule.used:
            self._unused(raw, path, errors)
        elif lost:
            errors.append(
                wrong(
                    f"{path}.rule",
                    raw["rule"],
                    "oldSelf cannot be used on the uncorrelatable portion of the schema within "
                    f"{lost}",
                )
            )

    @staticmethod
    def _unused(raw: Object, path: str, errors: list[FieldError]) -> None:
        if raw.get("optionalOldSelf") is not None:
            errors.append(
                wrong(
                    f"{path}.optionalOldSelf",
                    raw["optionalOldSelf"],
                    "may not be set if oldSelf is not used in rule",
                )
            )

    @staticmethod
    def _compiled(text: str, standing: Any, wanted: str) -> Expression | str:
        """The expression, or what is wrong with it."""
        try:
            found = compile_expression(text, standing)
        except Uncompilable as error:
            return str(error)
        if found.type.kind != wanted:
            return (
                "cel expression must evaluate to a bool"
                if wanted == "bool"
                else "must evaluate to a string"
            )
        return found

    def _spend(self, path: str, what: str, cost: int, errors: list[FieldError]) -> None:
        if cost > RULE_LIMIT:
            errors.append(denied(path, excess(f"estimated {what} cost", cost, RULE_LIMIT)))
        self.total = min(self.total + cost, MOST)
        if cost * 100 >= SCHEMA_LIMIT:
            self.dear.append((cost, path))

    def whole(self, path: str) -> list[FieldError]:
        """Faults of all rules together."""
        if self.total <= SCHEMA_LIMIT:
            return []
        dearest = sorted(self.dear, key=lambda d: -d[0])[:TOLD]
        says = (
            "contributed to estimated rule cost total exceeding cost limit for entire "
            "OpenAPIv3 schema"
        )
        what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        return [
            *(denied(where, says) for _, where in dearest),
            denied(path, excess(what, self.total, SCHEMA_LIMIT)),
        ]

    @staticmethod
    def texts(rules: list[Object], schema: Object, path: str) -> list[FieldError]:
        """Faults of rules that need no reading of expressions."""
        errors: list[FieldError] = []
        for i, raw in enumerate(rules):
            errors += _text_faults(raw, schema, f"{path}.x-kubernetes-validations[{i}]")
        return errors


def _text_faults(raw: Object, schema: Object, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    rule, message = (raw.get("rule") or "").strip(), raw.get("message") or ""
    if not rule:
        errors.append(required(f"{path}.rule", "rule is not specified"))
    elif message and not message.strip():
        errors.append(wrong(f"{path}.message", message, "must be non-empty if specified"))
    elif _broken(message.strip()):
        errors.append(wrong(f"{path}.message", message, "must not contain line breaks"))
    elif _broken(rule) and not message:
        errors.append(
            required(f"{path}.message", "message must be specified if rule contains line breaks")
        )
    words = raw.get("messageExpression") or ""
    if words and not words.strip():
        errors.append(
            required(
                f"{path}.messageExpression", "messageExpression must be non-empty if specified"
            )
        )
    if raw.get("reason") is not None and raw["reason"] not in REASONS:
        errors.append(unsupported(f"{path}.reason", raw["reason"], REASONS))
    target = raw.get("fieldPath") or ""
    if target and not target.strip():
        errors.append(wrong(f"{path}.fieldPath", target, "must be non-empty if specified"))
    if _broken(target):
        errors.append(wrong(f"{path}.fieldPath", target, "must not contain line breaks"))
    if target and not _leads(target, schema):
        errors.append(wrong(f"{path}.fieldPath", target, "must be a valid path"))
    return errors


def _broken(text: str) -> bool:
    return "\n" in text or "\r" in text


def _leads(path: str, schema: Object) -> bool:
    try:
        resolve(path, build(schema))
    except FieldPathError:
        return False
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
