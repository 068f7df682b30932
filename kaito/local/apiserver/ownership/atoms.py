"""Values under a schema: which form counts for one, and what tells list members apart."""

from __future__ import annotations

from typing import Any

from kaito.local.apiserver.jsontext import encode_sorted
from kaito.local.apiserver.schema import ANY, Node

ATOMIC_LIST = Node("list", element=ANY, relation="atomic")
ATOMIC_MAP = Node("map", element=ANY, relation="atomic")
OPEN_MAP = Node("map", element=ANY)
SCALAR = Node("scalar", scalar="any")
ABSENT: Any = object()


class MemberError(ValueError):
    """A list member that cannot be told from the others."""


def settle(node: Node, value: Any) -> Node:
    """The node that counts for a value where the schema leaves it open; a null counts as a map."""
    if node.form != "any":
        return node
    if value is None or isinstance(value, dict):
        return ATOMIC_MAP if node.atomic else OPEN_MAP
    return ATOMIC_LIST if isinstance(value, list) else SCALAR


def same(left: Any, right: Any) -> bool:
    """Equality that tells true from 1, at every depth."""
    if left != right:
        return False
    if isinstance(left, dict | list):
        return encode_sorted(left) == encode_sorted(right)
    return isinstance(left, bool) == isinstance(right, bool)


def as_map(value: Any) -> dict[str, Any]:
    """The members of a map; nothing else has any."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def member(node: Node, item: Any) -> str:
    """The path element of a list member. Raises MemberError."""
    return _set_member(item) if node.relation == "set" else _keyed_member(node, item)


def _set_member(item: Any) -> str:
    if isinstance(item, dict):
        raise MemberError("associative list without keys has an element that's a map type")
    if isinstance(item, list):
        raise MemberError("not supported: associative list with lists as elements")
    if item is None:
        raise MemberError("associative list without keys has an element that's an explicit null")
    return "v:" + encode_sorted(item).decode()


def _keyed_member(node: Node, item: Any) -> str:
    if item is None:
        raise MemberError("associative list with keys may not have a null element")
    if not isinstance(item, dict):
        raise MemberError("associative list with keys may not have non-map elements")
    keys = {k: item[k] for k in node.keys if k in item}
    if len(keys) < len(node.keys):
        keys = {**node.key_defaults, **keys}
    if not keys:
        names = " ".join(f'"{k}"' for k in node.keys)
        raise MemberError(
            f"associative list with keys has an element that omits all key fields [{names}] "
            "(and doesn't have default values for any key fields)"
        )
    return "k:" + encode_sorted(keys).decode()


def members(node: Node, items: Any) -> list[tuple[str, Any]]:
    """The members of a list with their elements, those that have none left out."""
    found = []
    for item in as_list(items):
        try:
            found.append((member(node, item), item))
        except MemberError:
            continue
    return found
