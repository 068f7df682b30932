"""How much is run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`runs` of each contender, in turns; `full` for the sizes of the bars."""

    runs: int = 3
    full: bool = False
