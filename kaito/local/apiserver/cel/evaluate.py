"""Evaluation: a checked expression compiled to closures, with a budget.

Costs are counted as the API server counts them: accesses one, calls by what they read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from kaito.local.apiserver.cel.check import Checker
from kaito.local.apiserver.cel.declarations import NAMED_TYPES, Overload, functions
from kaito.local.apiserver.cel.kubernetes import KUBERNETES
from kaito.local.apiserver.cel.lists import find
from kaito.local.apiserver.cel.parse import KEYWORDS, Node
from kaito.local.apiserver.cel.spending import spent
from kaito.local.apiserver.cel.standard import STANDARD
from kaito.local.apiserver.cel.types import Type
from kaito.local.apiserver.cel.values import (
    NAMES,
    NO_OVERLOAD,
    NONE,
    CelError,
    Optional,
    TooCostly,
    UInt,
    equal,
    name_of,
    size_of,
)

CALL_LIMIT = 1_000_000
LIMIT_SAYS = "operation cancelled: actual cost limit exceeded"
KINDS = {
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
    "null_type": "null",
}


class Scope:
    """The variables of one evaluation, and what it has cost so far."""

    __slots__ = ("cost", "limit", "names")

    def __init__(self, names: Mapping[str, Any], limit: int) -> None:
        self.names = dict(names)
        self.cost = 0
        self.limit = limit

    def spend(self, cost: int) -> None:
        self.cost += cost
        if self.cost > self.limit:
            raise TooCostly(LIMIT_SAYS)


Closure = Callable[[Scope], Any]


class Compiler:
    """Turns the nodes of one checked expression into closures."""

    def __init__(self, checker: Checker) -> None:
        self._checker = checker

    def compile(self, node: Node) -> Closure:
        match node.kind:
            case "const":
                value = UInt(node.value) if node.name == "uint" else node.value
                return lambda scope: value
            case "ident":
                return self._ident(node.name.lstrip("."))
            case "select":
                return self._select(node)
            case "list":
                return self._list(node)
            case "map":
                return self._map(node)
            case "fold":
                return self._fold(node)
        return self._call(node)

    @staticmethod
    def _ident(name: str) -> Closure:
        fixed = NAMED_TYPES.get(name)

        def read(scope: Scope) -> Any:
            scope.spend(1)
            if name in scope.names:
                found = scope.names[name]
                if isinstance(found, CelError):
                    raise found
                return found
            if fixed is not None:
                return _runtime_type(fixed)
            raise CelError(f"no such attribute(s): {name}")

        return read

    def _select(self, node: Node) -> Closure:
        dotted = self._checker.named.get(node.number)
        if dotted is not None:
            return self._ident(dotted)
        assert node.target is not None
        base, name, test = self.compile(node.target), node.name, node.test
        escaped = f"__{name}__" if name in KEYWORDS else ""

        def select(scope: Scope) -> Any:
            found = base(scope)
            if escaped and isinstance(found, dict) and escaped in found:
                return test or found[escaped]
            if test:
                return _has(found, name)
            scope.spend(1)
            return _member(found, name)

        return select

    def _parts(self, node: Node) -> list[tuple[Closure, bool]]:
        columns = 2 if node.kind == "map" else 1
        return [
            (self.compile(p), i // columns in node.optional and i % columns == columns - 1)
            for i, p in enumerate(node.parts)
        ]

    def _list(self, node: Node) -> Closure:
        parts, cost = self._parts(node), 0 if _constant(node) else 10

        def build(scope: Scope) -> list[Any]:
            out = []
            for part, optional in parts:
                value = part(scope)
                if not optional:
                    out.append(value)
                elif value.there:
                    out.append(value.value)
            scope.spend(cost)
            return out

        return build

    def _map(self, node: Node) -> Closure:
        parts, cost = self._parts(node), 0 if _constant(node) else 30

        def build(scope: Scope) -> dict[Any, Any]:
            out = {}
            for i in range(0, len(parts), 2):
                key = parts[i][0](scope)
                if isinstance(key, list | dict):
                    raise CelError(f"unsupported key type: {name_of(key)}")
                value = parts[i + 1][0](scope)
                if not parts[i + 1][1]:
                    out[key] = value
                elif value.there:
                    out[key] = value.value
            scope.spend(cost)
            return out

        return build

    def _fold(self, node: Node) -> Closure:
        source, first, condition, step, end = (self.compile(p) for p in node.parts)
        one, two, result = node.value
        bound = (one, two, result) if two else (one, result)

        def fold(scope: Scope) -> Any:
            items = source(scope)
            if not isinstance(items, list | dict):
                shown = f"types.{_kind(items).title()}"
                raise CelError(f"got '{shown}', expected iterable type")
            kept = {name: scope.names[name] for name in bound if name in scope.names}
            start = first(scope)
            scope.names[result] = start
            pairs = items.items() if isinstance(items, dict) else enumerate(items)
            for key, value in pairs:
                scope.names[one] = key if two or isinstance(items, dict) else value
                if two:
                    scope.names[two] = value
                if condition(scope) is False:
                    break
                try:
                    scope.names[result] = step(scope)
                except TooCostly:
                    raise
                except CelError as error:
                    scope.names[result] = error
            try:
                return end(scope)
            finally:
                for name in bound:
                    scope.names.pop(name, None)
                scope.names.update(kept)

        return fold

    def _call(self, node: Node) -> Closure:
        name = self._checker.functions.get(node.number, node.name)
        parts = [self.compile(p) for p in node.parts]
        if node.target is not None and node.number not in self._checker.functions:
            parts.insert(0, self.compile(node.target))
        match name:
            case "_&&_" | "_||_":
                return _logical(parts[0], parts[1], stop=name == "_||_")
            case "_?_:_":
                return _choice(*parts)
            case "@not_strictly_false":
                return _not_false(parts[0])
            case "_?._":
                return _optional_member(parts[0], node.parts[1].value)
            case "or" | "orValue":
                return _otherwise(name, parts[0], parts[1])
            case "_==_" | "_!=_":
                return _equality(parts[0], parts[1], wanted=name == "_==_")
        return self._function(node, name, parts)

    def _function(self, node: Node, name: str, parts: list[Closure]) -> Closure:
        chosen = self._checker.overloads.get(node.number, ())
        overloads = [o for o in functions()[name] if o.name in chosen] or functions()[name]
        function = STANDARD.get(name) or KUBERNETES.get(name)
        sure = [_kinds(o) for o in overloads if len(o.parameters) == len(parts)]
        typed = {o.name: o for o in overloads}
        special = (len(typed) == 1 and next(iter(typed))) or ""

        def apply(scope: Scope) -> Any:
            given = [part(scope) for part in parts]
            kinds = [_kind(value) for value in given]
            if name != "_[_]" and not any(_match(kinds, wanted) for wanted in sure):
                raise CelError(f"{NO_OVERLOAD}: size" if name == "size" else NO_OVERLOAD)
            if function is None:
                found = getattr(given[0], f"cel_{name}")(*given[1:])
            else:
                found = function(*given)
            scope.spend(spent(name, special, given, found))
            return found

        return apply


def _runtime_type(found: Type) -> Type:
    """A type as a value: list and map without what they hold."""
    name = {v: k for k, v in KINDS.items()}.get(found.kind, found.name or found.kind)
    return Type("null" if name == "null_type" else name)


def _member(found: Any, name: str) -> Any:
    if isinstance(found, Optional):
        if not found.there:
            return NONE
        return find(found.value, name) if isinstance(found.value, dict) else NONE
    if isinstance(found, dict) and name in found:
        return found[name]
    if isinstance(found, list):
        raise CelError("unsupported index type 'string' in list")
    raise CelError(f"no such key: {name}")


def _has(found: Any, name: str) -> bool:
    if isinstance(found, Optional):
        return found.there and _has(found.value, name)
    return isinstance(found, dict) and name in found


def _optional_member(base: Closure, name: str) -> Closure:
    def select(scope: Scope) -> Optional:
        found = base(scope)
        scope.spend(1)
        if isinstance(found, Optional):
            if not found.there:
                return NONE
            found = found.value
        if isinstance(found, dict):
            return find(found, name)
        raise CelError(f"no such key: {name}")

    return select


def _otherwise(name: str, one: Closure, other: Closure) -> Closure:
    def choose(scope: Scope) -> Any:
        found = one(scope)
        if not isinstance(found, Optional):
            raise CelError(NO_OVERLOAD)
        if found.there:
            return found.value if name == "orValue" else found
        return other(scope)

    return choose


def _logical(left: Closure, right: Closure, *, stop: bool) -> Closure:
    """And, or: an error counts only where the other side does not decide."""

    def judge(scope: Scope) -> bool:
        error: CelError | None = None
        for side in (left, right):
            try:
                found = side(scope)
            except TooCostly:
                raise
            except CelError as fault:
                error = error or fault
                continue
            if found is stop:
                return bool(stop)
            if not isinstance(found, bool):
                error = error or CelError(NO_OVERLOAD)
        if error is not None:
            raise error
        return not stop

    return judge


def _choice(test: Closure, yes: Closure, no: Closure) -> Closure:
    def choose(scope: Scope) -> Any:
        found = test(scope)
        if not isinstance(found, bool):
            raise CelError(NO_OVERLOAD)
        return yes(scope) if found else no(scope)

    return choose


def _not_false(part: Closure) -> Closure:
    def test(scope: Scope) -> bool:
        try:
            return part(scope) is not False
        except TooCostly:
            raise
        except CelError:
            return True

    return test


def _equality(left: Closure, right: Closure, *, wanted: bool) -> Closure:
    def test(scope: Scope) -> bool:
        one, other = left(scope), right(scope)
        scope.spend(math.ceil(min(size_of(one), size_of(other)) * 0.1))
        return equal(one, other) is wanted

    return test


def _constant(node: Node) -> bool:
    """Is a literal made of constants alone? Those are built before evaluation."""
    return all(
        p.kind == "const" or (p.kind in {"list", "map"} and _constant(p)) for p in node.parts
    )


def _kind(value: Any) -> str:
    found = NAMES.get(type(value))
    if found is None:
        return name_of(value)
    return KINDS.get(found, found)


@lru_cache(1024)
def _kinds(overload: Overload) -> tuple[str, ...]:
    return tuple(
        "" if p.kind in {"param", "dyn"} else p.name or p.kind for p in overload.parameters
    )


def _match(kinds: list[str], wanted: tuple[str, ...]) -> bool:
    return len(kinds) == len(wanted) and all(
        not w or w == k for k, w in zip(kinds, wanted, strict=True)
    )
