"""Quantities as the server reads and prints them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kaito.local.apiserver import quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1000k", "1M"),
        ("1e3", "1e3"),
        ("0", "0"),
        ("Mi", "0"),
        ("08", "08"),
        ("1.200", "1.200"),
        ("0.500", "500m"),
        ("-1500m", "-1500m"),
    ],
)
def test_the_canonical_form_keeps_the_family_of_the_suffix(text: str, expected: str) -> None:
    assert quantity.canonical(text) == expected


@pytest.mark.parametrize("text", ["", "1.5.2", "1Q", "1 Gi", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(quantity.QuantityError):
        quantity.canonical(text)


def test_values_compare_across_suffixes() -> None:
    assert quantity.value("1Gi") == quantity.value("1024Mi") == Decimal(1 << 30)
    assert quantity.value("100m") == Decimal("0.1")


@pytest.mark.parametrize("text", ["1e98", "9" * 300, "1e308"])
def test_many_digits_are_no_trouble(text: str) -> None:
    assert not quantity.fractional(quantity.value(text))
    assert quantity.remainder(quantity.value(text), quantity.value("1")) == 0


def test_a_fraction_is_told_however_small() -> None:
    assert quantity.fractional(quantity.value("0." + "1" * 60))
