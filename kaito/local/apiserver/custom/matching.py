"""Does a pattern match a text? Said in time linear in the text, as a real server says it.

Python's own engine is the faster one for simple patterns; others it may try for ever.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from kaito.local.apiserver.custom.patterns import compiled

REPETITION = re.compile(r"[*+{]")
SIMPLE = 2  # repetitions that Python's engine cannot multiply beyond the square of a text
SHORT = 256  # characters of a text worth remembering; names and labels have no more
REPEATED_GROUP = re.compile(r"\)[*+{]")


def matches(pattern: str, text: str) -> bool:
    """Is the pattern found anywhere in the text? re.error where it is no pattern."""
    own = compiled(pattern)
    if not _may_explode(pattern) or _linear() is None:
        return own.search(text) is not None
    return _remembered(pattern, text) if len(text) <= SHORT else _found(pattern, text)


def _found(pattern: str, text: str) -> bool:
    said = _linear().eval(data={"text": text, "pattern": pattern}).value()
    return said if isinstance(said, bool) else compiled(pattern).search(text) is not None


_remembered = lru_cache(4096)(_found)  # RE2 reads the pattern anew each time: half a millisecond


@lru_cache(1024)
def _may_explode(pattern: str) -> bool:
    return bool(REPEATED_GROUP.search(pattern)) or len(REPETITION.findall(pattern)) > SIMPLE


@lru_cache(1)
def _linear() -> Any:
    """An expression that asks RE2, whose patterns are those of a real server.

    None where it is not installed, as for tests that need a server in memory alone.
    """
    try:
        from cel_expr_python import cel  # type: ignore[import-untyped]  # no py.typed in it
    except ImportError:
        return None
    texts = {"text": cel.Type.STRING, "pattern": cel.Type.STRING}
    return cel.NewEnv(variables=texts).compile("text.matches(pattern)")
