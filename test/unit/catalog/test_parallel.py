"""Models are split as the engine accepts it, over all GPUs."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.model import Model
from kaito.catalog.parallel import Split, divides, split, stages
from kaito.catalog.sku import Gpus

HEADS = st.sampled_from([1, 2, 7, 8, 14, 16, 24, 28, 32, 40, 56, 64, 96, 128])
COUNTS = st.sampled_from([1, 2, 3, 4, 6, 8, 16])


def gpus(count: int, each: float = 80) -> Gpus:
    return Gpus(product="NVIDIA X", count=count, memory_gib=count * each)


def model(weights: float, heads: int, kv_heads: int, **more: int) -> Model:
    return Model(
        name="x/model", weights_gib=weights, layers=48, heads=heads, kv_heads=kv_heads, **more
    )


@pytest.mark.parametrize(
    ("subject", "size", "nodes", "expected"),
    [
        pytest.param(model(30, 32, 8), gpus(4), 1, "4x1x1", id="a copy for each GPU"),
        pytest.param(model(60, 64, 8), gpus(4), 1, "1x4x1", id="shared by a node"),
        pytest.param(model(600, 64, 8), gpus(8), 2, "1x8x2", id="nodes are stages"),
        pytest.param(model(60, 28, 4), gpus(8), 1, "2x4x1", id="copies that GPUs share"),
        pytest.param(model(300, 28, 4), gpus(8), 1, "1x4x2", id="stages within a node"),
        pytest.param(model(600, 28, 4), gpus(8), 2, "1x4x4", id="stages within nodes"),
        pytest.param(model(60, 40, 10), gpus(4), 1, "2x2x1", id="key-value heads do not divide"),
        pytest.param(model(60, 32, 2), gpus(8), 1, "1x8x1", id="key-value heads repeat"),
        pytest.param(model(600, 64, 64), gpus(1), 3, "1x1x3", id="single GPUs"),
    ],
)
def test_a_split(subject: Model, size: Gpus, nodes: int, expected: str) -> None:
    assert str(split(subject, size, nodes)) == expected


def test_latent_attention_is_shared_whatever_its_heads_say() -> None:
    latent = model(600, 64, 6, kv_lora_rank=512)
    assert divides(latent, 8)
    assert not divides(model(600, 64, 6), 8)


def test_a_vocabulary_is_padded_before_it_is_shared() -> None:
    assert divides(model(60, 35, 35, vocabulary=32001), 1)
    assert not divides(model(60, 35, 35, vocabulary=32001), 5)
    assert divides(model(60, 32, 32, vocabulary=32001), 8)


def test_a_model_of_unknown_shape_is_shared_by_all_gpus() -> None:
    assert split(Model(name="x/unknown"), gpus(8), 1) == Split(tensor_parallel=8)


@given(weights=st.floats(1, 2000), heads=HEADS, kv=HEADS, count=COUNTS, nodes=st.integers(1, 5))
def test_every_gpu_has_its_part(
    weights: float, heads: int, kv: int, count: int, nodes: int
) -> None:
    found = split(model(weights, heads, kv), gpus(count), nodes)
    parts = found.data_parallel * found.tensor_parallel * found.pipeline_parallel
    assert parts == nodes * count
    assert count % found.tensor_parallel == 0


@given(heads=HEADS, kv=HEADS, count=COUNTS)
def test_heads_are_shared_evenly(heads: int, kv: int, count: int) -> None:
    tensor = split(model(1000, heads, kv), gpus(count), 1).tensor_parallel
    assert heads % tensor == 0
    assert kv % tensor == 0 or tensor % kv == 0


@given(layers=st.integers(1, 200), count=st.integers(1, 16))
def test_stages_share_all_layers_and_the_last_has_the_fewest(layers: int, count: int) -> None:
    parts = stages(layers, count)
    assert len(parts) == count
    assert sum(parts) == layers
    assert max(parts) == ceil(layers / count)
    assert parts[-1] == layers // count


def test_layers_left_over_go_to_the_stages_in_the_middle() -> None:
    assert stages(61, 4) == (15, 15, 16, 15)
    assert stages(62, 4) == (15, 16, 16, 15)
