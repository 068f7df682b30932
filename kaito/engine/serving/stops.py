"""Texts that end an answer, looked for in a text that comes in pieces. Pure.

What may be the beginning of one is held back until that is decided, so no client sees a part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class Stops:
    """Looks for the texts in everything that it is fed."""

    texts: Sequence[str]
    found: bool = False
    _held: str = ""

    def feed(self, piece: str) -> str:
        """What of the text so far can be told now; nothing once one has been found."""
        if self.found:
            return ""
        text = self._held + piece
        places = [place for each in self.texts if (place := text.find(each)) >= 0]
        if places:
            self.found, self._held = True, ""
            return text[: min(places)]
        keep = max((_overlap(text, each) for each in self.texts), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What has been held back, once nothing more comes."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How long the end of a text is that a stop begins with."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)
