"""What is wrong with a text that is no CEL, in the words of the language's own grammar."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]  # no py.typed in it

from kaito.local.apiserver.cel.check import Fault
from kaito.local.apiserver.cel.parse import SyntaxFault

NO_TREE = "ERROR: <input>:-1:-1:"  # this compiler's own addition


@lru_cache(1)
def _environment() -> Any:
    return cel.NewEnv()


def explained(text: str, fault: SyntaxFault) -> str:
    """The faults of a text that the parser has refused."""
    at = fault.at if fault.at >= 0 else len(text)
    mine = Fault(at, fault.message or "Syntax error").text(text)
    try:
        _environment().compile(text)
    except RuntimeError as error:
        found = str(error).removeprefix("INVALID_ARGUMENT: ").removesuffix(" [INVALID_ARGUMENT]")
        if "Syntax error" in found:
            lines = [x for x in found.split("\n") if not x.startswith(NO_TREE)]
            told = not fault.message or fault.message in found
            return "\n".join(lines if told else [mine, *lines])
    return mine
