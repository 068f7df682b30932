"""Tables line up, keep to the width they are given, and lose nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kaito.cli.table import GAP, INDENT, LABEL, WIDTH, block, columns, headed, labelled

CELL = st.text("abc-", max_size=12)
ROWS = st.integers(1, 4).flatmap(
    lambda count: st.lists(st.tuples(*[CELL] * count), min_size=1, max_size=6)
)


@given(ROWS, st.sets(st.integers(0, 3)))
def test_every_cell_is_there_in_the_order_of_its_row(
    rows: list[tuple[str, ...]], right: set[int]
) -> None:
    lines = list(columns(rows, right=right))
    assert [line.split() for line in lines] == [[cell for cell in row if cell] for row in rows]


@given(ROWS, st.integers(8, 60))
def test_a_width_costs_lines_and_no_cell(rows: list[tuple[str, ...]], width: int) -> None:
    lines = list(columns(rows, width=width))
    assert " ".join(lines).split() == [cell for row in rows for cell in row if cell]


@given(ROWS, st.integers(40, 80))
def test_no_line_is_longer_than_a_width_that_the_other_columns_leave_room_in(
    rows: list[tuple[str, ...]], width: int
) -> None:
    rest = sum(len(GAP) + max(len(row[place]) for row in rows) for place in range(1, len(rows[0])))
    if rest + len(INDENT) <= width:
        assert max(map(len, columns(rows, width=width))) <= width


def test_cells_of_a_column_begin_at_one_place_and_figures_end_at_one() -> None:
    assert list(columns([("a", "1", "x"), ("bcd", "200", "y")], right=(1,))) == [
        "a      1  x",
        "bcd  200  y",
    ]


def test_a_first_cell_that_is_too_long_has_a_line_of_its_own() -> None:
    rows = [("short", "1"), ("longer-than-that", "2")]
    assert list(columns(rows, width=10)) == ["short    1", "longer-than-that", "         2"]


def test_a_column_without_text_vanishes_and_its_heading_with_it() -> None:
    assert list(headed(("NAME", "NOTE", "N"), [("a", "", "1"), ("b", "", "20")], right=("N",))) == [
        "NAME   N",
        "a      1",
        "b     20",
    ]


@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=30))
def test_a_sentence_behind_a_label_keeps_to_80_columns(words: list[str]) -> None:
    lines = list(labelled("Label", " ".join(words)))
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(lines).split() == ["Label", *words]
    margin = " " * (len(INDENT) + LABEL)
    assert all(line.startswith(margin) for line in lines[1:])


def test_rows_behind_a_label_line_up() -> None:
    assert list(block("Sizes", [("a", "1"), ("bc", "2")])) == [
        "  Sizes      a   1",
        "             bc  2",
    ]
