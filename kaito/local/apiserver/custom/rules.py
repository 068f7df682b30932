"""One rule of a schema: compiled once, evaluated over a value and what it was before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kaito.local.apiserver.cel.evaluate import CALL_LIMIT
from kaito.local.apiserver.cel.expressions import Expression, Uncompilable, compile_expression
from kaito.local.apiserver.cel.values import NO_OVERLOAD, NONE, CelError, Optional, TooCostly
from kaito.local.apiserver.custom.declared import Declared, place

Object = dict[str, Any]
REASONS = {
    "FieldValueInvalid": "Invalid value",
    "FieldValueForbidden": "Forbidden",
    "FieldValueRequired": "Required value",
    "FieldValueDuplicate": "Duplicate value",
}
BUDGET = 10_000_000  # what all rules of one write may cost
MESSAGE_BYTES = 5 * 1024
NO_BUDGET = (
    "validation failed due to running out of cost budget, no further validation rules will be run"
)


class OutOfBudget(Exception):
    """No rule is run any more; the text is the fault to tell."""


@dataclass(slots=True)
class Purse:
    """What is left to spend on one write."""

    left: int = BUDGET

    def spend(self, cost: int, fault: str = NO_BUDGET) -> None:
        if cost > self.left:
            self.left = -1
            raise OutOfBudget(fault)
        self.left -= cost


class Rule:
    """Raises Uncompilable where `rule` or `messageExpression` are none."""

    def __init__(self, raw: Object, declared: Declared) -> None:
        self.raw = raw
        self.text: str = raw["rule"]
        self.optional_old = bool(raw.get("optionalOldSelf"))
        where = place(declared, optional=self.optional_old)
        self.condition: Expression = compile_expression(self.text, where)
        self.words: Expression | None = None
        if raw.get("messageExpression"):
            try:
                self.words = compile_expression(raw["messageExpression"], where)
            except Uncompilable:
                self.words = None  # accepted by an earlier server; the message stands in

    @property
    def transition(self) -> bool:
        return "oldSelf" in self.condition.used

    def applies(self, *, has_old: bool) -> bool:
        return not self.transition or self.optional_old or has_old

    def failure(
        self, value: Any, old: Any, purse: Purse, *, has_old: bool
    ) -> tuple[str, str] | None:
        """None when the rule holds, else what kind of failure (failed or error) and its text."""
        names = {"self": value}
        if self.optional_old:
            names["oldSelf"] = Optional(True, old) if has_old else NONE
        elif has_old:
            names["oldSelf"] = old
        try:
            result, cost = self.condition.evaluate(names)
        except CelError as error:
            return "error", self._error(error, purse)
        purse.spend(cost)
        if result is True:
            return None
        return "failed", self._message(names, purse)

    def _shown(self) -> str:
        return str(self.raw.get("message") or self.text).strip()

    def _error(self, error: CelError, purse: Purse) -> str:
        text = str(error)
        if isinstance(error, TooCostly):
            purse.spend(CALL_LIMIT)
            raise OutOfBudget(
                f"'{text}': no further validation rules will be run due to call cost exceeds "
                f"limit for rule: {self._shown()}"
            )
        if text.startswith(NO_OVERLOAD):
            return (
                f"'{text}': call arguments did not match a supported operator, function or macro "
                f"signature for rule: {self._shown()}"
            )
        return f"{text} evaluating rule: {self._shown()}"

    def _message(self, names: Object, purse: Purse) -> str:
        given = self.raw.get("message")
        plain = str(given).strip() if given else f"failed rule: {self.text.strip()}"
        if self.words is None:
            return plain
        try:
            found, cost = self.words.evaluate(names)
        except TooCostly as error:
            raise OutOfBudget(
                "no further validation rules will be run due to call cost exceeds limit for "
                f'messageExpression: "{self.words.text}"'
            ) from error
        except CelError:
            return plain
        purse.spend(
            cost,
            "messageExpression evaluation failed due to running out of cost budget, no further "
            "validation rules will be run",
        )
        text = found.strip() if isinstance(found, str) else ""
        return plain if not text or "\n" in text or len(text.encode()) > MESSAGE_BYTES else text
