"""Rules: what an object must satisfy beyond the types of its fields.

A rule is one record with a path, an expression that the API server evaluates (CEL), the message
that the user reads, and the same predicate in Python for `kaito plan`, the webhook and the
controllers. A property test shows that expression and predicate agree. Rules look at one object
and at what it was before, never at other objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue, ValidationError

from kaito.api.words import shown

Wire: TypeAlias = Mapping[str, JsonValue]
Predicate: TypeAlias = Callable[[JsonValue], bool]
Transition: TypeAlias = Callable[[JsonValue, JsonValue], bool]

# What follows the name of a field in the message of an UpdateRule, where values can be told.
FIXED = " cannot be changed"
# What an address may hold that is not for everybody who reads a message.
_SECRETS = re.compile(r"(?<=//)[^/?#@]*@|(?<=[?]).*", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with an object, for its author to read."""

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule about the value at one path.

    `cel` is evaluated with the value as `self`; None means that CEL cannot say it. `holds` answers
    the same in Python. A path that is absent satisfies every rule about it. `field` is which part
    of the value it is about, dotted; the message begins with path and field. A rule that `presumes`
    another about the same path is asked where that one holds: one mistake, one sentence.

    A rule about the whole object (path "") is asked at creation alone: the API server forgives
    an old fault in a part that did not change, and the whole always changes. Else an object from
    before the rule could not even lose its finalizer.
    """

    path: str
    field: str = ""
    message: str
    cel: str | None
    holds: Predicate
    presumes: Rule | None = None

    @property
    def at_creation(self) -> bool:
        """Whether it is asked of new objects only."""
        return self.path == ""

    @property
    def expression(self) -> str | None:
        """What the API server evaluates: `cel`, where the rule that it presumes holds."""
        before = self.presumes.expression if self.presumes else None
        return self.cel if self.cel is None or before is None else f"!({before}) || ({self.cel})"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """A rule about a change: `self` is the new value and `oldSelf` the old one.

    It is asked only when both exist, as the API server does for expressions with oldSelf. So
    `path` is of what is there before and after, and `field` what of it the rule is about.
    """

    path: str
    field: str = ""
    message: str
    cel: str | None
    holds: Transition


def broken(rules: Iterable[Rule], wire: Wire, *, new: bool = True) -> Iterator[Problem]:
    """The rules that an object breaks, in the order of the rules; not `new`: one that exists.

    A rule comes after the one that it presumes.
    """
    unanswered: set[tuple[Rule, str]] = set()
    for rule in rules:
        if rule.at_creation and not new:
            continue
        for where, value in values_at(wire, rule.path):
            if rule.presumes is not None and (rule.presumes, where) in unanswered:
                unanswered.add((rule, where))
            elif not rule.holds(value):
                unanswered.add((rule, where))
                yield _problem(rule, where, _told(part(value, rule.field)))


def broken_by_update(rules: Iterable[UpdateRule], wire: Wire, old: Wire) -> Iterator[Problem]:
    """The rules that a change breaks, in the order of the rules."""
    for rule in rules:
        pairs = zip(values_at(wire, rule.path), values_at(old, rule.path), strict=False)
        for (where, value), (_, before) in pairs:
            if not rule.holds(value, before):
                was, is_ = _told(part(before, rule.field)), _told(part(value, rule.field))
                found = _problem(rule, where, "")
                said = f"{FIXED} from {was or 'nothing'} to {is_ or 'nothing'}"
                message = found.message.replace(FIXED, said, 1) if was or is_ else found.message
                yield Problem(path=found.path, message=message)


def _problem(rule: Rule | UpdateRule, where: str, told: str) -> Problem:
    """The problem at one place: the message with that place, and what is there, in front."""
    named, place = joined(rule.path.replace("{}", ""), rule.field), joined(where, rule.field)
    message = rule.message
    if named and message.startswith(named):
        message = place + (f" ({told})" if told else "") + message.removeprefix(named)
    return Problem(path=place, message=message)


def _told(value: JsonValue) -> str:
    """A value as it can stand in a message; "" for what is no word or number."""
    if isinstance(value, str):
        return shown(_SECRETS.sub("...", value)) if value else ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def explain(error: ValidationError) -> Iterator[Problem]:
    """Where an object does not fit its model: missing fields, wrong types, values out of bounds."""
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        path = ""
        for step in detail["loc"]:
            path = f"{path}[{step}]" if isinstance(step, int) else joined(path, step)
        yield Problem(path=path, message=f"{path}: {detail['msg']}.")


def values_at(wire: Wire, path: str) -> list[tuple[str, JsonValue]]:
    """The values at a dotted path and where each of them is; absent ones not.

    `name[]` means each item of the list, `name{}` each value of the map.
    """
    found: list[tuple[str, JsonValue]] = [("", dict(wire))]
    for step in path.split(".") if path else ():
        name = step.removesuffix("[]").removesuffix("{}")
        found = [(joined(at, name), part(v, name)) for at, v in found if has(v, name)]
        if step.endswith("[]"):
            lists = [(at, v) for at, v in found if isinstance(v, list)]
            found = [(f"{at}[{n}]", item) for at, v in lists for n, item in enumerate(v)]
        elif step.endswith("{}"):
            maps = [(at, v) for at, v in found if isinstance(v, Mapping)]
            found = [(f"{at}[{key}]", item) for at, v in maps for key, item in v.items()]
    return found


def joined(path: str, name: str) -> str:
    """Two parts of a dotted path as one; either may be empty."""
    return f"{path}.{name}" if path and name else path or name


def has(value: JsonValue, key: str) -> bool:
    """Whether a value is a map with something under this key; null is nothing, as in the API."""
    return isinstance(value, Mapping) and value.get(key) is not None


def part(value: JsonValue, path: str, absent: JsonValue = None) -> JsonValue:
    """What is at a dotted path in a value, `absent` when nothing is there; "" is all of it."""
    for step in path.split(".") if path else ():
        value = value.get(step) if isinstance(value, Mapping) else None
        if value is None:
            return absent
    return value
