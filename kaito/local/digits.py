"""Whole numbers in texts that anybody may have written, such as annotations. Pure.

Python takes digits of every script for digits, but not for numbers, and no number of 5,000 digits.
"""

from __future__ import annotations

import re

_WHOLE = re.compile("[0-9]{1,18}")


def whole(text: str) -> int | None:
    """The whole number that a text is, of at most 18 digits; None for every other text."""
    return int(text) if _WHOLE.fullmatch(text) else None
