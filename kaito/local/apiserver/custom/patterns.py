"""Regular expressions as a real server's language means them, written in Python's."""

from __future__ import annotations

import re
import warnings
from functools import lru_cache

# An escaped character, a whole class, the head of a group, a repetition, or the one sign that
# differs.
_PART = re.compile(
    r"\\[pP](?:\{\w+\}|\w)|\\Q.*?(?:\\E|$)|\\x\{[0-9a-fA-F]+\}|\\."
    r"|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|\(\?.|\{\d+(?:,\d*)?\}|[*+?]{2,}|\$",
    re.DOTALL,
)
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7F", "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F", "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_UNICODE = {"L": r"[^\W\d_]", "N": r"\d", "Lu": "[A-ZÀ-ÖØ-Þ]", "Ll": "[a-zß-öø-ÿ]"}
_KNOWN_ESCAPES = frozenset("abfnrtvdDsSwWbBAzZpPxQEC01234567")
MOST_TIMES = 1000  # repetitions of one part
HEAD = "error parsing regexp: "


class _Unsupported(ValueError):
    """The pattern is none in the server's language; the message is the server's."""


def from_go(pattern: str) -> str:
    """The same pattern in Python: there `$` would also stand before a final line break.

    In multi-line mode both languages agree on `$`. Raises a ValueError for what only Python knows.
    """
    multiline = re.match(r"\(\?[a-zA-Z]*m", pattern) is not None

    def part(found: re.Match[str]) -> str:
        text = found[0]
        if text == "\\z" or (text == "$" and not multiline):
            return r"\Z"
        match text[:2]:
            case "(?":
                return _group(text, pattern[found.start() :])
            case "\\p" | "\\P":
                return _property(text)
            case "\\Q":
                return re.escape(text[2:].removesuffix("\\E"))
        if text[0] == "{":
            times = [int(n) for n in re.findall(r"\d+", text)]
            if max(times) > MOST_TIMES or times != sorted(times):
                raise _Unsupported(f"invalid repeat count: `{text}`")
        elif text[0] in "*+?":
            return _repeated(text)
        elif text[0] == "[":
            return re.sub(r"\[:(\^?)(\w+):\]", _posix, text)
        elif text.startswith("\\x{"):
            return re.escape(chr(int(text[3:-1], 16)))
        elif (text[0] == "\\" and text[1].isalnum() and text[1] not in _KNOWN_ESCAPES) or (
            text[0] == "\\" and text[1] in "123456789"
        ):
            raise _Unsupported(f"invalid escape sequence: `{text}`")
        return text

    return _PART.sub(part, pattern)


def _group(head: str, rest: str) -> str:
    sign = head[2]
    if sign == "<" and rest[3:4] not in {"=", "!"}:
        return "(?P<"
    if sign in "=!<>#(" or rest.startswith("(?P="):
        cut = 4 if sign == "<" else 3
        raise _Unsupported(f"invalid or unsupported Perl syntax: `{rest[:cut]}`")
    return head


def _repeated(text: str) -> str:
    if len(text) == 2 and text[1] == "?":
        return text
    bad = text[:2] if text[1] != "?" else text[:3]
    raise _Unsupported(f"invalid nested repetition operator: `{bad}`")


def _posix(found: re.Match[str]) -> str:
    return _POSIX.get(found[2], found[0])


def _property(text: str) -> str:
    name = text[2:].strip("{}")
    known = _UNICODE.get(name)
    if known is None:
        raise _Unsupported(f"invalid character class range: `{text}`")
    return known if text[1] == "p" else f"(?!{known})."


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, ready to search. re.error when it is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about signs that it will read as sets
            return re.compile(from_go(pattern))
    except _Unsupported as error:
        raise re.error(str(error), pattern) from error


def fault(pattern: str) -> str:
    """Why a pattern is none, as Go's compiler says it; empty when it is one."""
    try:
        compiled(pattern)
    except re.error as error:
        if isinstance(error.__cause__, _Unsupported):
            return f"{HEAD}{error.msg}"
        return f"{HEAD}{_said(error.msg, error.pos or 0, pattern)}"
    return ""


def _said(text: str, at: int, pattern: str) -> str:
    if "unterminated subpattern" in text:
        return f"missing closing ): `{pattern}`"
    if "unbalanced parenthesis" in text:
        return f"unexpected ): `{pattern}`"
    if "unterminated character set" in text:
        return f"missing closing ]: `{pattern[at:]}`"
    if "nothing to repeat" in text:
        return f"missing argument to repetition operator: `{pattern[at : at + 1]}`"
    if text.startswith("bad character range"):
        return f"invalid character class range: `{text.removeprefix('bad character range ')}`"
    if "bad escape (end of pattern)" in text:
        return "trailing backslash at end of expression: ``"
    return f"{text}: `{pattern}`"
