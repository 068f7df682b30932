"""Products and the rows of node sizes in the data files."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from kaito.catalog.gpu import Product, products_of, skus_of
from kaito.catalog.sku import Price

A100 = Product(
    name="NVIDIA A100",
    vendor="nvidia",
    memory_gib=(40, 80),
    compute_capability=8.0,
    source="cuda",
    date=date(2026, 8, 21),
)
ROW: dict[str, Any] = {
    "name": "big",
    "gpu": "NVIDIA A100",
    "gpus": 2,
    "memory_gib": 160,
    "vcpus": 48,
    "ram_gib": 440,
}


def table(**fields: Any) -> dict[str, Any]:
    return {
        "cloud": "azure",
        "source": "the size pages",
        "date": date(2026, 8, 21),
        "price": {"region": "eastus", "date": date(2026, 6, 18), "source": "the price list"},
        "sizes": [ROW | fields],
    }


def test_a_node_has_so_much_memory_of_so_many_gpus() -> None:
    gpus = A100.on_node(8, 320)
    assert (gpus.count, gpus.each_gib, gpus.compute_capability) == (8, 40, 8.0)


def test_memory_that_no_such_gpu_has_is_refused() -> None:
    with pytest.raises(ValueError, match="8 x 1 NVIDIA A100 cannot have 641 GiB together: one has"):
        A100.on_node(8, 641)


def test_a_part_has_its_share_of_the_memory() -> None:
    assert A100.on_node(1, 10, Fraction(1, 8)).memory_gib == 10


def test_products_name_their_sources_in_full() -> None:
    (found,) = products_of(
        {
            "date": date(2026, 8, 21),
            "sources": {"cuda": "NVIDIA's list"},
            "products": [
                {"name": "NVIDIA X", "vendor": "nvidia", "memory_gib": [8], "source": "cuda"}
            ],
        }
    ).values()
    assert (found.source, found.memory_gib, found.compute_capability) == (
        "NVIDIA's list",
        (8,),
        None,
    )


def test_a_size_without_a_price_has_none_and_says_why() -> None:
    (sku,) = skus_of(table(unknown="price: none listed"), {A100.name: A100})
    assert (sku.price, sku.unknown) == (None, "price: none listed")


def test_a_price_is_that_of_the_files_region_and_day_unless_the_row_says_otherwise() -> None:
    (usual,) = skus_of(table(price=7.5), {A100.name: A100})
    (other,) = skus_of(
        table(price=7.5, region="westus3", priced=date(2025, 1, 2)), {A100.name: A100}
    )
    assert usual.price == Price(
        usd_per_hour=7.5, region="eastus", date=date(2026, 6, 18), source="the price list"
    )
    assert other.price == Price(
        usd_per_hour=7.5, region="westus3", date=date(2025, 1, 2), source="the price list"
    )


def test_only_nvme_that_is_listed_is_there() -> None:
    (without,) = skus_of(table(), {A100.name: A100})
    (with_it,) = skus_of(table(nvme_gib=894), {A100.name: A100})
    assert (without.nvme, with_it.nvme) == (False, True)


def test_a_misspelt_field_is_an_error_and_not_a_fact_left_out() -> None:
    with pytest.raises(TypeError, match="nvme_gb"):
        skus_of(table(nvme_gb=894), {A100.name: A100})


def test_a_gpu_that_nobody_described_is_an_error() -> None:
    with pytest.raises(KeyError, match="NVIDIA A100"):
        skus_of(table(), {})
