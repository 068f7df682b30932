"""How fast a model is tuned: arithmetic, peaks, and what others measured."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.trainings import Row, published
from kaito.catalog.catalog import load
from kaito.catalog.sku import Gpus
from kaito.catalog.throughput import TOKENS, peak_tflops, shares, speed, token_operations
from kaito.catalog.training import Bits, Training
from test.unit.catalog.test_tuning import A100, K80, LLAMA, QLORA, T4, model, named

PRODUCTS = [*load().products.values()]


@pytest.mark.parametrize(
    ("gpus", "tflops"),
    [
        (A100, 312),
        (T4, 65),
        (replace(A100, product="NVIDIA-A100-SXM4-80GB"), 312),
        (replace(A100, product="NVIDIA H100", memory_gib=94), 835),
        (replace(A100, product="NVIDIA H100", memory_gib=80), 989),
        (replace(A100, product="NVIDIA A10", memory_gib=4, part=Fraction(1, 6)), 125 / 6),
        (replace(A100, product="NVIDIA A10G", memory_gib=24), 70),
        (K80, None),
    ],
)
def test_the_peak_is_that_of_the_product(gpus: Gpus, tflops: float | None) -> None:
    assert peak_tflops(gpus, PRODUCTS) == (None if tflops is None else pytest.approx(tflops))


def test_a_token_takes_two_operations_for_each_weight_on_every_way() -> None:
    short = Training(length=1, checkpointing=False)
    # Llama 3.1 8B: 8.03 billion parameters of which 0.53 are looked up and not multiplied.
    assert token_operations(LLAMA, short) == pytest.approx(4 * 7.5e9, rel=0.001)
    again = replace(short, checkpointing=True)
    assert token_operations(LLAMA, again) == pytest.approx(6 * 7.5e9, rel=0.001)


@pytest.mark.parametrize("row", [*published()], ids=named)
@pytest.mark.parametrize("bits", [16, 4])
def test_what_others_measured_is_in_the_range(row: Row, bits: Bits) -> None:
    training = replace(row.training, bits=bits, length=row.training.length)
    found = speed(row.model, A100, training, PRODUCTS)
    assert found is not None
    told = found.seconds(8 * training.length)
    assert 0.95 * told.low <= (row.seconds if bits == 16 else row.quantized) <= told.high


@given(st.integers(1, 64), st.integers(1, 65536), st.sampled_from(get_args(Bits)))
def test_a_share_is_a_range_below_one(batch: int, length: int, bits: Bits) -> None:
    training = replace(QLORA, batch=batch, length=length, bits=bits)
    low, high = shares(LLAMA, training)
    assert 0 < low <= high < 1


@pytest.mark.parametrize("tokens", TOKENS)
def test_few_bits_are_slower(tokens: int) -> None:
    training = Training(length=tokens)
    narrow = replace(training, method="qlora", bits=4)
    for one, other in zip(shares(LLAMA, narrow), shares(LLAMA, training), strict=True):
        assert one <= other


def test_gpus_of_a_node_train_side_by_side() -> None:
    one = speed(LLAMA, A100, QLORA, PRODUCTS)
    four = speed(LLAMA, replace(A100, count=4, memory_gib=320), QLORA, PRODUCTS)
    assert one is not None
    assert four is not None
    assert four.fast == pytest.approx(4 * one.fast)


def test_the_speed_of_what_is_not_known_is_not_told() -> None:
    assert speed(LLAMA, K80, QLORA, PRODUCTS) is None
    assert speed(model("gpt-oss-20b"), A100, QLORA, PRODUCTS) is None
