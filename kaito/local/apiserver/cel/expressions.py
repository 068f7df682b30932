"""Expressions, from text to verdict: compiled once, priced, and evaluated many times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver.cel.check import Checker, Fault, Fields, shown, uneven, walk
from kaito.local.apiserver.cel.evaluate import CALL_LIMIT, Closure, Compiler, Scope
from kaito.local.apiserver.cel.formatting import FITS, ONLY, clauses
from kaito.local.apiserver.cel.parse import Node, SyntaxFault, parse
from kaito.local.apiserver.cel.price import Prices
from kaito.local.apiserver.cel.spans import Sizes, Span
from kaito.local.apiserver.cel.standard import STANDARD
from kaito.local.apiserver.cel.texts import pattern
from kaito.local.apiserver.cel.types import Type
from kaito.local.apiserver.cel.values import CelError, UInt

CONVERSIONS = {"int", "uint", "double", "bool", "string", "bytes", "timestamp", "duration"}


class Uncompilable(ValueError):
    """The text is no expression of this place; the message is the compiler's."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where expressions stand: which variables there are, of what types and sizes."""

    variables: Mapping[str, Type]
    fields: Fields = field(default_factory=dict)
    sizes: Sizes = lambda path: None


@dataclass(slots=True)
class Expression:
    """A compiled expression. `price` is the most that it may cost."""

    text: str
    type: Type
    used: frozenset[str]
    price: int
    _closure: Closure

    def evaluate(self, variables: Mapping[str, Any], limit: int = CALL_LIMIT) -> tuple[Any, int]:
        """The value and what it cost. Raises CelError, whose `cost` is what was spent."""
        scope = Scope(variables, limit)
        try:
            return self._closure(scope), scope.cost
        except RecursionError as error:
            raise CelError("evaluation recurses too deep") from error


def compile_expression(text: str, place: Place) -> Expression:
    """Raises Uncompilable."""
    from kaito.local.apiserver.cel.syntax import explained

    try:
        tree = parse(text)
    except SyntaxFault as fault:
        raise Uncompilable(f"compilation failed: {explained(text, fault)}") from fault
    checker = Checker(place.variables, place.fields)
    found = checker.check(tree)
    faults = checker.faults or _literal_faults(checker, tree)
    if faults:
        raise Uncompilable(f"compilation failed: {shown(faults, text)}")
    _fold_constants(tree)
    price: Span = Prices(checker, place.sizes).of(tree)
    return Expression(
        text, found, frozenset(checker.used), price.high, Compiler(checker).compile(tree)
    )


def _literal_faults(checker: Checker, tree: Node) -> list[Fault]:
    """Literals that can never be what they stand for."""
    faults: list[Fault] = []
    spared: set[int] = set()

    def visit(node: Node) -> None:
        if node.kind == "call" and node.name == "format":
            for part in node.parts:
                walk(part, lambda inner: spared.add(inner.number))
        if not spared & {node.number}:
            uneven(checker, node, faults)
        if node.kind != "call" or not node.parts:
            return
        first = node.parts[0]
        if node.name in {"duration", "timestamp", "matches"} and first.kind == "const":
            if _bad(node.name, first.value):
                faults.append(Fault(first.at, f"invalid {node.name} argument"))
        elif node.name == "format":
            _format_faults(checker, node, faults)

    walk(tree, visit)
    return faults


def _bad(name: str, literal: Any) -> bool:
    try:
        (pattern if name == "matches" else STANDARD[name])(literal)
    except CelError:
        return True
    return False


def _format_faults(checker: Checker, node: Node, faults: list[Fault]) -> None:
    """A literal format whose clauses do not fit its arguments."""
    target, given = node.target, node.parts[0]
    if target is None or target.kind != "const" or given.kind != "list":
        return
    for i, (kind, fault) in enumerate(clauses(target.value)):
        if fault:
            faults.append(Fault(node.at, fault))
            return
        if i >= len(given.parts):
            faults.append(Fault(node.at, f"index {i} out of range"))
            return
        found = checker.types[given.parts[i].number]
        if found.kind != "dyn" and found.kind not in FITS[kind]:
            why = ONLY[kind].format(found.name or found.kind)
            faults.append(Fault(given.parts[i].at, f"error during formatting: {why}"))
            return


def _fold_constants(tree: Node) -> None:
    """Conversions and patterns of literals are worked out once, and may fail then."""

    def visit(node: Node) -> None:
        if node.kind != "call" or not node.parts or node.parts[-1].kind != "const":
            return
        first = node.parts[-1] if node.name == "matches" else node.parts[0]
        if first.kind != "const":
            return
        try:
            if node.target is None and node.name in CONVERSIONS:
                if first.name == "null":
                    raise CelError(f"no such overload: {node.name}(null_type)")
                STANDARD[node.name](UInt(first.value) if first.name == "uint" else first.value)
            elif node.name in {"find", "findAll", "matches"} and first.name == "string":
                pattern(first.value)
        except CelError as error:
            raise Uncompilable(f"program instantiation failed: {error}") from error

    walk(tree, visit)
