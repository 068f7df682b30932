"""The arithmetic gives the figures that upstream's own tests expect, and says what is missing."""

from __future__ import annotations

import pytest

from kaito.catalog.catalog import load
from kaito.catalog.estimate import Estimate, Misfit, estimate
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus, slice_of

CATALOG = load()
# An eight-gibibyte model with the shape of phi-4-mini, as upstream's estimator tests use it.
EIGHT = Model(
    name="x/eight", weights_gib=8, context=131072, layers=32, heads=24, kv_heads=8, head_dim=128
)


def gpus(name: str) -> Gpus:
    sku = CATALOG.find_sku(name, cloud="azure")
    assert sku is not None
    return sku.gpus


def model(name: str) -> Model:
    found = CATALOG.find_model(name)
    assert found is not None
    return found


def fits(subject: Model, size: Gpus, **limits: int) -> Estimate:
    answer = estimate(subject, size, **limits)
    assert isinstance(answer, Estimate), answer
    return answer


@pytest.mark.parametrize(
    ("subject", "size", "nodes"),
    [
        (EIGHT, "Standard_NC96ads_A100_v4", 1),
        (EIGHT, "Standard_NV36ads_A10_v5", 1),
        (model("falcon-7b"), "Standard_NV36ads_A10_v5", 1),
        (model("falcon-7b"), "Standard_NC24ads_A100_v4", 1),
        (model("qwen2.5-coder-32b-instruct"), "Standard_NC24ads_A100_v4", 2),
        (model("phi-3-mini-4k-instruct"), "Standard_NC6s_v3", 1),
        (model("phi-2"), "Standard_NC4as_T4_v3", 1),
        (model("llama-2-13b"), "Standard_NC12s_v3", 2),
        (model("deepseek-r1-0528"), "Standard_ND96isr_H200_v5", 1),
    ],
)
def test_the_number_of_nodes(subject: Model, size: str, nodes: int) -> None:
    assert fits(subject, gpus(size)).nodes == nodes


def test_a_slice_that_is_large_enough_takes_the_model() -> None:
    whole = gpus("Standard_NC40ads_H100_v5")
    part = slice_of("3g.47gb", whole)
    assert part is not None
    assert fits(EIGHT, part, max_nodes=1).gpus_per_node == 1


def test_a_slice_that_is_too_small_says_what_it_provides() -> None:
    part = slice_of("1g.10gb", gpus("Standard_NC40ads_H100_v5"))
    assert part is not None
    answer = estimate(EIGHT, part, max_nodes=1)
    assert isinstance(answer, Misfit)
    assert "only provides 1" in answer.message


def test_a_gpu_that_the_context_alone_fills_says_so() -> None:
    tiny = Gpus(product="NVIDIA X", count=1, memory_gib=2)
    answer = estimate(EIGHT, tiny)
    assert isinstance(answer, Misfit)
    assert "before any weights" in answer.message


def test_more_stages_than_layers_are_no_split() -> None:
    shallow = Model(name="x/shallow", weights_gib=100, heads=32, layers=4, kv_heads=8, head_dim=64)
    answer = estimate(shallow, Gpus(product="NVIDIA X", count=1, memory_gib=16))
    assert isinstance(answer, Misfit)
    assert answer.message == (
        "the 4 layers of x/shallow cannot be split in 10 stages, as many as 10 nodes with 1 x "
        "NVIDIA X (16 GiB) each would take: name a size with more memory on each GPU"
    )


def test_gpus_without_cuda_have_no_account_of_its_memory() -> None:
    answer = fits(EIGHT, gpus("Standard_ND96isr_MI300X_v5"))
    assert (answer.nodes, answer.memory, answer.max_context) == (1, None, None)


def test_a_model_of_unknown_weights_fits_nowhere_that_anybody_can_tell() -> None:
    answer = estimate(Model(name="x/light"), gpus("Standard_ND96isr_H200_v5"))
    assert isinstance(answer, Misfit)
    assert answer.message == (
        "the weights of x/light are not known, so nobody can tell where it fits: "
        "give the folder that holds them beside its configuration"
    )


def test_a_small_model_is_copied_to_each_gpu() -> None:
    answer = fits(model("phi-4-mini-instruct"), gpus("Standard_NC96ads_A100_v4"))
    assert (answer.data_parallel, answer.tensor_parallel, answer.pipeline_parallel) == (4, 1, 1)


def test_a_large_model_is_split_over_the_gpus_of_a_node() -> None:
    answer = fits(model("llama-3.3-70b-instruct"), gpus("Standard_NC96ads_A100_v4"))
    assert (answer.nodes, answer.tensor_parallel, answer.data_parallel) == (1, 4, 1)


def test_a_larger_one_is_split_over_nodes_too() -> None:
    answer = fits(model("deepseek-v3-0324"), gpus("Standard_ND96isr_H100_v5"))
    assert (answer.nodes, answer.tensor_parallel, answer.pipeline_parallel) == (2, 8, 2)


def test_attention_heads_are_shared_evenly_or_fewer_gpus_are_used() -> None:
    seven = Model(name="x/seven", weights_gib=60, heads=28, layers=4, kv_heads=4, head_dim=128)
    eight = Gpus(product="NVIDIA X", count=8, memory_gib=8 * 40)
    assert fits(seven, eight).tensor_parallel == 4


def test_more_context_needs_more_memory() -> None:
    size = gpus("Standard_NV36ads_A10_v5")
    subject = model("phi-3-mini-128k-instruct")
    longest = fits(subject, size).max_context
    assert longest is not None
    assert 2048 < longest < 131072
    assert fits(subject, size, context=32768).nodes == 2


def test_an_unknown_shape_has_no_longest_context() -> None:
    shapeless = Model(name="x/shapeless", weights_gib=8)
    assert fits(shapeless, gpus("Standard_NC24ads_A100_v4")).max_context is None


def test_a_billion_nodes_are_refused_before_they_are_counted_one_by_one() -> None:
    found = estimate(model("zai-org/GLM-5.2-FP8"), gpus("Standard_NC24ads_A100_v4"), context=775528)
    assert isinstance(found, Misfit)
    assert "cannot be split in" in found.message
