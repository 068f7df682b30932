"""Quantities are read and written exactly."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.runtime import format_quantity, parse_quantity


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
        ("0.1Ei", Decimal("115292150460684697.6")),
        ("9223372036854775807.123456789", Decimal("9223372036854775807.123456789")),
    ],
)
def test_a_quantity_is_the_number_it_stands_for(written: str | int, number: int | Decimal) -> None:
    assert parse_quantity(written) == number


@pytest.mark.parametrize("written", ["", "Gi", "1 Gi", "1GB", "0x10", "1e", "١", "1e1.5"])
def test_what_is_no_quantity_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(written)


@pytest.mark.parametrize("written", ["1e400000", "1e99999999999", "9" * 5000, "1e-99999999999"])
def test_a_number_that_nobody_means_is_refused_before_anybody_computes_with_it(
    written: str,
) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(written)


def test_a_refusal_repeats_no_more_of_the_quantity_than_a_line_holds() -> None:
    with pytest.raises(ValueError, match="quantity") as caught:
        parse_quantity("9" * 5000)
    assert len(str(caught.value)) < 200


# What a kube-apiserver makes of each.
@pytest.mark.parametrize(
    ("number", "decimal", "binary"),
    [
        (0, "0", "0"),
        (1, "1", "1"),
        (1000, "1k", "1k"),
        (1024, "1024", "1Ki"),
        (1536, "1536", "1536"),
        (80 * 1024**3, "85899345920", "80Gi"),
        (10**18, "1E", "976562500000000Ki"),
        (-2048, "-2048", "-2Ki"),
        (-3000, "-3k", "-3000"),
        (Decimal("0.5"), "500m", "500m"),
        (Decimal("1.5"), "1500m", "1500m"),
        (Decimal("1234.5"), "1234500m", "1234500m"),
        (Decimal("1e-9"), "1n", "1n"),
        (Decimal("1e-12"), "1n", "1n"),
        (Decimal("-1e-12"), "-1n", "-1n"),
        (2**63 - 1, "9223372036854775807", "9223372036854775807"),
    ],
)
def test_a_number_is_written_in_the_canonical_form(
    number: int | Decimal, decimal: str, binary: str
) -> None:
    assert format_quantity(number, binary=True) == binary
    assert format_quantity(number) == decimal


@given(st.integers(-(2**63 - 1), 2**63 - 1), st.booleans())
def test_what_is_written_reads_as_the_same_number(nanos: int, binary: bool) -> None:
    number = Decimal(nanos).scaleb(-9)
    assert parse_quantity(format_quantity(number, binary=binary)) == number
    assert parse_quantity(format_quantity(nanos, binary=binary)) == nanos


@pytest.mark.parametrize("number", [2**63, Decimal("-1e30"), Decimal("NaN"), Decimal("Infinity")])
def test_what_no_quantity_can_be_is_not_written(number: int | Decimal) -> None:
    with pytest.raises(ValueError, match="beyond what"):
        format_quantity(number)
