"""How many steps a regular expression takes that is matched as Python does it: one way after the
other. Time would say the same less surely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from re import _constants as ops  # type: ignore[attr-defined]  # no stubs; what re is made of
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

Nodes = Sequence[tuple[Any, Any]]


class Counter:
    """Counts the steps of matching the whole of a text."""

    def __init__(self, text: str) -> None:
        self.steps = 0
        self._text = text

    def match(self, pattern: str) -> bool:
        whole = pattern.removeprefix("^").removesuffix("$")
        return any(end == len(self._text) for end in self._all(list(parser.parse(whole)), 0))

    def _all(self, nodes: Nodes, at: int) -> Iterator[int]:
        """Where the nodes, one after the other, may end; the first one that Python tries first."""
        if not nodes:
            yield at
            return
        for end in self._one(nodes[0], at):
            yield from self._all(nodes[1:], end)

    def _one(self, node: tuple[Any, Any], at: int) -> Iterator[int]:
        self.steps += 1
        op, argument = node
        if op is ops.SUBPATTERN:
            yield from self._all(list(argument[-1]), at)
        elif op is ops.BRANCH:
            for way in argument[1]:
                yield from self._all(list(way), at)
        elif op is ops.MAX_REPEAT:
            least, most, inner = argument
            yield from self._repeated(list(inner), least, most, at)
        elif at < len(self._text) and self._takes(op, argument, self._text[at]):
            yield at + 1

    def _repeated(self, inner: Nodes, least: int, most: int, at: int) -> Iterator[int]:
        if len(inner) == 1 and inner[0][0] in (ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN):
            run = at
            while run - at < most and any(self._one(inner[0], run)):
                run += 1
            for end in range(run, at + least - 1, -1):
                self.steps += 1
                yield end
            return
        if most > 0:
            for end in self._all(inner, at):
                if end > at:
                    yield from self._repeated(inner, max(0, least - 1), most - 1, end)
        if least == 0:
            yield at

    def _takes(self, op: Any, argument: Any, found: str) -> bool:
        code = ord(found)
        if op is ops.LITERAL:
            return bool(code == argument)
        if op is ops.NOT_LITERAL:
            return bool(code != argument)
        if op is ops.ANY:
            return found != "\n"
        assert op is ops.IN, op
        negated = argument[0][0] is ops.NEGATE
        return negated != any(self._in(each[0], each[1], code) for each in argument[negated:])

    def _in(self, op: Any, argument: Any, code: int) -> bool:
        found = chr(code)
        if op is ops.LITERAL:
            return bool(code == argument)
        if op is ops.RANGE:
            return bool(argument[0] <= code <= argument[1])
        assert op is ops.CATEGORY, op
        return {
            ops.CATEGORY_DIGIT: found.isdecimal(),
            ops.CATEGORY_WORD: found.isalnum() or found == "_",
            ops.CATEGORY_SPACE: found.isspace(),
            ops.CATEGORY_NOT_SPACE: not found.isspace(),
        }[argument]


def steps(pattern: str, text: str) -> int:
    """How many steps it takes to find out whether a pattern describes a text."""
    counter = Counter(text)
    counter.match(pattern)
    return counter.steps
