"""What a rule may cost at most, estimated from sizes that its schema allows.

The weights are the API server's: a field access costs one, strings a tenth of their length,
comprehensions their body times the size of the list.
"""

from __future__ import annotations

from kaito.local.apiserver.custom.cel.parse import Node
from kaito.local.apiserver.custom.cel.types import MACROS, REQUEST, Type, Types

RULE_LIMIT = 10_000_000
SCHEMA_LIMIT = 100_000_000
STRING = 0.1
REGEX = 0.25
LIST, MAP = 10, 30
CEILING = 1 << 62


class Prices:
    """Prices one rule, whose types are known."""

    def __init__(self, types: Types) -> None:
        self._types = types

    def _type(self, node: Node) -> Type:
        return self._types.types.get(id(node)) or Type("dyn", size=REQUEST)

    def of(self, node: Node) -> int:
        return min(self._of(node), CEILING)

    def _of(self, node: Node) -> int:
        parts = node.parts
        match node.kind:
            case "const":
                return 0
            case "ident":
                return 1
            case "select":
                return self.of(parts[0]) + 1
            case "index":
                return self.of(parts[0]) + self.of(parts[1]) + 1
            case "ternary":
                return self.of(parts[0]) + max(self.of(parts[1]), self.of(parts[2]))
            case "unary":
                return self.of(parts[0]) + 1
            case "list":
                return LIST + sum(self.of(p) for p in parts)
            case "map":
                return MAP + sum(self.of(p) for p in parts)
            case "binary":
                return self._binary(node)
        return self._call(node)

    def _binary(self, node: Node) -> int:
        left, right = node.parts
        own = self.of(left) + self.of(right)
        a, b = self._type(left), self._type(right)
        if node.name in {"&&", "||"}:
            return own
        if node.name in {"==", "!=", "<", "<=", ">", ">="}:
            return own + max(1, self._equality(a, b))
        if node.name == "+" and a.name in {"string", "bytes"}:
            return own + int((a.size + b.size) * STRING) + 1
        if node.name == "in" and b.name == "list":
            return own + max(1, b.size) * max(1, self._equality(a, b.element or a))
        return own + 1

    def _equality(self, a: Type, b: Type) -> int:
        if "null" in {a.name, b.name}:
            return 1
        size = min(_weight(a), _weight(b))
        return int(size * STRING) + 1

    def _call(self, node: Node) -> int:
        parts, name = node.parts, node.name
        if (
            node.kind == "member"
            and name in MACROS
            and len(parts) in {3, 4}
            and parts[1].kind == "ident"
        ):
            source = self._type(parts[0])
            size = source.size if source.name in {"list", "map"} else REQUEST
            body = sum(self.of(p) for p in parts[2:])
            step = 2 if name in {"all", "exists"} else 3 if name == "exists_one" else LIST + 3
            return self.of(parts[0]) + size * (body + step) + 1
        if node.kind == "call" and name == "has":
            return self.of(parts[0])
        own = sum(self.of(p) for p in parts)
        sizes = [_weight(self._type(p)) for p in parts]
        if name in {"contains", "replace", "split", "indexOf", "lastIndexOf"} and sizes:
            other = sizes[1] if len(sizes) > 1 else 1
            if name == "contains":
                return own + (int(sizes[0] * STRING) + 1) * (int(other * STRING) + 1)
            return own + int(sizes[0] * STRING) + 1
        if name in {"matches", "find", "findAll"} and sizes:
            pattern = sizes[1] if len(sizes) > 1 else 1
            return own + (int(sizes[0] * STRING) + 1) * (int(pattern * REGEX) + 1)
        if name in {"startsWith", "endsWith"} and len(sizes) > 1:
            return own + int(sizes[1] * STRING) + 1
        if (
            name
            in {
                "lowerAscii",
                "upperAscii",
                "trim",
                "substring",
                "url",
                "isURL",
                "quantity",
                "isQuantity",
                "ip",
                "isIP",
                "cidr",
                "isCIDR",
                "join",
                "timestamp",
                "duration",
                "string",
                "semver",
                "isSemver",
                "validate",
            }
            and sizes
        ):
            return own + int(max(sizes) * STRING) + 1
        if name in {"sum", "isSorted", "min", "max"} and sizes:
            return own + sizes[0] + 1
        return own + 1


def _weight(found: Type) -> int:
    """How much of a request a value may fill."""
    match found.name:
        case "string" | "bytes" | "dyn":
            return max(1, found.size)
        case "list" | "map":
            return max(1, found.size) * (_weight(found.element) if found.element else 1)
        case "object":
            return sum(_weight(f) for f in found.fields.values()) or 1
    return 1


def excess(cost: int, limit: int) -> str:
    """By how much a limit is passed, as the server says it."""
    factor = cost / limit
    return "more than 100x" if factor > 100 else f"{factor:.1f}x"
