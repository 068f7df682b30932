"""What will go wrong on the nodes that upstream's arithmetic asks for is said beforehand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.catalog import load
from kaito.catalog.estimate import Estimate, estimate, placed
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus

CATALOG = load()
MODELS = sorted({m.name: m for m in CATALOG.models.values()}.values(), key=lambda m: m.name)
NVIDIA = [sku.gpus for sku in CATALOG.skus.values() if sku.gpus.vendor == "nvidia"]
# The shape of Llama-3.1-8B.
EIGHT = Model(
    name="x/eight",
    weights_gib=14.96,
    parameters_b=8.03,
    context=131072,
    layers=32,
    hidden=4096,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=128256,
)


def gpus(each: float, count: int = 1, capability: float = 8.6) -> Gpus:
    return Gpus(
        product="NVIDIA X", count=count, memory_gib=each * count, compute_capability=capability
    )


def found(model: Model, size: Gpus, **asked: int) -> Estimate:
    answer = estimate(model, size, **asked)
    assert isinstance(answer, Estimate), answer
    return answer


def test_a_model_with_room_has_none() -> None:
    assert found(EIGHT, gpus(80)).problems == ()


def test_no_room_for_requests_says_what_takes_it() -> None:
    (problem,) = placed(EIGHT, gpus(18), 1).problems
    assert problem == (
        "there is no room for requests of x/eight on 1 x NVIDIA X (18 GiB): the engine may use "
        "14.7 GiB of each GPU, and takes 15.0 for weights and 1.2 for itself"
    )


def test_less_room_than_was_asked_for_says_how_much_there_is() -> None:
    answer = placed(EIGHT, gpus(24), 1, context=100_000)
    (problem,) = answer.problems
    assert problem == (
        f"there is room for {answer.max_context:,} tokens of context of x/eight on 1 x NVIDIA X "
        "(24 GiB) and not for 100,000: set max-model-len to less, or take GPUs with more memory"
    )


def test_a_context_that_nobody_knows_is_not_taken_for_none_at_all() -> None:
    silent = replace(EIGHT, context=None)
    assert (placed(silent, gpus(80), 1).max_context, placed(silent, gpus(80), 1).problems) == (
        None,
        (),
    )
    (problem,) = placed(silent, gpus(24), 1, context=100_000).problems
    longest = placed(EIGHT, gpus(24), 1).max_context
    assert problem.startswith(f"there is room for {longest:,} tokens of context of x/eight on")
    (none,) = placed(silent, gpus(18), 1).problems
    assert none.startswith("there is no room for requests of x/eight")


def test_a_context_beyond_the_model_is_not_missed() -> None:
    assert placed(EIGHT, gpus(80), 1, context=200_000).problems == ()


def test_heads_that_gpus_cannot_share_say_how_they_are_shared() -> None:
    seven = replace(EIGHT, weights_gib=60, heads=28, kv_heads=4)
    answer = found(seven, gpus(80, 8))
    (problem,) = answer.advice
    assert answer.problems == ()
    assert problem == (
        "28 attention heads and 4 key-value heads of x/eight cannot be shared by 8 GPUs, so 4 "
        "share each layer and 2 copies run"
    )
    (problem,) = found(replace(seven, weights_gib=300), gpus(80, 8)).advice
    assert problem.endswith("so 4 share each layer and the layers are split in 2 stages")


def test_copies_that_hold_less_than_all_gpus_together_say_how_to_have_it() -> None:
    answer = found(EIGHT, gpus(32, 4))
    assert answer.data_parallel == 4
    (problem,) = answer.advice
    assert problem == (
        f"each of the 4 copies of x/eight has room for {answer.max_context:,} tokens of context, "
        "and one that 4 GPUs share for 131,072: for that, set tensor-parallel-size to 4 and "
        "data-parallel-size to 1 in the ConfigMap that inference.config names"
    )


def test_copies_with_the_whole_context_are_right() -> None:
    assert found(EIGHT, gpus(80, 4)).advice == ()


def test_a_gpu_without_bfloat16_says_what_that_risks() -> None:
    (problem,) = found(EIGHT, gpus(80, capability=7.0)).problems
    assert problem.startswith("NVIDIA X has no bfloat16")


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_a_model_can_be_placed_where_it_does_not_fit(nodes: int) -> None:
    answer = placed(replace(EIGHT, weights_gib=500), gpus(24), nodes)
    assert (answer.nodes, answer.pipeline_parallel) == (nodes, nodes)
    assert answer.max_context == 0


def test_a_model_can_be_placed_on_gpus_whose_memory_nobody_knows() -> None:
    answer = placed(EIGHT, replace(gpus(0, 4, capability=7.0), memory_gib=0), 2)
    assert str(answer.split) == "1x4x2"
    assert answer.max_context is None
    assert len(answer.problems) == 1


def test_what_the_engine_is_told_changes_the_room_and_never_the_nodes() -> None:
    usual = found(EIGHT, gpus(24))
    narrow = estimate(EIGHT, gpus(24), cached="fp8")
    more = estimate(EIGHT, gpus(24), utilization=0.95)
    assert isinstance(narrow, Estimate)
    assert isinstance(more, Estimate)
    assert usual.max_context is not None
    for other in (narrow, more):
        assert other.nodes == usual.nodes
        assert other.max_context is not None
        assert other.max_context > usual.max_context


@given(model=st.sampled_from(MODELS), size=st.sampled_from(NVIDIA))
def test_whatever_does_not_start_has_a_problem(model: Model, size: Gpus) -> None:
    answer = estimate(model, size)
    if isinstance(answer, Estimate) and answer.max_context == 0:
        assert answer.problems


@given(model=st.sampled_from(MODELS), size=st.sampled_from(NVIDIA))
def test_problems_are_single_sentences(model: Model, size: Gpus) -> None:
    answer = estimate(model, size)
    if isinstance(answer, Estimate):
        for problem in (*answer.problems, *answer.advice):
            assert not problem.endswith(".")
            assert "\n" not in problem
