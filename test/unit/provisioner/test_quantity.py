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


@pytest.mark.parametrize("written", ["", "Gi", "1 Gi", "1GB", "0x10", "1e", "١", "1e1.5"])
def test_what_is_no_quantity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        amount(written)


@pytest.mark.parametrize("written", ["1e400000", "1e99999999999", "9" * 5000, "1e-99999999999"])
def test_a_number_that_nobody_means_is_refused_before_anybody_computes_with_it(
    written: str,
) -> None:
    with pytest.raises(ValueError, match="quantity"):
        amount(written)


def test_a_refusal_repeats_no_more_of_the_quantity_than_a_line_holds() -> None:
    with pytest.raises(ValueError, match="quantity") as caught:
        amount("9" * 5000)
    assert len(str(caught.value)) < 200
