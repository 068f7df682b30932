"""Label and field selectors: parsing with the server's messages, and matching."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kaito.local.apiserver import names
from kaito.local.apiserver.fields import go_quote

TOKEN = re.compile(r"\s*(==|!=|=|!|>|<|\(|\)|,|[^\s=!<>(),]+)")
OPERATOR = re.compile(r"!=|==|=")
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
        number, bound = integer(value or ""), integer(self.values[0])
        if number is None or bound is None:
            return False
        return number > bound if self.operator == ">" else number < bound


def integer(text: str) -> int | None:
    """A number of 64 bits, or None."""
    if not re.fullmatch(r"[-+]?[0-9]+", text):
        return None
    found = int(text)
    return found if -(2**63) <= found < 2**63 else None


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
            raise SelectorError(f"found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        values = self.values() if operator in {"in", "notin"} else (self.exact(),)
        check_values(key, operator, values)
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
        word = self.peek()
        if word == ")":
            self.take()
            return ("",)
        if not self._identifier(word) and word != ",":
            raise SelectorError(f"found '{word}', expected: ',', ')' or identifier")
        found: set[str] = set()
        while True:
            word = self.take()
            follower = self.peek()
            if self._identifier(word):
                found.add(word)
                if follower not in {",", ")"}:
                    raise SelectorError(f"found '{follower}', expected: ',' or ')'")
            elif word == ",":
                if not found or follower in {",", ")"}:
                    found.add("")
            else:
                raise SelectorError(f"found '{word}', expected: ',', or identifier")
            if follower == ")":
                self.take()
                return tuple(sorted(found))


def check_values(key: str, operator: str, values: tuple[str, ...]) -> None:
    """Raises SelectorError with every fault of the values of one requirement."""
    faults = []
    if operator in {">", "<"} and integer(values[0]) is None:
        faults.append(
            f"values[0]: Invalid value: {go_quote(values[0])}: for 'Gt', "
            "'Lt' operators, the value must be an integer"
        )
    for i, value in enumerate(values):
        if wrong := names.label_value(value):
            shown = go_quote(value)
            faults.append(f"values[{i}][{key}]: Invalid value: {shown}: " + "; ".join(wrong))
    if faults:
        raise SelectorError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")


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
    for part in sorted(_split(text)):
        if not part:
            continue
        found = OPERATOR.search(part)
        if found is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        operator = "!=" if found[0] == "!=" else "="
        terms.append(Term(part[: found.start()], operator, _unescape(part[found.end() :])))
    return terms


def _split(text: str) -> Iterable[str]:
    """The terms between commas; a backslash takes the next character as it is."""
    start, escaped = 0, False
    for i, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            yield text[start:i]
            start = i + 1
    yield text[start:]


def _unescape(text: str) -> str:
    """Raises SelectorError."""
    out, rest = [], iter(text)
    for char in rest:
        if char == "\\":
            char = next(rest, "")
            if char not in {"\\", ",", "="}:
                raise SelectorError(f"invalid field selector: invalid escape sequence: \\{char}")
        elif char in {",", "="}:
            raise SelectorError(
                f"invalid field selector: unescaped character in value: {ord(char)}"
            )
        out.append(char)
    return "".join(out)


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
