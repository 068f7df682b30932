"""Rows in columns, as wide as what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

GAP = "  "


def columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows as lines, cells of a column beginning at one place; columns without text vanish."""
    count = max((len(row) for row in rows), default=0)
    full = [[*row, *[""] * (count - len(row))] for row in rows]
    widths = [max(len(row[place]) for row in full) for place in range(count)]
    shown = [place for place in range(count) if widths[place]]
    for row in full:
        yield GAP.join(f"{row[place]:<{widths[place]}}" for place in shown).rstrip()
