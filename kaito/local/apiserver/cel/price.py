"""What an expression may cost at most, estimated from the sizes that schemas allow.

The weights are the API server's: a field access costs one, strings a tenth of their length,
folds their body times the size of the range. All numbers saturate as unsigned 64-bit ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kaito.local.apiserver.cel.check import Checker
from kaito.local.apiserver.cel.macros import RESULT
from kaito.local.apiserver.cel.parse import Node
from kaito.local.apiserver.cel.spans import (
    CHECK,
    FORMAT,
    FORMAT_REGEX,
    LIST,
    MAP,
    MOST,
    ONE,
    REGEX,
    SCALARS,
    STRING,
    STRUCT,
    UNKNOWN,
    ZERO,
    Path,
    Sizes,
    Span,
    fixed,
)
from kaito.local.apiserver.cel.types import Type, unwrapped


@dataclass(slots=True)
class _Local:
    path: Path
    size: Span | None
    entry: tuple[Span, Span] | None = None


class Prices:
    """Prices one checked expression; `sizes` knows how large the variables may be."""

    def __init__(self, checker: Checker, sizes: Sizes) -> None:
        self._types = checker.types
        self._overloads = checker.overloads
        self._functions = checker.functions
        self._named = checker.named
        self._ask = sizes
        self._paths: dict[int, Path] = {}
        self._locals: dict[str, list[_Local]] = {}
        self._sizes: dict[int, Span] = {}
        self._entries: dict[int, tuple[Span, Span]] = {}

    def of(self, node: Node) -> Span:
        match node.kind:
            case "const":
                return ZERO
            case "ident":
                local = self._local(node.name)
                self._paths[node.number] = local.path if local else (node.name,)
                return ONE
            case "select":
                return self._select(node)
            case "call":
                return self._call(node)
            case "list" | "map":
                return self._literal(node)
            case "fold":
                return self._fold(node)
        return fixed(STRUCT)

    def _local(self, name: str) -> _Local | None:
        stack = self._locals.get(name)
        return stack[-1] if stack else None

    def _path(self, node: Node) -> Path:
        if node.kind == "ident":
            local = self._local(node.name)
            if local is not None:
                return local.path
        return self._paths.get(node.number, ())

    def size(self, node: Node) -> Span | None:
        """How large a value may be, where anything tells."""
        known = self._sizes.get(node.number)
        if known is not None:
            return known
        if node.kind == "const":
            return fixed(len(node.value) if isinstance(node.value, str | bytes) else 1)
        if node.kind in {"list", "map"}:
            return fixed(len(node.parts) // (2 if node.kind == "map" else 1))
        found = self._ask(self._path(node)) if self._path(node) else None
        if found is not None:
            self._sizes[node.number] = found
            return found
        if _scalar(self._types[node.number]):
            return ONE
        local = self._local(node.name) if node.kind == "ident" else None
        return local.size if local else None

    def _size(self, node: Node) -> Span:
        return self.size(node) or UNKNOWN

    def _entry(self, node: Node) -> tuple[Span, Span] | None:
        known = self._entries.get(node.number)
        if known is None and node.kind == "ident":
            local = self._local(node.name)
            return local.entry if local else None
        return known

    def _select(self, node: Node) -> Span:
        target = node.target
        assert target is not None
        if node.number in self._named:
            self._paths[node.number] = (self._named[node.number],)
            return ONE
        cost = self.of(target)
        if node.test:
            return cost
        if self._types[target.number].kind in {"map", "object", "param"}:
            cost += ONE
        self._paths[node.number] = (*self._path(target), node.name)
        return cost

    def _literal(self, node: Node) -> Span:
        cost = ZERO
        columns = 2 if node.kind == "map" else 1
        spans = [Span(MOST if node.parts else 0, 0) for _ in range(2)]
        for i, part in enumerate(node.parts):
            cost += self.of(part)
            column = i % columns
            spans[column] = spans[column].union(self._size(part))
        entry = (spans[0], spans[1]) if node.kind == "map" else (ONE, spans[0])
        self._entries[node.number] = entry
        return cost + fixed(MAP if node.kind == "map" else LIST)

    def _fold(self, node: Node) -> Span:
        source, first, condition, step, end = node.parts
        one, two, result = node.value
        cost = self.of(source) + self.of(first)
        local = _Local(self._path(first), self.size(first), self._entry(first))
        self._locals.setdefault(result, []).append(local)
        if result != RESULT and source.kind == "list" and not source.parts:
            cost += self.of(end)
            self._locals[result].pop()
            self._copy(node, end)
            return cost
        pushed = self._iterate(source, one, two)
        body = self.of(condition) + self.of(step)
        for name in pushed:
            self._locals[name].pop()
        cost += self.of(end)
        self._locals[result].pop()
        times = self._size(source)
        cost += times * body
        if first.kind == "const":
            self._sizes[node.number] = self._size(first)
        else:
            self._sizes[node.number] = times
            entry = self._entry(step)
            if entry is not None:
                self._entries[node.number] = entry
        return cost

    def _iterate(self, source: Node, one: str, two: str) -> list[str]:
        entry = self._entry(source)
        path, listed = self._path(source), self._types[source.number].kind == "list"
        key, value = entry or (None, None)
        inner = "@items" if listed else "@values"
        if two:
            outer = "@indices" if listed else "@keys"
            self._locals.setdefault(one, []).append(_Local((*path, outer), key))
            self._locals.setdefault(two, []).append(_Local((*path, inner), value))
            return [one, two]
        here = _Local((*path, "@items"), value) if listed else _Local((*path, "@keys"), key)
        self._locals.setdefault(one, []).append(here)
        return [one]

    def _copy(self, node: Node, source: Node) -> None:
        size, entry = self.size(source), self._entry(source)
        if size is not None:
            self._sizes[node.number] = size
        if entry is not None:
            self._entries[node.number] = entry

    def _call(self, node: Node) -> Span:
        if node.name == "dyn" and len(node.parts) == 1:
            cost = self.of(node.parts[0])
            self._copy(node, node.parts[0])
            return cost + ONE
        costs = [self.of(p) for p in node.parts]
        overloads = self._overloads.get(node.number, ())
        if not overloads:
            return ZERO
        total = ZERO
        target = None if node.number in self._functions else node.target
        if target is not None:
            total = self.of(target)
        spent = Span(MOST, 0)
        size: Span | None = None
        for overload in overloads:
            own, gives = self._one(node, overload, target, costs)
            spent = spent.union(own)
            if gives is not None:
                size = gives if size is None else size.union(gives)
            if overload in {"index_list", "index_map"}:
                entry = self._entry(node.parts[0])
                size = entry[1] if entry else None
                step = "@items" if overload == "index_list" else "@values"
                self._paths[node.number] = (*self._path(node.parts[0]), step)
            if size is None:
                size = self.size(node)
        if size is not None:
            self._sizes[node.number] = size
        return total + spent

    def _one(
        self, node: Node, overload: str, target: Node | None, costs: list[Span]
    ) -> tuple[Span, Span | None]:
        """The price of one overload, and how large its result is."""
        spent = ZERO
        for cost in costs:
            spent += cost
        name = self._functions.get(node.number, node.name)
        found = self._extended(name, overload, target, node.parts)
        if found is not None:
            return found[0] + spent, found[1]
        parts = node.parts
        match overload:
            case "logical":
                return Span(costs[0].low, spent.high), None
            case "conditional":
                return self._choice(node, costs)
            case "add_string" | "add_bytes" | "add_list":
                return self._sum(node, overload, spent)
            case "string_to_bytes":
                size = self._size(parts[0])
                return size.times(STRING) + spent, Span(size.low, size.high * 4)
            case "bytes_to_string":
                size = self._size(parts[0])
                return size.times(STRING) + spent, Span(size.low // 4, size.high)
            case "strings_quote":
                size = self._size(parts[0])
                return size.times(STRING) + spent, Span(size.low + 2, size.high * 2 + 2)
            case "string_format" if target is not None:
                return self._size(target).times(STRING) + spent, None
            case "starts_with_string" | "ends_with_string":
                return self._size(parts[0]).times(STRING) + spent, None
            case "in_list":
                return self._size(parts[1]) + spent, None
            case "matches_string" if target is not None:
                text = (self._size(target) + ONE).times(STRING)
                return text * self._size(parts[0]).times(REGEX) + spent, None
            case "contains_string" if target is not None:
                text = self._size(target).times(STRING)
                return text * self._size(parts[0]).times(STRING) + spent, None
        if overload in {"equals", "not_equals"} or overload.endswith(
            ("_string_string", "_bytes_bytes")
        ):
            most = min(self._size(parts[0]).high, self._size(parts[1]).high)
            return Span(1 if most else 0, most).times(STRING) + spent, None
        return ONE + spent, None

    def _choice(self, node: Node, costs: list[Span]) -> tuple[Span, Span]:
        _, yes, no = node.parts
        self._join(node, yes, no)
        cost = costs[0] + costs[1].union(costs[2])
        return cost, self._size(yes).union(self._size(no))

    def _join(self, node: Node, one: Node, other: Node) -> None:
        """The members of either may be those of the node."""
        first, second = self._entry(one), self._entry(other)
        if first is not None and second is not None:
            self._entries[node.number] = (first[0].union(second[0]), first[1].union(second[1]))

    def _sum(self, node: Node, overload: str, spent: Span) -> tuple[Span, Span]:
        left, right = node.parts
        size = self._size(left) + self._size(right)
        self._join(node, left, right)
        return (ONE if overload == "add_list" else size.times(STRING)) + spent, size

    def _extended(
        self, name: str, overload: str, target: Node | None, parts: list[Node]
    ) -> tuple[Span, Span | None] | None:
        """Prices of Kubernetes' own functions and of the extended lists."""
        lists = self._lists(overload, target, parts)
        if lists is not None:
            return lists
        if name in NOMINAL or overload == "cidr_ip":
            return ONE, None
        first = self._size(parts[0]) if parts else ZERO
        match name:
            case "check":
                return fixed(CHECK), None
            case "fieldSelector" | "labelSelector":
                needs = first.times(0.5).times(LIST + STRUCT)
                return fixed(LIST) + first.times(STRING) + needs, None
            case "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" if target:
                return self._traversal(target), None
            case "url":
                return first.times(STRING), first
            case "lowerAscii" | "upperAscii" | "substring" | "trim" if target:
                size = self._size(target)
                return size.times(STRING), size
            case "replace" if target:
                return self._replace(target, parts)
            case "split" if target:
                size, most = self._size(target), self._size(target).high
                if len(parts) > 1 and parts[1].kind == "const":
                    most = parts[1].value % (1 << 64)
                return size.times(2 * STRING), Span(0, most)
            case "join" if target:
                size = self._joined(target, parts)
                return size.times(STRING), size
            case "find" | "findAll" if target:
                size = self._size(target)
                text = (size + ONE).times(STRING)
                return text * first.times(REGEX), Span(0, size.high)
            case "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver":
                return first.times(STRING), None
            case "isSemver":
                return first.times(STRING), None
            case "ip.isCanonical":
                return first.times(2 * STRING), None
            case "containsIP" | "containsCIDR":
                cost = Span(8, 32).times(STRING)
                if name == "containsCIDR":
                    cost += Span(4, 16).times(STRING) + ONE
                if overload.endswith("_string"):
                    cost += first.times(STRING)
                return cost, None
            case "validate":
                return first.times(STRING).times(FORMAT_REGEX * REGEX), None
            case "_==_":
                return self._same(parts)
        return None

    def _same(self, parts: list[Node]) -> tuple[Span, Span | None] | None:
        one, other = (self._types[p.number] for p in parts)
        if one != other or one.kind not in {"object", "opaque"}:
            return None
        if one.name == "kubernetes.NamedFormat":
            return Span(1, FORMAT).times(STRING), None
        if one.name == "kubernetes.URL":
            size = self.size(parts[1])
            return Span(1, size.high if size else 1).times(STRING), None
        return (ONE, None) if one.name.startswith(("kubernetes.", "net.")) else None

    def _item(self, node: Node) -> tuple[Type, Span] | None:
        """A list's member: its type and size."""
        found = self._types[node.number]
        if not found.parts:
            return None
        path = self._path(node)
        if path and path[0] == RESULT:
            path = ()
        size = self._ask((*path, "@items")) if path else None
        return found.parts[0], size or UNKNOWN

    def _traversal(self, target: Node) -> Span:
        item = self._item(target)
        if item is None:
            return self._size(target).times(STRING)
        each = ONE
        if item[0].kind in {"string", "bytes"}:
            each += item[1].times(STRING)
        return self._size(target) * each

    def _joined(self, target: Node, parts: list[Node]) -> Span:
        members, item = self._size(target), self._item(target)
        size = members * item[1] if item else ZERO
        if parts:
            between = Span(max(members.low - 1, 0), max(members.high - 1, 0))
            size += self._size(parts[0]) * between
        return size

    def _replace(self, target: Node, parts: list[Node]) -> tuple[Span, Span]:
        size, old, new = (self._size(n) for n in (target, parts[0], parts[1]))
        most = least = kept_high = kept_low = 0
        if old.low == 0:
            most, kept_high = min(size.high + 1, MOST), size.high
        elif new.high <= old.low:
            kept_high = size.high
        else:
            most = math.ceil(size.high / old.low)
        if old.high == 0:
            least, kept_low = min(size.low + 1, MOST), size.low
        elif old.high <= new.low:
            kept_low = size.low
        else:
            least = math.ceil(size.low / old.high)
        return size.times(2 * STRING), Span(least, most) * new + Span(kept_low, kept_high)

    def _lists(
        self, overload: str, target: Node | None, parts: list[Node]
    ) -> tuple[Span, Span] | None:
        factor = 1.0
        match overload:
            case "list_slice" if target:
                high = _number(parts[1], self._size(target).high)
                size = fixed((high - _number(parts[0], 0)) % (1 << 64))
            case "lists_range":
                size = fixed(_number(parts[0], MOST))
            case "list_reverse" if target:
                size = self._size(target)
            case "list_flatten" | "list_flatten_int" if target:
                factor, size = float(_number(parts[0], MOST) if parts else 1), self._size(target)
            case "list_distinct" if target:
                factor, size = 2.0, self._size(target) * self._size(target)
            case "list_sets_contains_list" | "list_sets_intersects_list":
                return (self._size(parts[0]) * self._size(parts[1])).times(1.0) + ONE, ONE
            case "list_sets_equivalent_list":
                return (self._size(parts[0]) * self._size(parts[1])).times(2.0) + ONE, ONE
            case _ if overload.endswith(("_sort", "_sortByAssociatedKeys")):
                node = parts[0] if parts else target
                assert node is not None
                factor = 2.1 if overload.startswith(("list_string", "list_bytes")) else 2.0
                size = self._size(node) * self._size(node)
            case _:
                return None
        return size.times(factor) + fixed(1 + LIST), size


def _number(node: Node, otherwise: int) -> int:
    if node.kind != "const" or node.name != "int":
        return otherwise
    return max(int(node.value), 0)


def _scalar(found: Type) -> bool:
    inner, was = unwrapped(found)
    return _scalar(inner) if was else found.kind in SCALARS


NOMINAL = frozenset(
    [
        "serviceAccount",
        "path",
        "group",
        "resource",
        "subresource",
        "namespace",
        "name",
        "allowed",
        "reason",
        "error",
        "errored",
        "masked",
        "prefixLength",
        "family",
        "isUnspecified",
        "isLoopback",
        "isLinkLocalMulticast",
        "isLinkLocalUnicast",
        "isGlobalUnicast",
        "format.named",
        "sign",
        "asInteger",
        "isInteger",
        "asApproximateFloat",
        "isGreaterThan",
        "isLessThan",
        "compareTo",
        "add",
        "sub",
        "major",
        "minor",
        "patch",
        "getScheme",
        "getHostname",
        "getHost",
        "getPort",
        "getEscapedPath",
        "getQuery",
    ]
)
