"""The node sizes that come with KAITO are complete, or say what is missing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from kaito.catalog.catalog import catalog, load
from kaito.catalog.sku import Sku

CATALOG = load()
SKUS = list(CATALOG.skus.values())
TODAY = date(2026, 11, 21)

# Count and memory by name: the tables of upstream KAITO v0.12.0.
UPSTREAM: dict[str, dict[str, tuple[int, float]]] = {
    "azure": {
        "Standard_NV36ads_A10_v5": (1, 24),
        "Standard_NV72ads_A10_v5": (2, 48),
        "Standard_NC24ads_A100_v4": (1, 80),
        "Standard_NC48ads_A100_v4": (2, 160),
        "Standard_NC96ads_A100_v4": (4, 320),
        "Standard_ND96asr_A100_v4": (8, 320),
        "Standard_ND96amsr_A100_v4": (8, 640),
        "Standard_NC40ads_H100_v5": (1, 94),
        "Standard_NC80adis_H100_v5": (2, 188),
        "Standard_ND96isr_H100_v5": (8, 640),
        "Standard_NCC40ads_H100_v5": (1, 94),
        "Standard_ND96isr_H200_v5": (8, 1128),
        "Standard_NG32ads_V620_v1": (1, 32),
        "Standard_NG32adms_V620_v1": (1, 32),
    },
    "aws": {
        "p4d.24xlarge": (8, 320),
        "p4de.24xlarge": (8, 640),
        "p5.48xlarge": (8, 640),
        "p5e.48xlarge": (8, 1128),
        "p5en.48xlarge": (8, 1128),
        **{f"g6.{size}": (1, 24) for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge")},
        "g6.16xlarge": (1, 24),
        "gr6.4xlarge": (1, 24),
        "gr6.8xlarge": (1, 24),
        "g6.12xlarge": (4, 96),
        "g6.24xlarge": (4, 96),
        "g6.48xlarge": (8, 192),
        **{f"g5.{size}": (1, 24) for size in ("xlarge", "2xlarge", "4xlarge", "8xlarge")},
        "g5.16xlarge": (1, 24),
        "g5.12xlarge": (4, 96),
        "g5.24xlarge": (4, 96),
        "g5.48xlarge": (8, 192),
        **{f"g4ad.{size}": (1, 8) for size in ("xlarge", "2xlarge", "4xlarge")},
        "g4ad.8xlarge": (2, 16),
        "g4ad.16xlarge": (4, 32),
        "trn1.2xlarge": (1, 32),
        "trn1.32xlarge": (16, 512),
        "trn1n.32xlarge": (16, 512),
        "inf2.xlarge": (1, 32),
        "inf2.8xlarge": (1, 32),
        "inf2.24xlarge": (6, 192),
        "inf2.48xlarge": (12, 384),
    },
    "arc": {
        f"Standard_NC{cores}_{gpu}": (1, 16) if cores < 16 else (2, 32)
        for cores in (4, 8, 16, 32)
        for gpu in ("A2", "A16")
    },
}
WITHDRAWN = {
    date(2023, 9, 6): r"NC\d+r?|NC\d+r?s_v2|ND\d+r?s",
    date(2025, 9, 30): r"NC\d+r?s_v3",
    date(2026, 9, 30): r"NV\d+s_v3|NV\d+as_v4",
}


def find(name: str, cloud: str = "azure") -> Sku:
    sku = CATALOG.find_sku(name, cloud=cloud)
    assert sku is not None, name
    return sku


@pytest.mark.parametrize("cloud", UPSTREAM)
def test_every_size_that_upstream_knows_is_there_with_the_same_gpus(cloud: str) -> None:
    found = {name: find(name, cloud).gpus for name in UPSTREAM[cloud]}
    assert {name: (gpus.count, gpus.memory_gib) for name, gpus in found.items()} == UPSTREAM[cloud]


@pytest.mark.parametrize("cloud", UPSTREAM)
def test_every_size_has_its_price_or_says_why_not(cloud: str) -> None:
    silent = [
        sku.name
        for sku in SKUS
        if sku.cloud == cloud
        and (sku.price is None) != (sku.unknown is not None and sku.unknown.startswith("price: "))
    ]
    assert silent == []


def test_every_product_has_its_capability_or_says_why_not() -> None:
    silent = [
        product.name
        for product in CATALOG.products.values()
        if (product.compute_capability is None) != (product.unknown is not None)
    ]
    assert silent == []


def test_only_nvidia_gpus_have_a_compute_capability() -> None:
    for product in CATALOG.products.values():
        assert (product.vendor == "nvidia") == (product.compute_capability is not None), product


def test_every_fact_has_a_source_and_a_day_that_is_past() -> None:
    sourced = [(sku.source, sku.date) for sku in SKUS]
    sourced += [(product.source, product.date) for product in CATALOG.products.values()]
    sourced += [(sku.price.source, sku.price.date) for sku in SKUS if sku.price]
    assert all(source and day <= TODAY for source, day in sourced)


def test_every_product_is_in_some_size() -> None:
    assert {sku.gpus.product for sku in SKUS} == set(CATALOG.products)


def test_every_machine_has_processors_and_memory() -> None:
    for sku in SKUS:
        assert sku.vcpus >= 2, sku
        assert sku.ram_gib >= sku.vcpus, sku


def test_the_name_of_an_azure_size_tells_its_processors() -> None:
    for sku in SKUS:
        if sku.cloud == "azure":
            digits = re.search(r"\d+", sku.name)
            assert digits is not None
            assert int(digits[0]) == sku.vcpus, sku


def test_twice_the_gpus_of_a_family_cost_more() -> None:
    for cheap, dear in [
        ("Standard_NC24ads_A100_v4", "Standard_NC48ads_A100_v4"),
        ("Standard_NV6ads_A10_v5", "Standard_NV12ads_A10_v5"),
        ("Standard_NC6s_v3", "Standard_NC12s_v3"),
    ]:
        less, more = find(cheap).price, find(dear).price
        assert less is not None
        assert more is not None
        assert less.usd_per_hour < more.usd_per_hour


@pytest.mark.parametrize(
    ("name", "cloud", "usd", "region"),
    [
        ("Standard_NC24ads_A100_v4", "azure", 3.673, "eastus"),
        ("Standard_ND96isr_H200_v5", "azure", 84.8, "eastus2"),
        ("Standard_NC6s_v3", "azure", 3.06, "eastus"),
        ("p5.48xlarge", "aws", 55.04, "us-east-1"),
    ],
)
def test_a_price_is_the_one_that_was_listed(name: str, cloud: str, usd: float, region: str) -> None:
    price = find(name, cloud).price
    assert price is not None
    assert (price.usd_per_hour, price.region) == (usd, region)


@pytest.mark.parametrize("day", WITHDRAWN)
def test_sizes_that_the_cloud_has_withdrawn_are_marked(day: date) -> None:
    marked = {sku.name for sku in SKUS if sku.retired == day}
    pattern = re.compile(f"Standard_({WITHDRAWN[day]})")
    assert marked == {s.name for s in SKUS if s.cloud == "azure" and pattern.fullmatch(s.name)}
    assert marked


def test_no_other_size_is_withdrawn() -> None:
    assert {sku.retired for sku in SKUS if sku.retired} == set(WITHDRAWN)


def test_a_size_with_a_part_of_a_gpu_has_its_share_of_memory() -> None:
    gpus = find("Standard_NV6ads_A10_v5").gpus
    assert (gpus.count, gpus.memory_gib, str(gpus.part)) == (1, 4, "1/6")


def test_two_sizes_of_a_cloud_cannot_share_a_name() -> None:
    one = find("Standard_NC6s_v3")
    with pytest.raises(ValueError, match="two sizes of azure are called STANDARD_NC6S_V3"):
        catalog(models=[], skus=[one, replace(one, name=one.name.upper())])
