"""CEL texts as trees, macros already expanded.

A text that does not parse is refused here with the first thing that is wrong; the words for it are
made in `syntax`. Types, prices and values are none of this module's business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import count
from typing import Any

TOKEN = re.compile(
    r"""(?:[\s\f]|//[^\n]*)*(?:(?P<num>0[xX][0-9a-fA-F]+[uU]?|\d+\.\d+(?:[eE][-+]?\d+)?
    |\d+[eE][-+]?\d+|\d+[uU]?|\.\d+(?:[eE][-+]?\d+)?)
  |(?P<str>[bB]?[rR]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"
      |'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")|[rR]?[bB]?(?:'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))
  |(?P<id>[A-Za-z_][A-Za-z0-9_]*)
  |(?P<op>\|\||&&|==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}]))""",
    re.VERBOSE | re.DOTALL,
)
END = re.compile(r"(?:[\s\f]|//[^\n]*)*\Z")
RELATIONS = {"==", "!=", "<", "<=", ">", ">=", "in"}
RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
KEYWORDS = RESERVED | {"true", "false", "null", "in"}  # escaped where they name properties
ESCAPES = dict(zip("abfnrtv\\'\"`?", "\a\b\f\n\r\t\v\\'\"`?", strict=True))
ESCAPE = re.compile(r"\\(?:([abfnrtv\\'\"`?])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})"
                    r"|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)  # fmt: skip
_numbers = count(1)


class SyntaxFault(ValueError):
    """The text is no CEL. `message` is empty where the grammar's own words are wanted."""

    def __init__(self, at: int, message: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.message = message


@dataclass(slots=True)
class Node:
    """One expression.

    kind: const, ident, select, call, list, map, struct or fold. `target` is the operand of a
    selection and the receiver of a call. A map's parts alternate keys and values. A fold's parts
    are its range, first result, condition, step and end; its `value` names its variables
    (first, second or "", result).
    """

    kind: str
    at: int
    name: str = ""
    value: Any = None
    target: Node | None = None
    parts: list[Node] = field(default_factory=list)
    test: bool = False
    optional: frozenset[int] = frozenset()
    number: int = field(default_factory=lambda: next(_numbers))


def call(at: int, name: str, *parts: Node) -> Node:
    return Node("call", at, name, parts=list(parts))


class Parser:
    """One reading of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while not END.match(text, at):
            found = TOKEN.match(text, at)
            if not found:
                rest = text[at:].lstrip()
                at = len(text) - len(rest)
                raise SyntaxFault(at, "unsupported syntax: '`'" if rest[:1] == "`" else "")
            kind = found.lastgroup or ""
            self.tokens.append((kind, found[kind], found.start(kind)))
            at = found.end()
        self.i = 0

    def peek(self) -> str:
        if self.i < len(self.tokens) and self.tokens[self.i][0] != "str":
            return self.tokens[self.i][1]
        return ""

    def take(self, wanted: str = "") -> tuple[str, str, int]:
        if self.i >= len(self.tokens) or (wanted and self.peek() != wanted):
            raise SyntaxFault(self.tokens[self.i][2] if self.i < len(self.tokens) else -1)
        token = self.tokens[self.i]
        self.i += 1
        return token

    def whole(self) -> Node:
        node = self.ternary()
        if self.i < len(self.tokens):
            raise SyntaxFault(self.tokens[self.i][2])
        return node

    def ternary(self) -> Node:
        test = self.either()
        if self.peek() != "?":
            return test
        at = self.take()[2]
        yes = self.either()
        self.take(":")
        return call(at, "_?_:_", test, yes, self.ternary())

    def either(self) -> Node:
        left = self.both()
        while self.peek() == "||":
            left = call(self.take()[2], "_||_", left, self.both())
        return left

    def both(self) -> Node:
        left = self.relation()
        while self.peek() == "&&":
            left = call(self.take()[2], "_&&_", left, self.relation())
        return left

    def relation(self) -> Node:
        left = self.sum()
        while self.peek() in RELATIONS:
            _, op, at = self.take()
            left = call(at, "@in" if op == "in" else f"_{op}_", left, self.sum())
        return left

    def sum(self) -> Node:
        left = self.product()
        while self.peek() in {"+", "-"}:
            _, op, at = self.take()
            left = call(at, f"_{op}_", left, self.product())
        return left

    def product(self) -> Node:
        left = self.unary()
        while self.peek() in {"*", "/", "%"}:
            _, op, at = self.take()
            left = call(at, f"_{op}_", left, self.unary())
        return left

    def unary(self) -> Node:
        op = self.peek()
        if op not in {"!", "-"}:
            return self.postfix(self.primary())
        at, times = self.take()[2], 1
        if op == "-" and self._number_next():
            return self.postfix(self.number(self.take()[1], at, sign="-"))
        while self.peek() == op:
            self.take()
            times += 1
        inner = self.postfix(self.primary())
        return inner if times % 2 == 0 else call(at, f"{op}_", inner)

    def _number_next(self) -> bool:
        return self.i < len(self.tokens) and self.tokens[self.i][0] == "num"

    def primary(self) -> Node:
        kind, text, at = self.take()
        if kind == "num":
            return self.number(text, at)
        if kind == "str":
            return literal(text, at)
        if text in {"true", "false"}:
            return Node("const", at, "bool", text == "true")
        if text == "null":
            return Node("const", at, "null")
        if kind == "id" or text == ".":
            return self.named(text, at)
        if text == "(":
            inner = self.ternary()
            self.take(")")
            return inner
        if text == "[":
            items, optional = self.items("]")
            return Node("list", at, parts=items, optional=optional)
        if text == "{":
            return self.map(at)
        raise SyntaxFault(at)

    def named(self, text: str, at: int) -> Node:
        prefix = ""
        if text == ".":
            kind, text, _ = self.take()
            prefix = "."
            if kind != "id":
                raise SyntaxFault(at)
        if text == "in":
            raise SyntaxFault(at)
        if text in RESERVED:
            raise SyntaxFault(at, f"reserved identifier: {text}")
        if self.peek() == "(":
            at = self.take()[2]
            node = Node("call", at, prefix + text, parts=self.arguments())
            return self.expand(node)
        return Node("ident", at, prefix + text)

    def expand(self, node: Node) -> Node:
        from kaito.local.apiserver.cel.macros import expand

        return expand(node)

    @staticmethod
    def number(text: str, at: int, sign: str = "") -> Node:
        if text[-1:] in "uU":
            value: float = int(text[:-1], 0)
            if sign or value >= 1 << 64:
                raise SyntaxFault(at, "invalid uint literal")
            return Node("const", at, "uint", value)
        if re.search(r"[.eE]", text) and text[:2] not in {"0x", "0X"}:
            return Node("const", at, "double", float(sign + text))
        value = int(sign + text, 16 if text[:2] in {"0x", "0X"} else 10)
        if not -(1 << 63) <= value < 1 << 63:
            raise SyntaxFault(at, "invalid int literal")
        return Node("const", at, "int", value)

    def map(self, at: int) -> Node:
        parts: list[Node] = []
        optional = set()
        self._lone_comma()
        while self.peek() != "}":
            if self.peek() == "?":
                self.take()
                optional.add(len(parts) // 2)
            parts.append(self.ternary())
            self.take(":")
            parts.append(self.ternary())
            if self.peek() != "}":
                self.take(",")
        self.take("}")
        return Node("map", at, parts=parts, optional=frozenset(optional))

    def items(self, closing: str) -> tuple[list[Node], frozenset[int]]:
        found: list[Node] = []
        optional = set()
        self._lone_comma()
        while self.peek() != closing:
            if self.peek() == "?":
                self.take()
                optional.add(len(found))
            found.append(self.ternary())
            if self.peek() != closing:
                self.take(",")
        self.take(closing)
        return found, frozenset(optional)

    def _lone_comma(self) -> None:
        """`[,]` and `{,}` are empty, too."""
        if self.peek() == ",":
            self.take()

    def arguments(self) -> list[Node]:
        found: list[Node] = []
        if self.peek() != ")":
            found.append(self.ternary())
            while self.peek() == ",":
                self.take()
                found.append(self.ternary())
        self.take(")")
        return found

    def postfix(self, node: Node) -> Node:
        while self.peek() in {".", "[", "{"}:
            op, at = self.peek(), self.take()[2]
            if op == "{":
                node = self.struct(node, at)
                continue
            optional = self.peek() == "?"
            if optional:
                self.take()
            if op == "[":
                index = self.ternary()
                self.take("]")
                node = call(at, "_[?_]" if optional else "_[_]", node, index)
                continue
            kind, name, here = self.take()
            if kind != "id" or name == "in":
                raise SyntaxFault(here)
            if optional:
                node = call(at, "_?._", node, Node("const", here, "string", name))
            elif self.peek() == "(":
                at = self.take()[2]
                node = self.expand(Node("call", at, name, target=node, parts=self.arguments()))
            else:
                node = Node("select", at, name, target=node)
        return node

    def struct(self, node: Node, at: int) -> Node:
        name = qualified(node)
        if name is None:
            raise SyntaxFault(at)
        parts = []
        while self.peek() != "}":
            kind, text, here = self.take()
            if kind != "id":
                raise SyntaxFault(here)
            self.take(":")
            parts.append(Node("const", here, "string", text))
            parts.append(self.ternary())
            if self.peek() != "}":
                self.take(",")
        self.take("}")
        return Node("struct", at, name, parts=parts)


def qualified(node: Node | None) -> str | None:
    """`a.b.c` of nested selections; None where the expression is anything else."""
    if node is None or node.test:
        return None
    if node.kind == "ident":
        return node.name
    if node.kind == "select":
        head = qualified(node.target)
        return None if head is None else f"{head}.{node.name}"
    return None


def literal(text: str, at: int) -> Node:
    """A string or bytes literal."""
    prefix = text[: min(text.find(q) for q in "'\"" if q in text)]
    body = text[len(prefix) :]
    width = 3 if body[:3] in {"'''", '"""'} else 1
    body = body[width:-width].replace("\r\n", "\n").replace("\r", "\n")
    raw, binary = "r" in prefix.lower(), "b" in prefix.lower()
    if binary:
        data = body.encode() if raw else _bytes(body, at)
        return Node("const", at, "bytes", data)
    return Node("const", at, "string", body if raw else ESCAPE.sub(lambda m: _char(m, at), body))


def _char(found: re.Match[str], at: int) -> str:
    plain, byte, short, long, octal, bad = found.groups()
    if bad is not None:
        raise SyntaxFault(at)
    if plain is not None:
        return ESCAPES[plain]
    return chr(int(octal, 8) if octal is not None else int(byte or short or long, 16))


def _bytes(body: str, at: int) -> bytes:
    out, last = b"", 0
    for found in ESCAPE.finditer(body):
        byte, octal = found[2], found[5]
        out += body[last : found.start()].encode()
        if byte is not None or octal is not None:
            out += bytes([int(octal, 8) if octal is not None else int(byte, 16)])
        else:
            out += _char(found, at).encode()
        last = found.end()
    return out + body[last:].encode()


def parse(text: str) -> Node:
    """Raises SyntaxFault."""
    return Parser(text).whole()
