"""Text that others wrote, made fit for a sentence of ours: one line, bounded, harmless to show.

Names, annotations and messages of servers end up in terminals; what is in them must not end a
line, hide what follows, or fill the screen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice

NAME_LENGTH = 100
EXAMPLES = 3  # names that stand for many


def shown(name: str) -> str:
    """A user's own word, quoted where it could be mistaken for ours or does not print."""
    text = name if name.isprintable() and name.strip() == name != "" else json.dumps(name)
    return cut(text, NAME_LENGTH)


def one_line(text: str, limit: int) -> str:
    """Somebody else's sentence on one line, without what does not print, at most this long."""
    line = " ".join(text.split())
    return cut("".join(c if c.isprintable() else "?" for c in line), limit)


def cut(text: str, limit: int) -> str:
    """The text, its end replaced by dots where it is longer than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def listed(names: Sequence[str], last: str = "and") -> str:
    """`a, b and c`; there is at least one."""
    *most, final = names
    return f"{', '.join(most)} {last} {final}" if most else final


def clause(words: str, names: Sequence[str]) -> str:
    """The end of a sentence: `; <words> a, b and c`, or nothing when there are no names."""
    return f"; {words} {listed(names)}" if names else ""


def instead(like: Sequence[str], known: Iterable[str]) -> str:
    """What to write instead, as the end of a sentence: names like it, or a few that show what a
    name looks like."""
    if like:
        return clause("names like it are", like)
    return clause("names that it knows are, for example,", list(islice(known, EXAMPLES)))
