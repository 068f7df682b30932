"""Field sets: which paths of an object somebody owns.

A path is a tuple of elements as FieldsV1 writes them: `f:name` a field, `k:{...}` a list member
by its keys, `v:...` a set member by its value. A set of paths is a plain Python set; a trie is the
same as nested dicts, where "." marks a path that has children and is owned itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from kaito.local.apiserver.fields import go_quote

Path = tuple[str, ...]
Trie = dict[str, Any]


class IllFormed(ValueError):
    """A fieldsV1 value that no server wrote."""


def trie(paths: Iterable[Path]) -> Trie:
    """The nested form, members sorted as the server writes them."""
    root: Trie = {}
    for path in sorted(paths, key=len):
        if not path:
            root["."] = {}
            continue
        at = root
        for element in path[:-1]:
            nxt = at.get(element)
            if nxt is None:
                nxt = at[element] = {}
            elif not nxt:
                nxt["."] = {}
            at = nxt
        at.setdefault(path[-1], {})
    return root


def paths(node: Trie) -> set[Path]:
    """The inverse of `trie`. Raises IllFormed."""
    found: set[Path] = set()
    _collect(node, (), found)
    return found


def _collect(node: Trie, prefix: Path, found: set[Path]) -> None:
    if not isinstance(node, dict):
        raise IllFormed(f"not an object at {prefix}")
    for element, below in node.items():
        if element == ".":
            found.add(prefix)
            continue
        if element[1:2] != ":":
            raise IllFormed(f"an element without a colon: {element}")
        if element[0] not in "fkvi":
            continue  # what a later server may know
        if element[0] in "kv":
            element = _settled(element)
        path = (*prefix, element)
        if not below and isinstance(below, dict):
            found.add(path)
        else:
            _collect(below, path, found)


@lru_cache(4096)
def _settled(element: str) -> str:
    """A key or value element as this server would write it. Raises IllFormed."""
    try:
        value = json.loads(element[2:])
    except ValueError as error:
        raise IllFormed(f"not JSON: {element}") from error
    if element[0] == "k":
        if not isinstance(value, dict):
            raise IllFormed(f"not a key: {element}")
        value = dict(sorted(value.items()))
    return element[:2] + json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def has(node: Trie, element: str) -> bool:
    """Is the path of one element a member?"""
    below = node.get(element)
    return below is not None and (not below or "." in below)


def below(node: Trie, element: str) -> Trie:
    """The part under an element, without the element itself; empty when there is none."""
    found = node.get(element)
    if not found:
        return {}
    if "." in found:
        return {k: v for k, v in found.items() if k != "."}
    return dict(found)


def listed(path: Path) -> list[tuple[bool, tuple[Any, ...]]]:
    """Sort key of paths in messages: at each level members come before what lies deeper."""
    last = len(path) - 1
    return [(i < last, _rank(element)) for i, element in enumerate(path)]


def _rank(element: str) -> tuple[Any, ...]:
    """Fields come before keys, keys before values; numbers compare as numbers."""
    rest = element[2:]
    if element[0] == "k":
        return (1, [(k, _value_rank(v)) for k, v in sorted(json.loads(rest).items())])
    if element[0] == "v":
        return (2, _value_rank(json.loads(rest)))
    return (3, int(rest)) if element[0] == "i" else (0, rest)


def _value_rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return (2, value)
    return (0, value) if isinstance(value, int | float) else (1, str(value))


def printed(path: Path) -> str:
    """A path as conflicts name it: `.spec.containers[name="main"].image`."""
    return "".join(element_text(e) for e in path)


def element_text(element: str) -> str:
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return "." + rest
    if kind == "k:":
        keys = json.loads(rest)
        return "[" + ",".join(f"{k}={_scalar(v)}" for k, v in sorted(keys.items())) + "]"
    if kind == "v:":
        return f"[={_scalar(json.loads(rest))}]"
    return f"[{rest}]"


def _scalar(value: Any) -> str:
    return go_quote(value) if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
