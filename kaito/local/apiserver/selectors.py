"""Label and field selectors: parsing with the server's messages, and matching."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kaito.local.apiserver import names
from kaito.local.apiserver.fields import go_quote

TOKEN = re.compile(r"\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")
SYMBOLS = {"=", "==", "!=", "in", "notin", ">", "<"}


class SelectorError(ValueError):
    """The selector does not parse; the message is the server's."""


@dataclass(frozen=True, slots=True)
class Requirement:
    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "!":
                return value is None
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
        if value is None or not re.fullmatch(r"[-+]?\d+", value):
            return False
        bound = int(self.values[0])
        return int(value) > bound if self.operator == ">" else int(value) < bound


Match = Callable[[Mapping[str, str]], bool]


def labels(text: str) -> Match | None:
    """A test over labels, or None when everything matches. Raises SelectorError."""
    requirements = _LabelParser(text).parse()
    if not requirements:
        return None
    if len(requirements) == 1:
        return requirements[0].holds
    return lambda found: all(r.holds(found) for r in requirements)


class _LabelParser:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        at = 0
        while found := TOKEN.match(text, at):
            self.tokens.append(found[1])
            at = found.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        word = self.peek()
        self.at += 1
        return word

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        if not self.tokens:
            return found
        while True:
            word = self.peek()
            if self._identifier(word) or word == "!":
                try:
                    found.append(self.requirement())
                except SelectorError as error:
                    raise SelectorError(f"unable to parse requirement: {error}") from error
                word = self.take()
                if word == "":
                    break
                if word != ",":
                    raise SelectorError(f"found '{word}', expected: ',' or 'end of string'")
                follower = self.peek()
                if not self._identifier(follower) and follower != "!":
                    raise SelectorError(f"found '{follower}', expected: identifier after ','")
            elif word == "":
                break
            else:
                raise SelectorError(f"found '{word}', expected: !, identifier, or 'end of string'")
        return found

    @staticmethod
    def _identifier(word: str) -> bool:
        return bool(word) and word not in {"=", "==", "!=", "!", ">", "<", "(", ")", ","}

    def requirement(self) -> Requirement:
        negated = self.peek() == "!"
        if negated:
            self.take()
        key = self.take()
        if not self._identifier(key):
            raise SelectorError(f"found '{key}', expected: identifier")
        check_key(key)
        if negated:
            return Requirement(key, "!")
        if self.peek() in {"", ","}:
            return Requirement(key, "exists")
        operator = self.take()
        if operator not in SYMBOLS:
            raise SelectorError(
                f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt"
                if operator not in SYMBOLS
                else ""
            )
        values = self.values() if operator in {"in", "notin"} else (self.exact(),)
        if operator in {">", "<"} and not re.fullmatch(r"[-+]?\d+", values[0]):
            raise SelectorError(
                f"values[0]: Invalid value: {go_quote(values[0])}: for 'Gt', "
                "'Lt' operators, the value must be an integer"
            )
        for i, value in enumerate(values):
            faults = names.label_value(value)
            if faults:
                raise SelectorError(
                    f"values[{i}][{key}]: Invalid value: {go_quote(value)}: " + "; ".join(faults)
                )
        return Requirement(key, operator, values)

    def exact(self) -> str:
        word = self.peek()
        if word in {"", ","}:
            return ""
        self.take()
        if not self._identifier(word):
            raise SelectorError(f"found '{word}', expected: identifier")
        return word

    def values(self) -> tuple[str, ...]:
        word = self.take()
        if word != "(":
            raise SelectorError(f"found '{word}' expected: '('")
        found: list[str] = []
        word = self.peek()
        if self._identifier(word) or word == ",":
            expect_value = True
            while True:
                word = self.take()
                if word == ")":
                    if expect_value:
                        found.append("")
                    return tuple(sorted(set(found)))
                if word == ",":
                    if expect_value:
                        found.append("")
                    expect_value = True
                elif self._identifier(word):
                    if not expect_value:
                        raise SelectorError(f"found '{word}', expected: ',' or ')'")
                    found.append(word)
                    expect_value = False
                else:
                    raise SelectorError(
                        f"found '{word}', expected: ',', or ')'"
                        if found
                        else f"found '{word}', expected: ',', ')' or identifier"
                    )
        if word == ")":
            self.take()
            return ("",)
        raise SelectorError(f"found '{word}', expected: ',', ')' or identifier")


def check_key(key: str) -> None:
    faults = names.qualified(key)
    if faults:
        raise SelectorError(f"<nil>: Invalid value: {go_quote(key)}: " + "; ".join(faults))


@dataclass(frozen=True, slots=True)
class Term:
    field: str
    operator: str
    value: str


def field_terms(text: str) -> list[Term]:
    """The terms of a field selector. Raises SelectorError."""
    terms: list[Term] = []
    for part in _split(text):
        if not part:
            continue
        for operator in ("!=", "==", "="):
            left, found, right = _partition(part, operator)
            if found:
                terms.append(Term(left, "!=" if operator == "!=" else "=", _unescape(right)))
                break
        else:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
    return terms


def _partition(part: str, operator: str) -> tuple[str, str, str]:
    first = min((part.find(c) for c in "=!" if c in part), default=-1)
    if first < 0 or not part.startswith(operator, first):
        return part, "", ""
    return part[:first], operator, part[first + len(operator) :]


def _split(text: str) -> Iterable[str]:
    return (p for p in re.split(r"(?<!\\),", text))


def _unescape(text: str) -> str:
    return re.sub(r"\\([\\,=])", r"\1", text)


def field_match(terms: list[Term]) -> Match | None:
    if not terms:
        return None
    return lambda found: all(
        (found.get(t.field, "") == t.value) == (t.operator == "=") for t in terms
    )


def of_label_selector(selector: Mapping[str, object] | None) -> Match:
    """A test from a LabelSelector object; an absent one matches nothing."""
    if selector is None:
        return lambda found: False
    requirements: list[Requirement] = []
    wanted = selector.get("matchLabels") or {}
    assert isinstance(wanted, Mapping)
    requirements += [Requirement(k, "=", (str(v),)) for k, v in wanted.items()]
    rules = selector.get("matchExpressions") or []
    assert isinstance(rules, list)
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    requirements += [
        Requirement(r["key"], operators[r["operator"]], tuple(r.get("values") or ())) for r in rules
    ]
    return lambda found: all(r.holds(found) for r in requirements)
