"""The data are complete and are found by the names that people write."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.catalog.catalog import catalog, load
from kaito.catalog.model import Model

CATALOG = load()


@pytest.mark.parametrize(
    "name", ["phi-3-mini-4k-instruct", "microsoft/Phi-3-mini-4k-instruct", "PHI-3-MINI-4K-INSTRUCT"]
)
def test_a_model_is_found_by_any_of_its_names_in_any_case(name: str) -> None:
    found = CATALOG.find_model(name)
    assert found is not None
    assert found.name == "microsoft/Phi-3-mini-4k-instruct"


def test_a_size_is_found_in_its_own_cloud_in_any_case() -> None:
    found = CATALOG.find_sku("standard_nc6S_v3", cloud="azure")
    assert found is not None
    assert found.name == "Standard_NC6s_v3"
    assert CATALOG.find_sku("Standard_NC6s_v3", cloud="aws") is None


def test_near_misses_are_named() -> None:
    assert CATALOG.find_model("phi-3-mini") is None
    assert "phi-3-mini-4k-instruct" in CATALOG.models_like("phi-3-mini")
    assert CATALOG.skus_like("Standard_NC24ads_A100", cloud="azure")[0] == (
        "Standard_NC24ads_A100_v4"
    )
    assert CATALOG.models_like("!!!") == []


def test_two_models_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="two models are called a"):
        catalog(models=[Model(name="x/y", aliases=("a",)), Model(name="a")], skus=[])


@pytest.mark.parametrize(
    ("asked", "today"),
    [
        ("standard_nd96asr_a100_v4", "Standard_ND96asr_v4"),
        ("Standard_ND96amsr_v4", "Standard_ND96amsr_A100_v4"),
    ],
)
def test_a_machine_is_found_by_each_of_its_names_and_listed_by_one(asked: str, today: str) -> None:
    found = CATALOG.find_sku(asked, cloud="azure")
    assert found is not None
    assert found.name == today
    assert [sku.name for sku in CATALOG.skus.values()].count(today) == 1
    assert asked.lower() not in {sku.name.lower() for sku in CATALOG.skus.values()}
    assert CATALOG.find_sku(asked, cloud="aws") is None


def test_two_sizes_of_a_cloud_cannot_share_a_name() -> None:
    one = CATALOG.find_sku("Standard_ND96asr_v4", cloud="azure")
    assert one is not None
    with pytest.raises(ValueError, match="two sizes of azure are called Standard_ND96asr_A100_v4"):
        catalog(models=[], skus=[one, replace(one, name="Standard_X")])
