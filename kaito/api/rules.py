"""Rules: what an object must satisfy beyond the types of its fields.

A rule is one record with a path, an expression that the API server evaluates (CEL), the message
that the user reads, and the same predicate in Python for `kaito plan`, the webhook and the
controllers. A property test shows that expression and predicate agree. Rules look at one object
and at what it was before, never at other objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pydantic import JsonValue, ValidationError

Wire: TypeAlias = Mapping[str, JsonValue]
Predicate: TypeAlias = Callable[[JsonValue], bool]
Transition: TypeAlias = Callable[[JsonValue, JsonValue], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with an object, for its author to read."""

    path: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule about the value at one path.

    `cel` is evaluated with the value as `self`; None means that CEL cannot say it. `holds` answers
    the same in Python. A path that is absent satisfies every rule about it.

    A rule about the whole object (path "") is asked at creation alone: the API server forgives
    an old fault in a part that did not change, and the whole always changes. Else an object from
    before the rule could not even lose its finalizer.
    """

    path: str
    message: str
    cel: str | None
    holds: Predicate

    @property
    def at_creation(self) -> bool:
        """Whether it is asked of new objects only."""
        return self.path == ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRule:
    """A rule about a change: `self` is the new value and `oldSelf` the old one.

    It is asked only when both exist, as the API server does for expressions with oldSelf.
    """

    path: str
    message: str
    cel: str
    holds: Transition


def broken(rules: Iterable[Rule], wire: Wire, *, new: bool = True) -> Iterator[Problem]:
    """The rules that an object breaks, in the order of the rules; not `new`: one that exists."""
    for rule in rules:
        if rule.at_creation and not new:
            continue
        if any(not rule.holds(value) for value in values_at(wire, rule.path)):
            yield Problem(path=rule.path, message=rule.message)


def broken_by_update(rules: Iterable[UpdateRule], wire: Wire, old: Wire) -> Iterator[Problem]:
    """The rules that a change breaks, in the order of the rules."""
    for rule in rules:
        new_values, old_values = values_at(wire, rule.path), values_at(old, rule.path)
        if any(not rule.holds(n, o) for n, o in zip(new_values, old_values, strict=False)):
            yield Problem(path=rule.path, message=rule.message)


def explain(error: ValidationError) -> Iterator[Problem]:
    """Where an object does not fit its model: missing fields, wrong types, values out of bounds."""
    for detail in error.errors(include_url=False, include_input=False):
        path = ".".join(str(step) for step in detail["loc"])
        yield Problem(path=path, message=f"{path}: {detail['msg']}.")


def values_at(value: JsonValue | Wire, path: str) -> list[JsonValue]:
    """The values at a dotted path, where `name[]` means each item of the list; absent ones not."""
    found: list[JsonValue] = [value]  # type: ignore[list-item]  # Wire is a read-only JsonValue
    for step in path.split(".") if path else ():
        name = step.removesuffix("[]")
        found = [v[name] for v in found if isinstance(v, Mapping) and name in v]
        if name != step:
            found = [item for v in found if isinstance(v, list) for item in v]
    return found
