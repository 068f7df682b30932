"""One rule: compiled once, evaluated over a value and what it was before."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]  # no py.typed in it

from kaito.local.apiserver.custom.cel import library
from kaito.local.apiserver.custom.cel.parse import Node, SyntaxFault, parse
from kaito.local.apiserver.custom.cel.price import Prices
from kaito.local.apiserver.custom.cel.types import Fault, Type, Types, escape, of, rewritten
from kaito.local.apiserver.custom.structural import Structural

Object = dict[str, Any]
OLD = re.compile(r"\boldSelf\b")
OPTIONAL = "cel.bind(oldSelf, hasOld ? optional.of(oldSelf) : optional.none(), ({0}))"
REASONS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}


class Uncompilable(ValueError):
    """The rule's text is no rule; the message is the compiler's."""


@lru_cache(1)
def _environment() -> Any:
    return library.environment(
        {"self": cel.Type.DYN, "oldSelf": cel.Type.DYN, "hasOld": cel.Type.BOOL}
    )


@dataclass(slots=True)
class Compiled:
    """An expression, its static type and its price."""

    expression: Any
    type: Type
    price: int


def compile_expression(
    text: str, schema: Structural, *, root: bool = False, optional: bool = False
) -> Compiled:
    """Raises Uncompilable."""
    environment = _environment()
    if "validate(" not in text:
        try:
            environment.compile(text if not optional else OPTIONAL.format(text))
        except RuntimeError as error:
            raise Uncompilable(clean(str(error))) from error
    try:
        tree: Node = parse(text)
    except SyntaxFault as error:
        raise Uncompilable(f"ERROR: <input>:1:1: Syntax error\n | {text}\n | ^") from error
    mine = of(schema, root=root)
    old = Type("optional", mine) if optional else mine
    types = Types({"self": mine, "oldSelf": old})
    try:
        found = types.of(tree)
    except Fault as fault:
        raise Uncompilable(fault.text(text)) from fault
    price = Prices(types).of(tree)
    text = rewritten(text, types.rewrites)
    try:
        expression = environment.compile(OPTIONAL.format(text) if optional else text)
    except RuntimeError as error:
        raise Uncompilable(clean(str(error))) from error
    return Compiled(expression, found, price)


def clean(message: str) -> str:
    return re.sub(r" \[INVALID_ARGUMENT\]$", "", message.removeprefix("INVALID_ARGUMENT: "))


def to_cel(value: Any, schema: Structural | None) -> Any:
    """A value as rules see it: members under their escaped names, unknown ones left out."""
    if schema is None:
        return value
    if isinstance(value, dict):
        if isinstance(schema.extra, Structural):
            return {k: to_cel(v, schema.extra) for k, v in value.items()}
        if not schema.properties and (schema.preserve or schema.extra is True):
            return value
        out = {}
        for name, inner in value.items():
            known = schema.properties.get(name)
            # Generated definitions declare `metadata: {type: object}`, and rules read its name.
            if known is None or (name == "metadata" and not known.properties):
                if name in {"apiVersion", "kind", "metadata"}:
                    out[name] = inner
                continue
            escaped = escape(name)
            if escaped and not (inner is None and not known.nullable):
                out[escaped] = to_cel(inner, known)
        return out
    if isinstance(value, list):
        return [to_cel(v, schema.items) for v in value]
    return value


class Rule:
    """A compiled rule of a schema."""

    def __init__(self, raw: Object, schema: Structural, *, root: bool) -> None:
        self.raw = raw
        self.text: str = raw["rule"]
        self.transition = bool(OLD.search(self.text))
        self.optional_old = bool(raw.get("optionalOldSelf"))
        self._compiled = compile_expression(
            self.text, schema, root=root, optional=self.optional_old
        )
        words = raw.get("messageExpression")
        self._words = (
            compile_expression(words, schema, root=root, optional=self.optional_old)
            if words
            else None
        )

    def applies(self, *, has_old: bool) -> bool:
        return not self.transition or self.optional_old or has_old

    def failure(self, value: Any, old: Any, *, has_old: bool) -> tuple[str, str] | None:
        """None when the rule holds, else what kind of failure (failed or error) and its text."""
        data = {"self": value, "oldSelf": old if has_old else None, "hasOld": has_old}
        try:
            result = self._compiled.expression.eval(data=data)
        except RuntimeError as error:
            return "error", self.error_text(clean(str(error)))
        if "ERROR" in result.type().name():
            return "error", self.error_text(str(result.value()))
        if result.value() is True:
            return None
        return "failed", self._message(data)

    def _message(self, data: Object) -> str:
        if self._words is not None:
            found = self._words.expression.eval(data=data)
            if "ERROR" not in found.type().name():
                text = str(found.value())
                if text.strip() and "\n" not in text:
                    return text
        given = self.raw.get("message")
        return str(given).strip() if given else f"failed rule: {self.text}"

    def error_text(self, raw: str) -> str:
        text = re.sub(r"^[A-Z_]+: ", "", raw)
        if found := re.match(r'Key not found in map : "(.*)"', text):
            text = f"no such key: {found[1]}"
        elif found := re.match(r"Index error: index=(-?\d+)", text):
            text = f"index out of bounds: {found[1]}"
        elif text.startswith("No matching overloads"):
            text = "no such overload"
        elif text == "divide by zero":
            text = "division by zero"
        return f"{text} evaluating rule: {self.raw.get('message') or self.text}"
