"""A CEL parser for checking: it makes the tree that types and prices are worked out on.

Evaluation is cel-expr-python's; so are syntax errors. A text that does not parse here is one that
the library refuses too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

TOKEN = re.compile(
    r"""\s*(?:(?P<num>0x[0-9a-fA-F]+u?|\d+\.\d+(?:[eE][-+]?\d+)?|\d+(?:[eE][-+]?\d+)?u?
    |\.\d+(?:[eE][-+]?\d+)?)
  |(?P<str>[bB]?[rR]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"
      |'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))
  |(?P<id>[A-Za-z_][A-Za-z0-9_]*|`[^`]+`)
  |(?P<op>\|\||&&|==|!=|<=|>=|\.\?|\[\?|[-+*/%!<>?:.,()\[\]{}]))""",
    re.VERBOSE,
)
LEVELS = {
    "||": 1,
    "&&": 2,
    "==": 3,
    "!=": 3,
    "<": 3,
    "<=": 3,
    ">": 3,
    ">=": 3,
    "in": 3,
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
}


class SyntaxFault(ValueError):
    """The text is no CEL."""


@dataclass(slots=True)
class Node:
    """kind: const, ident, select, index, call, member, binary, unary, ternary, list, map."""

    kind: str
    at: int
    start: int
    end: int
    name: str = ""
    value: Any = None
    parts: list[Node] = field(default_factory=list)
    optional: bool = False


class Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int, int]] = []
        at = 0
        while at < len(text):
            if not text[at:].strip() or text[at:].lstrip().startswith("//"):
                break
            found = TOKEN.match(text, at)
            if not found:
                raise SyntaxFault(text[at:])
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind], found.start(kind), found.end()))
            at = found.end()
        self.i = 0

    def peek(self) -> str:
        return self.tokens[self.i][1] if self.i < len(self.tokens) else ""

    def kind(self) -> str:
        return self.tokens[self.i][0] if self.i < len(self.tokens) else ""

    def take(self, wanted: str = "") -> tuple[str, str, int, int]:
        if self.i >= len(self.tokens) or (wanted and self.peek() != wanted):
            raise SyntaxFault(f"expected {wanted}")
        token = self.tokens[self.i]
        self.i += 1
        return token

    def parse(self) -> Node:
        node = self.ternary()
        if self.i < len(self.tokens):
            raise SyntaxFault(self.peek())
        return node

    def ternary(self) -> Node:
        test = self.binary(1)
        if self.peek() != "?":
            return test
        at = self.take()[2]
        yes = self.ternary()
        self.take(":")
        no = self.ternary()
        return Node("ternary", at, test.start, no.end, parts=[test, yes, no])

    def binary(self, level: int) -> Node:
        left = self.unary()
        while True:
            found = LEVELS.get(self.peek(), 0)
            if found < level or self.kind() == "str":
                return left
            _, op, at, _ = self.take()
            right = self.binary(found + 1)
            left = Node("binary", at, left.start, right.end, op, parts=[left, right])

    def unary(self) -> Node:
        if self.peek() in {"!", "-"} and self.kind() == "op":
            _, op, at, _ = self.take()
            inner = self.unary()
            return Node("unary", at, at, inner.end, op, parts=[inner])
        return self.postfix(self.primary())

    def primary(self) -> Node:
        kind, text, start, end = self.take()
        if kind == "num":
            value = (
                float(text)
                if re.search(r"[.eE]", text) and "x" not in text
                else int(text.rstrip("u"), 0)
            )
            return Node(
                "const",
                start,
                start,
                end,
                "uint" if text.endswith("u") else "double" if isinstance(value, float) else "int",
                value,
            )
        if kind == "str":
            return Node(
                "const", start, start, end, "bytes" if text[0] in "bB" else "string", _literal(text)
            )
        if text in {"true", "false", "null"}:
            return Node(
                "const",
                start,
                start,
                end,
                "null" if text == "null" else "bool",
                {"true": True, "false": False}.get(text),
            )
        if kind == "id":
            if self.peek() == "(":
                at = self.take()[2]
                arguments = self.arguments(")")
                return Node("call", at, start, self.tokens[self.i - 1][3], text, parts=arguments)
            return Node("ident", start, start, end, text)
        if text == "(":
            inner = self.ternary()
            closing = self.take(")")
            return Node(
                inner.kind,
                inner.at,
                start,
                closing[3],
                inner.name,
                inner.value,
                inner.parts,
                inner.optional,
            )
        if text == "[":
            items = self.arguments("]")
            return Node("list", start, start, self.tokens[self.i - 1][3], parts=items)
        if text == "{":
            return self.map(start)
        raise SyntaxFault(text)

    def map(self, start: int) -> Node:
        parts: list[Node] = []
        while self.peek() != "}":
            if self.peek() == "?":
                self.take()
            parts.append(self.ternary())
            self.take(":")
            parts.append(self.ternary())
            if self.peek() == ",":
                self.take()
        closing = self.take("}")
        return Node("map", start, start, closing[3], parts=parts)

    def arguments(self, closing: str) -> list[Node]:
        found: list[Node] = []
        while self.peek() != closing:
            if self.peek() == "?":
                self.take()
            found.append(self.ternary())
            if self.peek() == ",":
                self.take()
            elif self.peek() != closing:
                raise SyntaxFault(self.peek())
        self.take(closing)
        return found

    def postfix(self, node: Node) -> Node:
        while self.kind() == "op" and self.peek() in {".", ".?", "[", "[?"}:
            _, op, at, _ = self.take()
            if op in {".", ".?"}:
                kind, name, _, end = self.take()
                if kind != "id" or name == "in":
                    raise SyntaxFault(name)
                if self.peek() == "(" and op == ".":
                    call_at = self.take()[2]
                    arguments = self.arguments(")")
                    node = Node(
                        "member",
                        call_at,
                        node.start,
                        self.tokens[self.i - 1][3],
                        name,
                        parts=[node, *arguments],
                    )
                else:
                    node = Node(
                        "select",
                        at,
                        node.start,
                        end,
                        name.strip("`"),
                        parts=[node],
                        optional=op == ".?",
                    )
            else:
                index = self.ternary()
                closing = self.take("]")
                node = Node(
                    "index", at, node.start, closing[3], parts=[node, index], optional=op == "[?"
                )
        return node


def _literal(text: str) -> str:
    body = text.lstrip("bBrR")
    width = 3 if body[:3] in {"'''", '"""'} else 1
    return body[width:-width]


def parse(text: str) -> Node:
    """Raises SyntaxFault."""
    return Parser(text).parse()
