"""The type of every part of an expression, and what does not fit.

Overloads are chosen as a real server chooses them: all that the arguments may mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from kaito.local.apiserver.cel.declarations import NAMED_TYPES, Overload, functions
from kaito.local.apiserver.cel.parse import KEYWORDS, Node, qualified
from kaito.local.apiserver.cel.types import (
    BOOL,
    DYN,
    ERROR,
    INT,
    NULL,
    STRING,
    Known,
    Type,
    assignable,
    list_of,
    map_of,
    most_general,
    optional_of,
    substitute,
    unwrapped,
)

CONSTANTS = {t.kind: t for t in (BOOL, INT, STRING, NULL)} | {
    name: Type(name) for name in ("uint", "double", "bytes")
}
MOST = 100  # faults are told of one expression


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where in the text."""

    at: int
    message: str

    def text(self, source: str) -> str:
        """The fault with the line that it is in, as a compiler shows it."""
        start = source.rfind("\n", 0, self.at) + 1
        end = source.find("\n", self.at)
        line = source[start : end if end >= 0 else len(source)].replace("\t", " ")
        column = self.at - start
        marks = "".join("．" if ord(c) > 127 else "." for c in line[:column])
        here = "＾" if column < len(line) and ord(line[column]) > 127 else "^"
        number = source.count("\n", 0, self.at) + 1
        return f"ERROR: <input>:{number}:{column + 1}: {self.message}\n | {line}\n | {marks}{here}"


def shown(faults: list[Fault], source: str) -> str:
    ordered = sorted(faults[:MOST], key=lambda f: f.at)
    lines = [f.text(source) for f in ordered]
    if len(faults) > MOST:
        lines.append(f"{len(faults) - MOST} more errors were truncated")
    return "\n".join(lines)


Fields = Mapping[str, Mapping[str, Type]]


class Checker:
    """Checks one expression. `types` and `overloads` are by the numbers of nodes."""

    def __init__(self, variables: Mapping[str, Type], fields: Fields) -> None:
        self._scopes: list[Mapping[str, Type]] = [variables]
        self._fields = fields
        self._known: Known = {}
        self._fresh = count()
        self.types: dict[int, Type] = {}
        self.overloads: dict[int, tuple[str, ...]] = {}
        self.functions: dict[int, str] = {}  # global functions with dotted names
        self.named: dict[int, str] = {}  # selections that name a type
        self.used: set[str] = set()
        self.faults: list[Fault] = []

    def check(self, node: Node) -> Type:
        """The type of the whole."""
        self._check(node)
        for number, found in self.types.items():
            self.types[number] = substitute(self._known, found, free=True)
        return self.types[node.number]

    def _fault(self, node: Node, message: str) -> Type:
        self.faults.append(Fault(node.at, message))
        return ERROR

    def _check(self, node: Node) -> Type:
        found = self._of(node)
        self.types[node.number] = found
        return found

    def _of(self, node: Node) -> Type:
        match node.kind:
            case "const":
                return CONSTANTS[node.name]
            case "ident":
                return self._ident(node)
            case "select":
                return self._select(node)
            case "call":
                return self._call(node)
            case "list":
                return self._list(node)
            case "map":
                return self._map(node)
            case "fold":
                return self._fold(node)
        return self._struct(node)

    def _named(self, name: str) -> Type | None:
        name = name.lstrip(".")
        for scope in reversed(self._scopes):
            if name in scope:
                self.used.add(name)
                return scope[name]
        found = NAMED_TYPES.get(name)
        return None if found is None else Type("type", parts=(found,))

    def _ident(self, node: Node) -> Type:
        found = self._named(node.name)
        if found is None:
            return self._fault(node, _undeclared(node.name))
        return found

    def _select(self, node: Node) -> Type:
        assert node.target is not None
        dotted = qualified(node)
        if dotted is not None and (dotted in NAMED_TYPES or dotted in self._scopes[0]):
            self.named[node.number] = dotted
            return self._named(dotted) or DYN
        found = self._field(node, node.target, node.name)
        return BOOL if node.test else substitute(self._known, found)

    def _field(self, node: Node, target: Node, name: str, *, optional: bool = False) -> Type:
        self._check(target)
        base, inside = unwrapped(substitute(self._known, self.types[target.number]))
        found = DYN
        match base.kind:
            case "map":
                found = base.parts[1]
            case "object":
                fields = self._fields.get(base.name, {})
                known = fields.get(name, fields.get(f"__{name}__") if name in KEYWORDS else None)
                found = (
                    known if known is not None else self._fault(node, f"undefined field '{name}'")
                )
            case "param":
                self._fits(DYN, base)
            case "dyn" | "error":
                pass
            case _:
                self._fault(node, f"type '{base}' does not support field selection")
        return optional_of(found) if inside or optional else found

    def _fits(self, wanted: Type, found: Type) -> bool:
        known = dict(self._known)
        if assignable(known, wanted, found):
            self._known = known
            return True
        return False

    def _call(self, node: Node) -> Type:
        if node.name == "_?._":
            found = self._field(node, node.parts[0], node.parts[1].value, optional=True)
            self.types[node.parts[1].number] = STRING
            self.overloads[node.number] = ("select_optional_field",)
            return substitute(self._known, found)
        for part in node.parts:
            self._check(part)
        known = functions()
        if node.target is not None:
            dotted = qualified(node.target)
            whole = f"{dotted}.{node.name}" if dotted is not None else ""
            if whole in known:
                self.functions[node.number] = whole
                return self._resolve(node, whole, node.parts, member=False)
            self._check(node.target)
            if node.name in known:
                return self._resolve(node, node.name, [node.target, *node.parts], member=True)
        elif node.name in known:
            return self._resolve(node, node.name, node.parts, member=False)
        return self._fault(node, _undeclared(node.name))

    def _resolve(self, node: Node, name: str, parts: list[Node], *, member: bool) -> Type:
        given = [self.types[p.number] for p in parts]
        if name in {"_&&_", "_||_"}:
            return self._logical(node, parts, given)
        result: Type | None = None
        chosen: list[str] = []
        for overload in functions()[name]:
            if overload.member != member or len(overload.parameters) != len(given):
                continue
            parameters, gives = self._opened(overload)
            known = dict(self._known)
            if not all(assignable(known, a, b) for a, b in zip(given, parameters, strict=True)):
                continue
            self._known = known
            chosen.append(overload.name)
            gives = substitute(known, gives)
            if result is None:
                result = gives
            elif result.kind != "dyn" and result != gives:
                result = DYN
        if result is None:
            types = [str(substitute(self._known, t, free=True)) for t in given]
            head = f"{types.pop(0)}." if member else ""
            return self._fault(
                node,
                f"found no matching overload for '{name}' applied to '{head}({', '.join(types)})'",
            )
        self.overloads[node.number] = tuple(chosen)
        return result

    def _logical(self, node: Node, parts: list[Node], given: list[Type]) -> Type:
        good = True
        for part, found in zip(parts, given, strict=True):
            if not self._fits(found, BOOL):
                self._mismatch(part, BOOL, found)
                good = False
        self.overloads[node.number] = ("logical",)
        return BOOL if good else ERROR

    def _opened(self, overload: Overload) -> tuple[tuple[Type, ...], Type]:
        """A signature with type parameters of its own."""
        if not overload.open:
            return overload.parameters, overload.result
        fresh = self._fresh
        renamed: dict[Type, Type] = {}

        def rename(found: Type) -> Type:
            if found.kind == "param":
                if found not in renamed:
                    renamed[found] = Type("param", f"_var{next(fresh)}")
                return renamed[found]
            return Type(found.kind, found.name, tuple(rename(p) for p in found.parts))

        return tuple(rename(p) for p in overload.parameters), rename(overload.result)

    def _mismatch(self, node: Node, wanted: Type, found: Type) -> Type:
        return self._fault(node, f"expected type '{wanted}' but found '{found}'")

    def _join(self, node: Node, before: Type | None, found: Type) -> Type:
        if before is None:
            return found
        if self._fits(before, found):
            return most_general(before, found)
        return DYN

    def _inner(self, node: Node, found: Type, optional: bool) -> Type:
        if not optional:
            return found
        inner, was = unwrapped(found)
        if not was and found.kind != "dyn":
            self._mismatch(node, optional_of(inner), found)
        return inner

    def _variable(self) -> Type:
        return Type("param", f"_var{next(self._fresh)}")

    def _list(self, node: Node) -> Type:
        item: Type | None = None
        for i, part in enumerate(node.parts):
            found = self._inner(part, self._check(part), i in node.optional)
            item = self._join(part, item, found)
        return list_of(item or self._variable())

    def _map(self, node: Node) -> Type:
        key: Type | None = None
        value: Type | None = None
        for i in range(0, len(node.parts), 2):
            name, part = node.parts[i : i + 2]
            key = self._join(name, key, self._check(name))
            found = self._inner(part, self._check(part), i // 2 in node.optional)
            value = self._join(part, value, found)
        return map_of(key or self._variable(), value or self._variable())

    def _struct(self, node: Node) -> Type:
        return self._fault(node, _undeclared(node.name))

    def _fold(self, node: Node) -> Type:
        source, first, condition, step, end = node.parts
        one, two, result = node.value
        self._check(source)
        start = self._check(first)
        ranged = substitute(self._known, self.types[source.number])
        names: dict[str, Type] = {}
        match ranged.kind:
            case "list":
                names = {one: INT, two: ranged.parts[0]} if two else {one: ranged.parts[0]}
            case "map":
                names = {one: ranged.parts[0]} | ({two: ranged.parts[1]} if two else {})
            case "dyn" | "error" | "param":
                self._fits(DYN, ranged)
                names = {one: DYN} | ({two: DYN} if two else {})
            case _:
                self._fault(
                    source,
                    f"expression of type '{ranged}' cannot be range of a comprehension "
                    "(must be list, map, or dynamic)",
                )
                names = {one: ERROR} | ({two: ERROR} if two else {})
        self._scopes += [{result: start}, names]
        for part, wanted in ((condition, BOOL), (step, start)):
            found = self._check(part)
            if not self._fits(wanted, found):
                self._mismatch(part, wanted, found)
        self._scopes.pop()
        found = self._check(end)
        self._scopes.pop()
        return substitute(self._known, found)


def _undeclared(name: str) -> str:
    return f"undeclared reference to '{name}' (in container '')"


def walk(node: Node, visit: Callable[[Node], None]) -> None:
    """Every node, parents first."""
    visit(node)
    if node.target is not None:
        walk(node.target, visit)
    for part in node.parts:
        walk(part, visit)


def uneven(checker: Checker, node: Node, faults: list[Fault]) -> None:
    """Members of literal lists and maps must be of one type."""
    if node.kind not in {"list", "map"}:
        return
    firsts: list[Type | None] = [None, None]
    for i, part in enumerate(node.parts):
        column = i % 2 if node.kind == "map" else 0
        found = checker.types[part.number]
        place = i // 2 if node.kind == "map" else i
        if place in node.optional and (node.kind == "list" or column):
            found = unwrapped(found)[0]
        first = firsts[column]
        if first is None:
            firsts[column] = found
        elif first != found:
            faults.append(Fault(part.at, f"expected type '{first}' but found '{found}'"))
            if node.kind == "list":
                return
