"""What a write changed, and what a configuration claims, as sets of paths."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver.ownership.atoms import (
    ABSENT,
    as_list,
    as_map,
    member,
    members,
    same,
    settle,
)
from kaito.local.apiserver.ownership.paths import Path
from kaito.local.apiserver.schema import ANY, Node


@dataclass(slots=True)
class Comparison:
    added: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)

    def written(self) -> set[Path]:
        return self.added | self.modified


def compare(node: Node, old: Any, new: Any) -> Comparison:
    """What a write from `old` to `new` added, removed and modified.

    A null is a value: it differs from being absent. Where the schema leaves a value open and its
    form changes, what lay under the old form is removed and what lies under the new one added.
    Raises MemberError.
    """
    result = Comparison()
    _compare(node, old, new, (), result)
    return result


def _compare(node: Node, old: Any, new: Any, path: Path, out: Comparison) -> None:
    left, right = settle(node, old), settle(node, new)
    if new is ABSENT:
        leaf = _inside(left, old, new, path, out)
    else:
        if old is not ABSENT and left.form != right.form:
            _inside(left, old, new, path, out)
        leaf = _inside(right, old, new, path, out)
    if leaf:
        return
    if old is ABSENT:
        out.added.add(path)
    elif new is ABSENT:
        out.removed.add(path)


def _inside(node: Node, old: Any, new: Any, path: Path, out: Comparison) -> bool:
    """Compare as one form; tells whether the value is a leaf in it."""
    if node.form == "list":
        if not node.atomic and (as_list(old) or as_list(new)):
            _compare_lists(node, old, new, path, out)
            return False
    elif node.form != "scalar" and not node.atomic:
        before, after = as_map(old), as_map(new)
        if before or after:
            _compare_maps(node, before, after, path, out)
            return False
    if old is ABSENT:
        out.added.add(path)
    elif new is ABSENT:
        out.removed.add(path)
    elif not same(old, new):
        out.modified.add(path)
    return True


def _compare_maps(
    node: Node, old: dict[str, Any], new: dict[str, Any], path: Path, out: Comparison
) -> None:
    for name, value in new.items():
        before = old.get(name, ABSENT)
        if before is ABSENT or not same(before, value):
            _compare(node.child(name), before, value, (*path, "f:" + name), out)
    for name, value in old.items():
        if name not in new:
            _compare(node.child(name), value, ABSENT, (*path, "f:" + name), out)


def _compare_lists(node: Node, old: Any, new: Any, path: Path, out: Comparison) -> None:
    left: dict[str, list[Any]] = {}
    right: dict[str, list[Any]] = {}
    for items, index in ((old, left), (new, right)):
        for item in as_list(items):
            index.setdefault(member(node, item), []).append(item)
    inner = node.element or ANY
    for element in [*left, *(e for e in right if e not in left)]:
        before, after = left.get(element, []), right.get(element, [])
        here = (*path, element)
        if before == after:
            continue
        if len(before) <= 1 and len(after) <= 1:
            was = before[0] if before else ABSENT
            _compare(inner, was, after[0] if after else ABSENT, here, out)
        elif len(before) > 1 and len(after) > 1:
            out.modified.add(here)
        elif len(before) > 1:
            if after:
                _compare(inner, ABSENT, after[0], here, out)
            out.removed.add(here)
        else:
            if before:
                _compare(inner, before[0], ABSENT, here, out)
            out.added.add(here)


def field_set(node: Node, value: Any) -> set[Path]:
    """Every path that a configuration claims."""
    found: set[Path] = set()
    _claim(node, value, (), found)
    return found


def _claim(node: Node, value: Any, path: Path, found: set[Path]) -> None:
    node = settle(node, value)
    if node.form == "scalar" or node.atomic:
        found.add(path)
    elif node.form == "list":
        listed = members(node, value)
        counts = Counter(element for element, _ in listed)
        for element, item in listed:
            here = (*path, element)
            found.add(here)
            if counts[element] == 1:
                _claim(node.element or ANY, item, here, found)
    else:
        for name, inner in as_map(value).items():
            here = (*path, "f:" + name)
            _claim(node.child(name), inner, here, found)
            if inner is None or inner == {} or name not in node.fields:
                found.add(here)
