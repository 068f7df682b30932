"""The data are complete and are found by the names that people write."""

from __future__ import annotations

import pytest

from kaito.catalog.catalog import catalog, load
from kaito.catalog.model import Model

CATALOG = load()
MODELS = list(dict.fromkeys(CATALOG.models.values()))
CURRENT = [m for m in MODELS if not m.historical]


def test_the_catalogue_holds_what_upstream_holds_and_what_it_dropped() -> None:
    assert len(CURRENT) == 60
    assert {a for m in MODELS if m.historical for a in m.aliases} == {
        *("falcon-7b", "falcon-7b-instruct", "falcon-40b", "falcon-40b-instruct", "phi-2"),
        *("llama-2-7b", "llama-2-7b-chat", "llama-2-13b", "llama-2-13b-chat"),
        *("llama-2-70b", "llama-2-70b-chat"),
    }
    assert sum(len(m.aliases) for m in CURRENT) == 25


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


@pytest.mark.parametrize(
    ("name", "kv_bytes", "disk", "attention"),
    [
        ("microsoft/phi-4", 204800, 107, "GQA"),
        ("phi-3-mini-128k-instruct", 393216, 87, "MHA"),
        ("google/gemma-4-E2B-it", 35840, 89, "MQA"),
        ("deepseek-r1-0528", 70272, 721, "MLA"),
        ("mistralai/Mistral-Small-4-119B-2603", 23040, 192, "MLA"),
        ("openai/gpt-oss-120b", 73728, 201, "GQA"),
        ("phi-2", None, 50, None),
    ],
)
def test_what_follows_from_a_models_shape(
    name: str, kv_bytes: int | None, disk: int, attention: str | None
) -> None:
    model = CATALOG.find_model(name)
    assert model is not None
    assert (model.kv_bytes_per_token, model.disk, model.attention) == (kv_bytes, disk, attention)


def test_every_current_model_can_be_estimated() -> None:
    for model in CURRENT:
        assert model.weights_gib, model.name
        assert model.kv_bytes_per_token, model.name
        assert model.context, model.name
        assert model.architecture, model.name


def test_two_models_cannot_share_a_name() -> None:
    with pytest.raises(ValueError, match="two models are called a"):
        catalog(models=[Model(name="x/y", aliases=("a",)), Model(name="a")], skus=[])
