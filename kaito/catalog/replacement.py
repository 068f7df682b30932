"""Which node size to take instead of one that does not do: the cheapest that does."""

from __future__ import annotations

from collections.abc import Callable

from kaito.catalog.catalog import Catalog
from kaito.catalog.sku import Sku

# Node requests ask for amd64, so no other node ever comes up.
ARCHITECTURE = "amd64"


def cheapness(sku: Sku) -> tuple[bool, float, float, str]:
    """A key to sort sizes by, the cheapest first: those without a price come last, by memory."""
    price = sku.price
    return (price is None, price.usd_per_hour if price else 0.0, sku.gpus.memory_gib, sku.name)


def replacements(catalog: Catalog, *, cloud: str, suits: Callable[[Sku], bool]) -> list[Sku]:
    """The sizes of a cloud that suit, the cheapest first.

    Left out: sizes whose retirement is announced, and those whose nodes KAITO does not bring up.
    """
    suitable = [
        sku
        for sku in catalog.skus.values()
        if sku.cloud == cloud
        and sku.retired is None
        and sku.architecture == ARCHITECTURE
        and suits(sku)
    ]
    return sorted(suitable, key=cheapness)
