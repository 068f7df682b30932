"""`$(NAME)` in commands, arguments and environment variables, as the API defines it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

LONGEST = 128 * 1024
"""Bytes; Linux takes no longer argument (MAX_ARG_STRLEN). References can double a text each."""
_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


class TooLong(Exception):
    """The text with its references filled in is longer than a program can be given."""


def expand(text: str, *scopes: Mapping[str, str]) -> str:
    """The text with each `$(NAME)` replaced by the value in the first scope that has the name.

    An unknown name stays as it is written, and `$$` is a dollar sign. Raises TooLong.
    """
    size = 0

    def value(found: re.Match[str]) -> str:
        nonlocal size
        name = found[1]
        if name is None:
            return "$"
        held = next((scope[name] for scope in scopes if name in scope), None)
        shown = found[0] if held is None else held
        size += len(shown)
        if size > LONGEST:
            raise TooLong(f"A text of more than {LONGEST} bytes would come of {text[:60]!r}.")
        return shown

    expanded = _REFERENCE.sub(value, text)
    if len(expanded.encode(errors="surrogateescape")) > LONGEST:
        raise TooLong(f"A text of more than {LONGEST} bytes would come of {text[:60]!r}.")
    return expanded
