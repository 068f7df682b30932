"""The number of nodes is upstream's, written down a second time from kaito.md 4.4."""

from __future__ import annotations

from fractions import Fraction
from itertools import count

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kaito.catalog.catalog import load
from kaito.catalog.estimate import Estimate, Misfit, estimate
from kaito.catalog.model import Model
from kaito.catalog.parallel import split
from kaito.catalog.sku import Gpus

GIB = 1024**3
CATALOG = load()
KNOWN = sorted(
    {m.name: m for m in CATALOG.models.values() if m.weights_gib is not None}.values(),
    key=lambda model: model.name,
)
NVIDIA = [sku.gpus for sku in CATALOG.skus.values() if sku.gpus.vendor == "nvidia"]


def upstream(weights: float, per_token: int, memory: float, gpus: int, context: int) -> int | None:
    """Nodes; None when a GPU has no room for weights. In bytes, and by trying: as few as do."""
    usable = Fraction(memory) * GIB / gpus * Fraction("0.84")
    fixed = Fraction("2.3") * GIB + Fraction(context * per_token, gpus)
    if usable <= fixed:
        return None
    loaded = Fraction(weights) * GIB * Fraction("1.02")
    room = (usable - fixed) / Fraction("1.05")
    # What is so close that floats cannot tell is of no interest.
    assume(abs(loaded / room - round(loaded / room)) > Fraction(1, 10**6))
    return next(nodes for nodes in count(1) if nodes * gpus * room > loaded)


def nodes(model: Model, gpus: Gpus, context: int) -> int | None:
    answer = estimate(model, gpus, context=context)
    return answer.nodes if isinstance(answer, Estimate) else None


def splits(model: Model, gpus: Gpus, count: int | None) -> bool:
    """Whether there are layers for as many stages; upstream asks for the nodes all the same."""
    return count is None or split(model, gpus, count).pipeline_parallel <= (model.layers or 0)


@given(
    weights=st.floats(0.5, 900),
    layers=st.integers(1, 128),
    kv_heads=st.sampled_from([1, 2, 4, 8, 10, 32]),
    each=st.floats(4, 200),
    gpus=st.sampled_from([1, 2, 4, 6, 8, 16]),
    context=st.integers(1, 1_000_000),
)
def test_it_is_upstream_for_any_model(
    weights: float, layers: int, kv_heads: int, each: float, gpus: int, context: int
) -> None:
    model = Model(
        name="x/model",
        weights_gib=weights,
        context=1_000_000,
        layers=layers,
        heads=32,
        kv_heads=kv_heads,
        head_dim=128,
    )
    size = Gpus(product="NVIDIA X", count=gpus, memory_gib=each * gpus)
    per_token = 2 * 2 * layers * kv_heads * 128
    expected = upstream(weights, per_token, size.memory_gib, gpus, context)
    assume(expected is None or expected < 1000)
    assert nodes(model, size, context) == (expected if splits(model, size, expected) else None)


@given(
    model=st.sampled_from(KNOWN),
    gpus=st.sampled_from(NVIDIA),
    context=st.sampled_from([2048, 8192]),
)
def test_it_is_upstream_for_the_catalogue(model: Model, gpus: Gpus, context: int) -> None:
    assert model.weights_gib is not None
    per_token = model.kv_bytes_per_token or 0
    expected = upstream(model.weights_gib, per_token, gpus.memory_gib, gpus.count, context)
    assert nodes(model, gpus, context) == (expected if splits(model, gpus, expected) else None)


def test_an_a10_counts_like_any_other_gpu() -> None:
    # Of which the engine is given 0.82: with that share it would be two.
    tight = Gpus(product="NVIDIA A10", count=1, memory_gib=24)
    model = Model(name="x/model", weights_gib=16.5)
    assert nodes(model, tight, 2048) == 1


@given(model=st.sampled_from(KNOWN), gpus=st.sampled_from(NVIDIA), more=st.floats(0, 100))
def test_more_memory_never_takes_more_nodes(model: Model, gpus: Gpus, more: float) -> None:
    less = nodes(model, gpus, 2048)
    larger = Gpus(product="NVIDIA X", count=gpus.count, memory_gib=gpus.memory_gib + more)
    found = nodes(model, larger, 2048)
    assert less is None or (found is not None and found <= less)


@given(
    model=st.sampled_from(KNOWN),
    gpus=st.sampled_from(NVIDIA),
    context=st.integers(1, 100_000),
    more=st.integers(0, 100_000),
)
def test_longer_context_never_takes_fewer_nodes(
    model: Model, gpus: Gpus, context: int, more: int
) -> None:
    short, long = nodes(model, gpus, context), nodes(model, gpus, context + more)
    assert long is None or (short is not None and short <= long)


@pytest.mark.parametrize("most", [1, 2])
def test_nodes_that_may_not_be_had_are_a_misfit(most: int) -> None:
    model = Model(name="x/large", weights_gib=190)
    answer = estimate(model, Gpus(product="NVIDIA X", count=1, memory_gib=80), max_nodes=most)
    assert isinstance(answer, Misfit)
    assert f"only provides {most} " in answer.message
