"""Laying a configuration over a live value, and taking paths out of one.

Lists with keys and sets merge member by member, atomic lists and maps change as a whole, unknown
parts merge as granular maps with atomic lists.
"""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.ownership.atoms import (
    ABSENT,
    MemberError,
    as_list,
    as_map,
    member,
    members,
    settle,
)
from kaito.local.apiserver.ownership.paths import Path, Trie, below, has
from kaito.local.apiserver.schema import ANY, Node


def merge(node: Node, live: Any, applied: Any) -> Any:
    """The live value with a configuration laid over it; either may be ABSENT.

    A null over a list or map that has members leaves them; over anything else it is a value.
    """
    if applied is ABSENT:
        return live
    if live is ABSENT:
        return applied
    node = settle(node, applied)
    if node.form == "scalar" or node.atomic:
        return applied
    if node.form == "list":
        left, right = as_list(live), as_list(applied)
        return _merge_lists(node, left, right) if left or right else applied
    old, new = as_map(live), as_map(applied)
    if not (old or new):
        return applied
    out = {n: merge(node.child(n), v, new.get(n, ABSENT)) for n, v in old.items()}
    out.update((n, v) for n, v in new.items() if n not in old)
    return out


def _merge_lists(node: Node, live: list[Any], applied: list[Any]) -> list[Any]:
    """Members of both in an order that keeps the applied one and, between, the live one."""
    left, right = members(node, live), dict(members(node, applied))
    known: dict[str, Any] = {}
    for element, item in left:
        known[element] = None if element in known else item
    wanted = list(right)
    ahead = iter([e for e in wanted if e in known])
    following = next(ahead, None)
    done: set[str] = set()
    out: list[Any] = []
    inner = node.element or ANY

    def take(element: str) -> None:
        done.add(element)
        out.append(merge(inner, known.get(element, ABSENT), right[element]))

    li = ri = 0
    while li < len(left) or ri < len(wanted):
        if li < len(left) and ri < len(wanted):
            element = left[li][0]
            if element == wanted[ri]:
                take(element)
                li, ri = li + 1, ri + 1
                following = next(ahead, None)
                continue
            if element in right and following is not None and following != element:
                li += 1
                continue
        if li < len(left):
            element, item = left[li]
            if element not in right:
                out.append(item)
                li += 1
                continue
            if element in done:
                li += 1
        if ri < len(wanted):
            element = wanted[ri]
            take(element)
            ri += 1
            if following == element:
                following = next(ahead, None)
    return out


def remove(node: Node, value: Any, gone: Trie) -> Any:
    """The value without the paths of a trie; emptied containers stay, atomic ones lose all."""
    node = settle(node, value)
    if node.form == "scalar":
        return value
    if node.form == "list":
        if not isinstance(value, list):
            return None
        return [] if node.atomic else _remove_members(node, value, gone)
    if not isinstance(value, dict):
        return None
    if node.atomic:
        return {}
    out = {}
    for name, inner in value.items():
        element = "f:" + name
        if has(gone, element):
            continue
        part = below(gone, element)
        out[name] = remove(node.child(name), inner, part) if part else inner
    return out


def _remove_members(node: Node, items: list[Any], gone: Trie) -> list[Any]:
    left = []
    for item in items:
        try:
            element = member(node, item)
        except MemberError:
            left.append(item)
            continue
        if has(gone, element):
            continue
        part = below(gone, element)
        left.append(remove(node.element or ANY, item, part) if part else item)
    return left


def with_named_fields(node: Node, found: set[Path]) -> set[Path]:
    """A set with every struct field on the way to its members made a member too."""
    out = set(found)
    for path in found:
        at = node
        for i, element in enumerate(path):
            if element[:2] == "f:":
                name = element[2:]
                if at.form == "struct" and name in at.fields:
                    out.add(path[: i + 1])
                at = at.child(name) if at.form in {"struct", "map"} else ANY
            else:
                at = at.element or ANY
    return out
