"""What calls have cost, by what they have read and made."""

from __future__ import annotations

import math
from typing import Any

from kaito.local.apiserver.cel.values import size_of

TRAVERSED = {"isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"}
READ = frozenset(
    [
        "url",
        "lowerAscii",
        "upperAscii",
        "substring",
        "trim",
        "cidr",
        "isIP",
        "isCIDR",
        "ip",
        "quantity",
        "isQuantity",
        "semver",
        "isSemver",
        "startsWith",
        "endsWith",
        "strings.quote",
        "format",
    ]
)


def spent(name: str, overload: str, given: list[Any], result: Any) -> int:
    """What a call has cost."""
    first = size_of(given[0]) if given else 0
    if name in READ:
        return 1 if overload == "cidr_ip" else math.ceil(first * 0.1)
    match name:
        case "check":
            return 350_000
        case "@in":
            return size_of(given[1]) if isinstance(given[1], list) else 1
        case "_+_" if isinstance(given[0], str | bytes):
            return math.ceil((first + size_of(given[1])) * 0.1)
        case "_<_" | "_<=_" | "_>_" | "_>=_" if isinstance(given[0], str | bytes):
            return math.ceil(min(first, size_of(given[1])) * 0.1)
        case "string" | "bytes" if isinstance(given[0], bytes | str):
            return math.ceil(first * 0.1) if type(given[0]) is not type(result) else 1
        case "replace" | "split" | "ip.isCanonical":
            return math.ceil(first * 0.2)
        case "join":
            return math.ceil(size_of(result) * 0.2)
        case "matches" | "find" | "findAll":
            return math.ceil((1 + first) * 0.1) * math.ceil(size_of(given[1]) * 0.25)
        case "contains":
            return math.ceil(first * 0.1) * math.ceil(size_of(given[1]) * 0.1)
        case "validate":
            return math.ceil((1 + size_of(given[1])) * 0.1) * 15
        case "slice" | "reverse" | "lists.range":
            return size_of(result) + 11
        case "flatten":
            return first * (given[1] if len(given) > 1 else 1) + 11
        case "distinct" | "sort" | "@sortByAssociatedKeys":
            keys = given[-1]
            factor = 2.1 if keys and isinstance(keys[0], str | bytes) else 2.0
            return int(len(keys) ** 2 * factor) + 11
        case "sets.contains" | "sets.intersects" | "sets.equivalent":
            return 1 + first * size_of(given[1]) * (2 if name == "sets.equivalent" else 1)
    return _traversal(given[0]) if name in TRAVERSED else 1


def _traversal(value: Any) -> int:
    if isinstance(value, str | bytes):
        return int(len(value) * 0.1)
    if isinstance(value, list):
        return sum(_traversal(v) for v in value)
    if isinstance(value, dict):
        return sum(_traversal(k) + _traversal(v) for k, v in value.items())
    return 1
