"""The transformers runtime needs room for the whole batch at once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.cache import Cache
from kaito.catalog.generation import Generation, generation, longest
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus

GIB = 1024**3
# The shape of phi-4-mini.
MINI = Model(
    name="x/mini",
    weights_gib=7.15,
    parameters_b=3.84,
    context=131072,
    layers=32,
    hidden=3072,
    heads=24,
    kv_heads=8,
    head_dim=128,
    vocabulary=200064,
)
A100 = Gpus(product="NVIDIA A100", count=1, memory_gib=80, compute_capability=8.0)


def told(model: Model = MINI, gpus: Gpus = A100, *, context: int, batch: int = 1) -> Generation:
    found = generation(model, gpus, context=context, batch=batch)
    assert found is not None
    return found


def test_the_cache_is_that_of_all_layers_and_one_more_while_it_grows() -> None:
    assert told(context=8192).cache == pytest.approx(8192 * 4096 * (32 + 1) / GIB)


def test_a_batch_multiplies_cache_and_activations_and_not_weights() -> None:
    one, eight = told(context=1000), told(context=1000, batch=8)
    assert eight.cache == pytest.approx(8 * one.cache)
    assert eight.activations == pytest.approx(8 * one.activations)
    assert eight.weights == one.weights


def test_a_window_ends_the_growth() -> None:
    window = Cache(kind="sliding", layers=32, kv_heads=8, head_dim=128, window=1024)
    sliding = replace(MINI, caches=(window,))
    assert told(sliding, context=1024).cache == told(sliding, context=100_000).cache


def test_gpus_add_up() -> None:
    two = replace(A100, count=2, memory_gib=160)
    assert told(gpus=two, context=1000).usable == pytest.approx(2 * told(context=1000).usable)


def test_old_gpus_hold_unstable_families_in_twice_the_memory() -> None:
    gemma = replace(MINI, architecture="Gemma3ForCausalLM")
    t4 = Gpus(product="NVIDIA T4", count=1, memory_gib=16, compute_capability=7.5)
    single, double = told(gemma, context=1000), told(gemma, t4, context=1000)
    assert double.weights == pytest.approx(2 * single.weights)


def test_a_small_model_fits_and_a_large_batch_does_not() -> None:
    assert told(context=8192).fits
    assert not told(context=131072, batch=32).fits


@pytest.mark.parametrize("batch", [1, 8, 64])
def test_the_longest_requests_fit_and_longer_ones_do_not(batch: int) -> None:
    small = Gpus(product="NVIDIA A10", count=1, memory_gib=24, compute_capability=8.6)
    found = longest(MINI, small, batch=batch)
    assert found is not None
    assert 0 < found < 131072
    assert told(gpus=small, context=found, batch=batch).fits
    assert not told(gpus=small, context=found + 1, batch=batch).fits


def test_weights_that_do_not_fit_leave_no_requests() -> None:
    assert longest(replace(MINI, weights_gib=100), A100) == 0
    assert longest(replace(MINI, weights_gib=None), A100) is None


@pytest.mark.parametrize("field", ["weights_gib", "hidden", "layers"])
def test_an_unknown_size_has_no_account(field: str) -> None:
    unknown = replace(MINI, **{field: None})
    assert generation(unknown, A100, context=1) is None


@given(context=st.integers(1, 131072), more=st.integers(0, 131072), batch=st.integers(1, 64))
def test_longer_requests_never_take_less(context: int, more: int, batch: int) -> None:
    short = told(context=context, batch=batch)
    long = told(context=context + more, batch=batch)
    assert short.cache <= long.cache
    assert short.activations <= long.activations
