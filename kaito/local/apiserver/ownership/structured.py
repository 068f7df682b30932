"""Structured merging: validate, compare, merge, prune and measure values by their schema.

The rules are those of server-side apply: lists with keys and sets merge member by member, atomic
lists and maps change as a whole, unknown parts are merged as granular maps with atomic lists.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from kaito.local.apiserver.ownership.paths import Path, Trie, below, element_text, has
from kaito.local.apiserver.schema import ANY, Node

ATOMIC_LIST = Node("list", element=ANY, relation="atomic")
OPEN_MAP = Node("map", element=ANY)
SCALAR = Node("scalar", scalar="any")


class Mismatch(ValueError):
    """A value does not fit its schema; `errors` has one line for each fault."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class MemberError(ValueError):
    """A list member that cannot be told from the others."""


@dataclass(slots=True)
class Comparison:
    added: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)


def settle(node: Node, value: Any) -> Node:
    """The node that counts for a value where the schema leaves it open."""
    if node.form != "any":
        return node
    if node.relation == "atomic":
        return SCALAR
    if isinstance(value, dict):
        return OPEN_MAP
    return ATOMIC_LIST if isinstance(value, list) else SCALAR


def member(node: Node, item: Any) -> str:
    """The path element of a list member. Raises MemberError."""
    if node.relation == "set":
        if isinstance(item, dict | list) or item is None:
            kind = "map" if isinstance(item, dict) else "list" if isinstance(item, list) else "null"
            raise MemberError(
                f"associative list without keys has an element that's a {kind} type"
                if kind != "null"
                else "associative list without keys has an element that's an explicit null"
            )
        return "v:" + json.dumps(item, separators=(",", ":"), ensure_ascii=False)
    if not isinstance(item, dict):
        if item is None:
            raise MemberError("associative list with keys may not have a null element")
        raise MemberError("associative list with keys may not have non-map elements")
    keys: dict[str, Any] = {}
    defaults = node.defaults()
    for key in node.keys:
        value = item.get(key)
        if value is None:
            value = defaults.get(key)
        if value is None:
            if len(node.keys) == 1 or not _optional(node, key):
                raise MemberError(
                    "associative list with keys has an element that omits key field "
                    f'"{key}" (and doesn\'t have default value)'
                )
            continue
        keys[key] = value
    return "k:" + json.dumps(dict(sorted(keys.items())), separators=(",", ":"), ensure_ascii=False)


def _optional(node: Node, key: str) -> bool:
    return False


def _members(node: Node, items: Any) -> list[tuple[str, Any]]:
    found = []
    for item in items or ():
        try:
            found.append((member(node, item), item))
        except MemberError:
            continue
    return found


def validate(node: Node, value: Any) -> None:
    """Every fault of a value that shall be applied. Raises Mismatch."""
    errors: list[str] = []
    _validate(node, value, "", errors)
    if errors:
        raise Mismatch(errors)


NUMBERS = {"i32", "i64", "f", "number", "integer"}
STRINGS = {"s", "t", "mt", "B", "string"}


def _validate(node: Node, value: Any, at: str, errors: list[str]) -> None:
    if value is None:
        return
    node = settle(node, value)
    match node.form:
        case "scalar":
            _validate_scalar(node.scalar, value, at, errors)
        case "struct" | "map":
            if not isinstance(value, dict):
                errors.append(f"{at}: expected map, got {_shown(value)}")
                return
            fields = node.fields
            for name, inner in value.items():
                known = fields.get(name)
                if known is None and node.form == "struct" and node.element is None:
                    errors.append(f"{at}.{name}: field not declared in schema")
                    continue
                _validate(node.child(name), inner, f"{at}.{name}", errors)
        case "list":
            if not isinstance(value, list):
                errors.append(f"{at}: expected list, got {_shown(value)}")
                return
            seen: set[str] = set()
            for i, item in enumerate(value):
                where = f"{at}[{i}]"
                if node.relation != "atomic":
                    try:
                        element = member(node, item)
                    except MemberError as error:
                        errors.append(f"{at}: element {i}: {error}")
                        continue
                    if element in seen:
                        errors.append(f"{at}: duplicate entries for key {element_text(element)}")
                    seen.add(element)
                    where = f"{at}{element_text(element)}"
                assert node.element is not None
                _validate(node.element, item, where, errors)


def _validate_scalar(code: str, value: Any, at: str, errors: list[str]) -> None:
    if code in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            errors.append(f"{at}: expected numeric (int or float), got {_shown(value)}")
    elif code in STRINGS:
        if not isinstance(value, str):
            errors.append(f"{at}: expected string, got {_shown(value)}")
    elif code in {"b", "boolean"}:
        if not isinstance(value, bool):
            errors.append(f"{at}: expected boolean, got {_shown(value)}")
    elif isinstance(value, dict | list) and code != "any":
        errors.append(f"{at}: expected scalar, got {_shown(value)}")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, dict):
        return "map"
    if isinstance(value, list):
        return "list"
    return f"&value.valueUnstructured{{Value:{value}}}"


ABSENT: Any = object()


def compare(node: Node, old: Any, new: Any) -> Comparison:
    """What a write from `old` to `new` added, removed and modified.

    A null is a value: it differs from being absent.
    """
    result = Comparison()
    _compare(node, old, new, (), result)
    return result


def _void(value: Any) -> bool:
    return value is None or value is ABSENT


def _compare(node: Node, old: Any, new: Any, path: Path, out: Comparison) -> None:
    left, right = settle(node, old), settle(node, new)
    if not _void(old) and not _void(new) and left.form != right.form:
        out.modified.add(path)
        return
    chosen = left if _void(new) else right
    leaf = False
    match chosen.form:
        case "scalar":
            leaf = True
        case "struct" | "map":
            lmap = old if isinstance(old, dict) else {}
            rmap = new if isinstance(new, dict) else {}
            if chosen.atomic or not (lmap or rmap):
                leaf = True
            else:
                for name, value in rmap.items():
                    before = lmap.get(name, ABSENT)
                    if before is not ABSENT and before == value and type(before) is type(value):
                        continue
                    _compare(chosen.child(name), before, value, (*path, "f:" + name), out)
                for name, value in lmap.items():
                    if name not in rmap:
                        _compare(chosen.child(name), value, ABSENT, (*path, "f:" + name), out)
        case "list":
            llist = old if isinstance(old, list) else []
            rlist = new if isinstance(new, list) else []
            if chosen.atomic or not (llist or rlist):
                leaf = True
            else:
                _compare_lists(chosen, llist, rlist, path, out)
    if leaf:
        if old is ABSENT:
            out.added.add(path)
        elif new is ABSENT:
            out.removed.add(path)
        elif old != new or type(old) is not type(new):
            out.modified.add(path)
    elif old is ABSENT:
        out.added.add(path)
    elif new is ABSENT:
        out.removed.add(path)


def _compare_lists(node: Node, old: list[Any], new: list[Any], path: Path, out: Comparison) -> None:
    left: dict[str, list[Any]] = {}
    right: dict[str, list[Any]] = {}
    for items, index in ((old, left), (new, right)):
        for element, item in _members(node, items):
            index.setdefault(element, []).append(item)
    assert node.element is not None
    for element in [*left, *(e for e in right if e not in left)]:
        lhs, rhs = left.get(element, []), right.get(element, [])
        here = (*path, element)
        if len(lhs) <= 1 and len(rhs) <= 1:
            if lhs != rhs:
                _compare(
                    node.element, lhs[0] if lhs else ABSENT, rhs[0] if rhs else ABSENT, here, out
                )
        elif len(lhs) > 1 and len(rhs) > 1:
            if lhs != rhs:
                out.modified.add(here)
        elif len(lhs) > 1:
            if rhs:
                _compare(node.element, ABSENT, rhs[0], here, out)
            out.removed.add(here)
        else:
            if lhs:
                _compare(node.element, lhs[0], ABSENT, here, out)
            out.added.add(here)


def field_set(node: Node, value: Any) -> set[Path]:
    """Every path that a configuration claims."""
    found: set[Path] = set()
    _claim(node, value, (), found)
    return found


def _claim(node: Node, value: Any, path: Path, found: set[Path]) -> None:
    node = settle(node, value)
    match node.form:
        case "scalar":
            found.add(path)
        case "struct" | "map":
            if node.atomic:
                found.add(path)
                return
            fields = node.fields
            for name, inner in (value or {}).items():
                here = (*path, "f:" + name)
                _claim(node.child(name), inner, here, found)
                if inner is None or inner == {} or name not in fields:
                    found.add(here)
        case "list":
            if node.atomic:
                found.add(path)
                return
            assert node.element is not None
            members = _members(node, value)
            repeated = {e for e, _ in members if sum(1 for f, _ in members if f == e) > 1}
            for element, item in members:
                here = (*path, element)
                found.add(here)
                if element not in repeated:
                    _claim(node.element, item, here, found)


def merge(node: Node, live: Any, applied: Any) -> Any:
    """The live value with a configuration laid over it. None where nothing is left."""
    if live is None and applied is None:
        return None
    left, right = settle(node, live), settle(node, applied)
    if live is not None and applied is not None and left.form != right.form:
        return applied
    chosen = left if applied is None else right
    match chosen.form:
        case "struct" | "map":
            lmap = live if isinstance(live, dict) else {}
            rmap = applied if isinstance(applied, dict) else {}
            if chosen.atomic or not (lmap or rmap):
                return applied if applied is not None else live
            out = {}
            for name in [*lmap, *(n for n in rmap if n not in lmap)]:
                if name in rmap:
                    inner = rmap[name]
                    if (
                        inner is None
                        and settle(chosen.child(name), lmap.get(name)).form != "scalar"
                    ):
                        merged = merge(chosen.child(name), lmap.get(name), None)
                        if lmap.get(name) is None:
                            merged = None
                    else:
                        merged = merge(chosen.child(name), lmap.get(name), inner)
                    out[name] = merged
                else:
                    out[name] = lmap[name]
            return out
        case "list":
            llist = live if isinstance(live, list) else []
            rlist = applied if isinstance(applied, list) else []
            if chosen.atomic or not (llist or rlist):
                return applied if applied is not None else live
            return _merge_lists(chosen, llist, rlist)
    return applied if applied is not None else live


def _merge_lists(node: Node, live: list[Any], applied: list[Any]) -> list[Any]:
    """Members of both in an order that keeps the applied one and, between, the live one."""
    left, right = _members(node, live), dict(_members(node, applied))
    known: dict[str, Any] = {}
    for element, item in left:
        known[element] = None if element in known else item
    wanted = list(right)
    shared = [e for e in wanted if e in known]
    ahead = iter(shared)
    following = next(ahead, None)
    done: set[str] = set()
    out: list[Any] = []
    assert node.element is not None

    def take(element: str) -> None:
        done.add(element)
        out.append(merge(node.element, known.get(element), right[element]))  # type: ignore[arg-type]  # asserted above

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
    """The value without the paths of a trie; emptied containers stay."""
    node = settle(node, value)
    if node.form in {"struct", "map"} and isinstance(value, dict) and value and not node.atomic:
        out = {}
        for name, inner in value.items():
            element = "f:" + name
            if has(gone, element):
                continue
            part = below(gone, element)
            out[name] = remove(node.child(name), inner, part) if part else inner
        return out
    if node.form == "list" and isinstance(value, list) and value and not node.atomic:
        assert node.element is not None
        items = []
        for item in value:
            try:
                element = member(node, item)
            except MemberError:
                items.append(item)
                continue
            if has(gone, element):
                continue
            part = below(gone, element)
            items.append(remove(node.element, item, part) if part else item)
        return items
    return value


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
