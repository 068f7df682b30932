"""Text in columns: rows as wide as what is in them, and rows behind a label."""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterator, Sequence

GAP = "  "
WIDTH = 80
LABEL = 11  # columns of what stands at the left
INDENT = "  "


def columns(
    rows: Sequence[Sequence[str]], *, right: Collection[int] = (), width: int | None = None
) -> Iterator[str]:
    """The rows as lines, cells of a column beginning at one place; columns without text vanish.

    Cells of the columns `right` end at one place instead. Where the lines would be longer than
    `width`, the first column gives way, and a first cell that is longer then has a line of its own.
    """
    count = max((len(row) for row in rows), default=0)
    full = [[*row, *[""] * (count - len(row))] for row in rows]
    widths = [max(len(row[place]) for row in full) for place in range(count)]
    shown = [place for place in range(count) if widths[place]]
    if width is not None and shown[1:]:
        rest = sum(len(GAP) + widths[place] for place in shown[1:])
        first = shown[0]
        widths[first] = min(widths[first], max(width - rest, len(INDENT)))
        full = [part for row in full for part in _broken(row, first, widths[first])]
    for row in full:
        yield GAP.join(
            f"{row[place]:{'>' if place in right else '<'}{widths[place]}}" for place in shown
        ).rstrip()


def _broken(row: list[str], first: int, width: int) -> Iterator[list[str]]:
    if len(row[first]) > width:
        alone = [""] * len(row)
        alone[first] = row[first]
        yield alone
        row = [*row]
        row[first] = ""
    yield row


def headed(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    width: int | None = None,
) -> Iterator[str]:
    """`columns` under headings, of which those `right` are above figures; a heading with nothing
    below it vanishes."""
    kept = [name if any(row[place] for row in rows) else "" for place, name in enumerate(header)]
    places = [place for place, name in enumerate(header) if name in right]
    return columns([kept, *rows], right=places, width=width)


def labelled(label: str, words: str) -> Iterator[str]:
    """A sentence behind a label, on as many lines of 80 columns as it takes."""
    lines = textwrap.wrap(words, WIDTH - LABEL - len(INDENT), break_on_hyphens=False) or [""]
    return _behind(label, lines)


def block(
    label: str, rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> Iterator[str]:
    """Rows in columns behind a label."""
    return _behind(label, columns(rows, right=right))


def _behind(label: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{INDENT}{label if number == 0 else '':<{LABEL}}{line}".rstrip()
