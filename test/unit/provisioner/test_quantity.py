"""Quantities are read exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kaito.provisioner.quantity import amount


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("80Gi", 80 * 1024**3),
        ("1.5Ki", 1536),
        ("500m", Decimal("0.5")),
        ("2n", Decimal("2e-9")),
        ("1E", 10**18),
        ("1E3", 1000),
        ("1e-3", Decimal("0.001")),
        (".5M", 500_000),
        ("+7", 7),
        ("-1k", -1000),
        (12, 12),
    ],
)
def test_a_quantity_is_the_number_it_stands_for(written: str | int, number: int | Decimal) -> None:
    assert amount(written) == number


@pytest.mark.parametrize("written", ["", "Gi", "1 Gi", "1GB", "0x10", "1e", "١"])
def test_what_is_no_quantity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        amount(written)
