"""What runs where: an offer, or the reason why there is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kaito.catalog.capability import TRANSFORMERS, objection
from kaito.catalog.catalog import load
from kaito.catalog.estimate import Misfit
from kaito.catalog.model import Model
from kaito.catalog.offer import Offer, alone, models_on, offer, sizes_of
from kaito.catalog.sku import Sku

CATALOG = load()


def model(name: str) -> Model:
    found = CATALOG.find_model(name)
    assert found is not None
    return found


def sku(name: str, cloud: str = "azure") -> Sku:
    found = CATALOG.find_sku(name, cloud=cloud)
    assert found is not None
    return found


def test_the_price_is_that_of_all_nodes() -> None:
    found = offer(model("phi-4"), sku("Standard_NC4as_T4_v3"))
    assert isinstance(found, Offer)
    assert found.estimate.nodes == 3
    assert found.usd_per_hour == pytest.approx(3 * 0.526)


def test_the_price_is_not_known_where_the_cloud_lists_none() -> None:
    found = offer(model("phi-4"), sku("Standard_NC32_A2", "arc"))
    assert isinstance(found, Offer)
    assert found.usd_per_hour is None


@pytest.mark.parametrize(
    ("name", "size", "why"),
    [
        ("phi-4", "Standard_NC6s_v3", "vLLM 0.25.1 needs 7.5"),
        ("gpt-oss-20b", "Standard_NC4as_T4_v3", "with mxfp4 weights needs"),
        ("phi-4", "Standard_ND96isr_MI300X_v5", "on NVIDIA GPUs"),
        ("gemma-3-4b-instruct", "Standard_NC4as_T4_v3", "there is no room for requests"),
        (
            "deepseek-v3-0324",
            "Standard_NC4as_T4_v3",
            "DeepSeek-V3-0324 cannot be split in",
        ),
    ],
)
def test_what_does_not_run_says_why(name: str, size: str, why: str) -> None:
    found = offer(model(name), sku(size))
    assert isinstance(found, Misfit)
    assert why in found.message
    assert not found.message.endswith(".")


@pytest.mark.parametrize("name", ["DeepSeek-V4-Pro", "DeepSeek-V4-Flash-0731", "DeepSeek-V3.2"])
def test_sparse_attention_is_offered_from_hopper_on(name: str) -> None:
    sparse = model(f"deepseek-ai/{name}")
    found = offer(sparse, sku("Standard_ND96amsr_A100_v4"))
    assert isinstance(found, Misfit)
    assert "needs 9.0" in found.message
    assert isinstance(offer(sparse, sku("Standard_ND96isr_H200_v5")), Offer)


def test_a_model_of_unknown_context_is_offered_where_it_has_room() -> None:
    silent = replace(model("phi-4"), context=None)
    found = offer(silent, sku("Standard_NC24ads_A100_v4"))
    assert isinstance(found, Offer)
    assert (found.estimate.max_context, found.estimate.problems) == (None, ())


def test_gpus_of_unknown_memory_run_nothing() -> None:
    known = sku("Standard_NC24ads_A100_v4")
    found = offer(model("phi-4"), replace(known, gpus=replace(known.gpus, memory_gib=0)))
    assert isinstance(found, Misfit)
    assert "the memory of NVIDIA A100 is not known" in found.message


def test_nodes_are_no_more_than_are_allowed() -> None:
    assert isinstance(offer(model("phi-4"), sku("Standard_NC4as_T4_v3"), max_nodes=2), Misfit)


def test_alone_is_what_runs_on_one_node_with_nothing_to_be_said_against_it() -> None:
    assert alone(model("phi-4"), sku("Standard_NC24ads_A100_v4")) is not None
    assert alone(model("phi-4"), sku("Standard_NV36ads_A10_v5")) is None  # two nodes
    # One node, in float16 although it was made in bfloat16.
    mini = offer(model("phi-4-mini-instruct"), sku("Standard_NC4as_T4_v3"))
    assert isinstance(mini, Offer)
    assert mini.estimate.nodes == 1
    assert alone(model("phi-4-mini-instruct"), sku("Standard_NC4as_T4_v3")) is None


def test_more_context_takes_more_memory_and_so_another_size() -> None:
    long = model("llama-3.1-8b-instruct")
    assert alone(long, sku("Standard_NV36ads_A10_v5"), context=10_000) is not None
    assert alone(long, sku("Standard_NV36ads_A10_v5"), context=30_000) is None


def test_each_engine_has_its_own_sizes() -> None:
    fp8 = model("Qwen/Qwen3.6-35B-A3B-FP8")
    served = {each.sku.name for each in sizes_of(fp8, CATALOG, cloud="azure")}
    generated = {
        each.sku.name for each in sizes_of(fp8, CATALOG, cloud="azure", engine=TRANSFORMERS)
    }
    a100 = "Standard_NC24ads_A100_v4"
    assert objection(TRANSFORMERS, sku(a100).gpus, quantization="fp8") is not None
    assert served - generated >= {a100}
    assert generated


def test_sizes_are_told_one_by_one_the_cheapest_first() -> None:
    found = sizes_of(model("phi-4"), CATALOG, cloud="azure")
    assert next(found).sku.name == "Standard_NC24ads_A100_v4"
    prices = [each.usd_per_hour or float("inf") for each in found]
    assert prices == sorted(prices)
    assert prices[0] >= 3.673


def test_sizes_that_nobody_can_have_are_no_offer() -> None:
    for each in sizes_of(model("phi-4"), CATALOG, cloud="azure"):
        assert each.sku.retired is None
        assert each.sku.architecture == "amd64"


def test_a_size_names_each_model_once_the_largest_first() -> None:
    found = models_on(sku("Standard_NC24ads_A100_v4"), CATALOG)
    order = [(each.model.historical, -(each.model.weights_gib or 0)) for each in found]
    assert order == sorted(order)
    assert len({each.model.name for each in found}) == len(found) > 20
    assert {each.model.access for each in found} == {"open", "gated", None}
    assert found[-1].model.historical


def test_models_of_a_size_have_the_context_that_is_asked_for() -> None:
    asked = 50_000
    found = models_on(sku("Standard_NC24ads_A100_v4"), CATALOG, context=asked)
    assert found
    for each in found:
        assert (each.model.context or asked) >= asked
        assert (each.estimate.max_context or asked) >= asked
    few = models_on(sku("Standard_NC24ads_A100_v4"), CATALOG, engine=TRANSFORMERS)
    assert "fp8" not in {each.model.quantization for each in few}
