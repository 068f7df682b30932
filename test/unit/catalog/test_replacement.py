"""What to take instead of a size that does not do."""

from __future__ import annotations

from kaito.catalog.catalog import load
from kaito.catalog.replacement import replacements
from kaito.catalog.sku import Sku

CATALOG = load()


def at_least(gib: float) -> list[Sku]:
    return replacements(CATALOG, cloud="azure", suits=lambda sku: sku.gpus.memory_gib >= gib)


def test_sizes_come_the_cheapest_first_and_those_without_a_price_last() -> None:
    found = replacements(CATALOG, cloud="aws", suits=lambda sku: sku.gpus.product == "NVIDIA H200")
    assert [sku.name for sku in found] == ["p5en.48xlarge", "p5e.48xlarge"]
    prices = [sku.price.usd_per_hour for sku in at_least(80) if sku.price]
    assert prices == sorted(prices)


def test_a_size_that_is_withdrawn_replaces_nothing() -> None:
    assert all(sku.retired is None for sku in at_least(16))


def test_a_size_whose_processors_are_arm_replaces_nothing() -> None:
    assert all(sku.architecture == "amd64" for sku in at_least(16))


def test_where_nothing_suits_there_is_no_replacement() -> None:
    assert replacements(CATALOG, cloud="arc", suits=lambda sku: sku.gpus.count > 2) == []
