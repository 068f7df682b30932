"""Schema nodes: the shape of an object as decoding, merging and ownership need it.

A node describes one value: a struct with named fields, a map, a list, a scalar or anything.
Built-in kinds get their nodes from data/types.json, custom resources from their definition.
Nothing here looks at values.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any


@dataclass(slots=True, frozen=True)
class Field:
    """A named member of a struct, and what the server does when it is unset or zero."""

    name: str
    node: Node
    pointer: bool = False
    zero: bool = False
    omit_zero: bool = False
    required: bool = False
    strategy: tuple[str, ...] = ()
    merge_key: str = ""
    default: Any = None
    go_name: str = ""
    inside: str = ""

    @property
    def label(self) -> str:
        """The name behind those of the structs that the field is embedded through."""
        return f"{self.inside}.{self.name}" if self.inside else self.name

    def key_default(self) -> Any:
        """What an absent list key counts as: its default, or the zero value it is printed with."""
        if self.default is None and self.zero and self.node.form == "scalar":
            return ZEROS[self.node.scalar]
        return self.default


class Node:
    """One value's shape. `form` is struct, map, list, scalar or any.

    `relation` is atomic, granular (struct and map), map or set (lists). `go` is the name of the Go
    type where it is not the usual one; messages print a `tagged` struct with its JSON names.
    """

    def __init__(
        self,
        form: str,
        *,
        name: str = "",
        scalar: str = "",
        element: Node | None = None,
        relation: str = "granular",
        keys: tuple[str, ...] = (),
        fields: Callable[[], dict[str, Field]] | None = None,
        go: str = "",
        tagged: bool = False,
    ) -> None:
        self.form = form
        self.name = name
        self.scalar = scalar
        self.element = element
        self.relation = relation
        self.keys = keys
        self.go = go
        self.tagged = tagged
        self._fields = fields
        self._settled: dict[tuple[str, ...], tuple[str, ...]] = {}

    @cached_property
    def fields(self) -> dict[str, Field]:
        return self._fields() if self._fields else {}

    @cached_property
    def spots(self) -> dict[str, Field]:
        """Members that are lists printed even when unset, or that hold such lists."""
        return {n: f for n, f in self.fields.items() if _spotted(f, frozenset())}

    @property
    def atomic(self) -> bool:
        return self.relation == "atomic"

    def child(self, name: str) -> Node:
        """The node of a member; unknown members are anything."""
        field = self.fields.get(name)
        if field is not None:
            return field.node
        return self.element or ANY

    def reconciled(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """A path that somebody owns, cut off where this schema is atomic by now."""
        found = self._settled.get(path)
        if found is None:
            if len(self._settled) >= REMEMBERED:
                self._settled.clear()
            found = self._settled[path] = self._cut(path)
        return found

    def _cut(self, path: tuple[str, ...]) -> tuple[str, ...]:
        node = self
        for i, element in enumerate(path):
            if node.form == "scalar" or (node.form == "any" and not node.atomic):
                break
            if node.atomic and i:
                return path[:i]
            if element[0] == "f":
                node = node.child(element[2:])
            elif node.element is not None:
                node = node.element
        return path

    @cached_property
    def key_defaults(self) -> dict[str, Any]:
        """Defaults of this list's members' keys."""
        if self.element is None:
            return {}
        found = self.element.fields
        return {
            k: default
            for k in self.keys
            if k in found and (default := found[k].key_default()) is not None
        }


def _spotted(field: Field, above: frozenset[str]) -> bool:
    node = field.node
    if node.form == "list" and field.zero:
        return True
    while node.element is not None:
        node = node.element
    if node.form != "struct" or node.name in above:
        return False
    return any(_spotted(f, above | {node.name}) for f in node.fields.values())


MEMBER = re.compile(r"(?<=\])[\w.\[\]]+$")  # the Go type of the members of a list or map
REMEMBERED = 4096  # paths for each schema

ANY = Node("any")
OPAQUE = Node("any", relation="atomic")
SCALARS = {
    code: Node("scalar", scalar=code)
    for code in ("s", "b", "i32", "i64", "f", "t", "mt", "q", "ios", "B")
}
ZEROS: dict[str, Any] = {
    "s": "",
    "b": False,
    "i32": 0,
    "i64": 0,
    "f": 0.0,
    "t": None,
    "mt": None,
    "q": "0",
    "ios": 0,
    "B": None,
}


class TypeTable:
    """The built-in types by model name, built on demand from data/types.json."""

    def __init__(self) -> None:
        text = resources.files("kaito.local.apiserver").joinpath("data/types.json").read_bytes()
        self._raw: dict[str, dict[str, str]] = json.loads(text)
        self._nodes: dict[str, Node] = {}
        self._named: dict[tuple[str, str], Node] = {}

    def __contains__(self, model: str) -> bool:
        return model in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def node(self, model: str) -> Node:
        node = self._nodes.get(model)
        if node is None:
            raw = self._raw.get(model)
            if raw is None:
                return ANY
            flags = raw.get("-", "").split()
            node = self._nodes[model] = Node(
                "struct",
                name=model,
                relation="atomic" if "atomic" in flags else "granular",
                tagged="tagged" in flags,
                fields=lambda: {n: self._field(n, t) for n, t in raw.items() if n != "-"},
            )
        return node

    def _field(self, name: str, text: str) -> Field:
        code, *tokens = text.split(" ")
        options = dict(t.partition("=")[::2] for t in tokens)
        strategy, _, key = options.get("patch", "").partition(":")
        default = json.loads(options["default"]) if "default" in options else None
        return Field(
            name,
            self._type(code, options),
            pointer="ptr" in options,
            zero="zero" in options,
            omit_zero="omitzero" in options,
            required="required" in options,
            strategy=tuple(strategy.split("+")) if strategy else (),
            merge_key=key,
            default=default,
            go_name=options.get("name", ""),
            inside=options.get("in", ""),
        )

    def _type(self, code: str, options: dict[str, str]) -> Node:
        go = options.get("go", "")
        member = {"go": found[0]} if (found := MEMBER.search(go)) else {}
        if code[0] == "L":
            kind, _, keys = options.get("list", "atomic").partition(":")
            return Node(
                "list",
                element=self._type(code[1:], member),
                relation=kind,
                keys=tuple(keys.split(",")) if keys else (),
                go=go,
            )
        if code[0] == "M":
            return Node(
                "map",
                element=self._type(code[1:], member),
                relation="atomic" if "atomic" in options else "granular",
                go=go,
            )
        if code.startswith("R:"):
            node = self.node(code[2:])
            relation = next((r for r in ("atomic", "granular") if r in options), node.relation)
            if node.form == "struct" and relation != node.relation:
                inner = node
                return Node(
                    "struct", name=node.name, relation=relation, fields=lambda: inner.fields
                )
            return node
        if go and code in SCALARS:
            return self._named.setdefault((code, go), Node("scalar", scalar=code, go=go))
        if go:
            return Node("any", relation="atomic", go=go)
        return SCALARS.get(code, OPAQUE)
