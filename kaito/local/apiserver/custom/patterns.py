"""Regular expressions as a real server's language means them, written in Python's."""

from __future__ import annotations

import re
from functools import lru_cache

# An escaped character, a whole class, or the one sign that differs.
_PART = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)


def from_go(pattern: str) -> str:
    """The same pattern in Python: there `$` would also stand before a final line break.

    In multi-line mode both languages agree on `$`.
    """
    multiline = re.match(r"\(\?[a-zA-Z]*m", pattern) is not None

    def part(found: re.Match[str]) -> str:
        text = found[0]
        if text == "\\z" or (text == "$" and not multiline):
            return r"\Z"
        return text

    return _PART.sub(part, pattern)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to search. re.error when it is none."""
    return re.compile(from_go(pattern))
