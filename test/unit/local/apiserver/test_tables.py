"""Ages as kubectl prints them."""

from __future__ import annotations

import pytest

from kaito.local.apiserver import columns, tables
from kaito.local.apiserver.cells.pieces import Object
from kaito.local.apiserver.columns import CELLS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (130, "2m10s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (12_000, "3h20m"),
        (28_800, "8h"),
        (172_799, "47h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (70_000_000, "2y80d"),
        (252_288_000, "8y"),
    ],
)
def test_a_duration_is_short(seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text


@pytest.mark.parametrize("resource", CELLS, ids=str)
def test_every_kind_fills_its_columns(resource: tuple[str, str]) -> None:
    found = columns.COLUMNS[resource]
    bare: Object = {
        "metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {},
    }
    # A real server shows an age of addresses that no column names.
    nameless = resource == ("networking.k8s.io", "ipaddresses")
    assert len(found.cells(bare, 1_767_225_600.0)) == len(found.columns) + nameless
