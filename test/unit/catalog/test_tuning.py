"""What training takes of a node: what fits, what does not, and what to change."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.trainings import Row, published
from kaito.catalog.catalog import load
from kaito.catalog.estimate import Misfit
from kaito.catalog.footprint import Footprint, footprint, weight_bytes
from kaito.catalog.model import Model
from kaito.catalog.sku import Gpus
from kaito.catalog.training import Training
from kaito.catalog.tuning import Tuning, tunable, tuning, tuning_sizes, untunable

CATALOG = load()
QLORA = Training(method="qlora", bits=4)
A100 = Gpus(product="NVIDIA A100", count=1, memory_gib=80, compute_capability=8.0)
T4 = Gpus(product="NVIDIA T4", count=1, memory_gib=16, compute_capability=7.5)
K80 = Gpus(product="NVIDIA K80", count=1, memory_gib=12, compute_capability=3.7)

# What upstream tunes today and tuned in its days (kaito.md 3.8).
UPSTREAM = [
    "phi-4",
    "phi-4-mini-instruct",
    "phi-3-mini-4k-instruct",
    "phi-3-mini-128k-instruct",
    "phi-3-medium-4k-instruct",
    "phi-3-medium-128k-instruct",
    "phi-3.5-mini-instruct",
    "mistral-7b",
    "qwen2.5-coder-7b-instruct",
    "qwen2.5-coder-32b-instruct",
    "falcon-7b",
    "falcon-40b",
    "phi-2",
]


def model(name: str) -> Model:
    found = CATALOG.find_model(name)
    assert found is not None
    return found


LLAMA = model("llama-3.1-8b-instruct")


def needed(training: Training, each: Model = LLAMA, gpus: Gpus = A100) -> float:
    found = footprint(each, gpus, training)
    assert found is not None
    return found.needed


def fits(training: Training) -> bool:
    return isinstance(tuning(LLAMA, A100, training), Tuning)


trainings = st.builds(
    Training,
    method=st.just("qlora"),
    bits=st.sampled_from([4, 8]),
    rank=st.integers(1, 256),
    targets=st.sampled_from([("all-linear",), ("q_proj",), ("q_proj", "down_proj")]),
    batch=st.integers(1, 64),
    length=st.integers(1, 16384),
    checkpointing=st.booleans(),
    optimizer=st.sampled_from(["adamw_torch", "paged_adamw_8bit", "sgd"]),
)


@given(trainings, st.integers(1, 64))
def test_a_larger_batch_takes_more(training: Training, more: int) -> None:
    assert needed(replace(training, batch=training.batch + more)) > needed(training)


@given(trainings, st.integers(1, 4096))
def test_longer_examples_take_more(training: Training, more: int) -> None:
    assert needed(replace(training, length=training.length + more)) > needed(training)


@given(trainings, st.integers(1, 256))
def test_a_higher_rank_takes_more(training: Training, more: int) -> None:
    assert needed(replace(training, rank=training.rank + more)) > needed(training)


@given(trainings)
def test_fewer_bits_take_less(training: Training) -> None:
    lora = replace(training, method="lora", bits=16)
    assert needed(replace(training, bits=4)) < needed(replace(training, bits=8)) < needed(lora)


@given(trainings)
def test_more_targets_take_more(training: Training) -> None:
    few, many = replace(training, targets=("q_proj",)), replace(training, targets=("all-linear",))
    assert needed(few) < needed(many)


@given(trainings, st.integers(2, 8))
def test_gpus_that_exchange_gradients_take_more_and_are_alike(
    training: Training, count: int
) -> None:
    several = replace(A100, count=count, memory_gib=80 * count)
    assert needed(training, gpus=several) > needed(training)
    assert needed(training, gpus=several) == needed(
        training, gpus=replace(A100, count=2, memory_gib=160)
    )


@pytest.mark.parametrize("training", [Training(), QLORA])
def test_a_larger_model_takes_more(training: Training) -> None:
    names = ["phi-3-mini-4k-instruct", "llama-3.1-8b-instruct", "phi-4", "llama-3.3-70b-instruct"]
    sizes = [needed(training, model(name)) for name in names]
    assert sizes == sorted(sizes)


def test_checkpointing_keeps_less_of_long_examples() -> None:
    long = Training(length=4096)
    assert needed(long) < needed(replace(long, checkpointing=False)) / 2


def test_nf4_takes_half_a_byte_and_the_scales_of_qlora_s_authors() -> None:
    single = Training(method="qlora", bits=4, double=False)
    # QLoRA, section 3: 0.5 bits of scales for each weight, and 0.127 when they are quantised.
    assert weight_bytes(8 * 64 * 256, single) == 64 * 256 * (4 + 0.5)
    assert weight_bytes(8 * 64 * 256, QLORA) / (64 * 256) == pytest.approx(4 + 0.127, abs=0.001)


def named(row: Row) -> str:
    return f"{row.model.name}-{row.training.length}"


# The smallest keeps more than we say; it is the one that fits everywhere.
@pytest.mark.parametrize(
    "row", [each for each in published() if each.model.layers != 24], ids=named
)
def test_the_account_is_near_what_was_published(row: Row) -> None:
    assert row.ours == pytest.approx(row.gigabytes, rel=0.06)


@given(trainings)
def test_the_logits_of_all_tokens_take_more_than_some_at_a_time(training: Training) -> None:
    assert needed(training) <= needed(replace(training, whole_logits=True))


@given(trainings)
def test_float32_takes_more(training: Training) -> None:
    assert needed(training) < needed(replace(training, wide=True))


@given(trainings)
def test_what_an_adapter_drops_is_kept(training: Training) -> None:
    assert needed(training) < needed(replace(training, dropout=True))


def test_what_fits_says_what_it_takes() -> None:
    found = tuning(LLAMA, A100, Training())
    assert isinstance(found, Tuning)
    assert isinstance(found.footprint, Footprint)
    assert found.footprint.fits
    assert found.parameters == 20_971_520
    # Weights, 80 GiB as for inference, and eleven times the 20 GiB that data may be.
    assert found.disk_gib == int(14.96 + 80 + 220)


def test_no_disk_is_larger_than_a_node_can_have() -> None:
    found = tuning(LLAMA, A100, Training(), data_gib=1024)
    assert isinstance(found, Tuning)
    assert found.disk_gib == 2048


def test_examples_are_no_longer_than_the_model_takes() -> None:
    phi = model("phi-3-mini-4k-instruct")
    found = tuning(phi, A100, Training(length=100_000))
    assert isinstance(found, Tuning)
    assert found.training.length == 4096


def test_what_does_not_fit_says_what_to_change() -> None:
    found = tuning(LLAMA, T4, Training(length=1024))
    assert isinstance(found, Misfit)
    assert found.message == (
        "lora of meta-llama/Llama-3.1-8B-Instruct with 1 x 1,024 tokens takes 16.9 GiB of each "
        "GPU, and 1 x NVIDIA T4 (16 GiB) leaves 14.5: take method qlora"
    )


def test_the_batch_and_the_length_that_are_named_are_the_largest_that_fit() -> None:
    training = Training(length=16384, batch=9)
    found = tuning(LLAMA, A100, training)
    assert isinstance(found, Misfit)
    told = re.findall(r"to ([0-9,]+)", found.message)
    batch, length = (int(number.replace(",", "")) for number in told)
    assert fits(replace(training, batch=batch))
    assert not fits(replace(training, batch=batch + 1))
    assert fits(replace(training, length=length))
    assert not fits(replace(training, length=length + 1))


def test_a_gpu_that_the_trainer_does_not_run_on_is_told() -> None:
    found = tuning(LLAMA, K80, QLORA)
    assert isinstance(found, Misfit)
    assert "compute capability" in found.message


def test_an_adapter_for_nothing_is_told_with_what_there_is() -> None:
    found = tuning(model("phi-4"), A100, Training(targets=("q_proj",)))
    assert isinstance(found, Misfit)
    assert "qkv_proj" in found.message


def test_what_cannot_be_told_is_not_held_against_it() -> None:
    found = tuning(LLAMA, replace(A100, memory_gib=0), Training())
    assert isinstance(found, Tuning)
    assert found.footprint is None


@pytest.mark.parametrize("name", UPSTREAM)
def test_what_upstream_tunes_can_be_tuned(name: str) -> None:
    assert untunable(model(name)) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("gpt-oss-20b", "is a GptOssForCausalLM"),
        ("Qwen/Qwen3-8B-AWQ", "quantised already (awq)"),
    ],
)
def test_what_cannot_be_tuned_says_why(name: str, why: str) -> None:
    assert why in (untunable(model(name)) or "")


def test_presets_of_earlier_releases_come_last_among_those_that_can_be_tuned() -> None:
    able = [each.historical for each in tunable(CATALOG)]
    assert able == sorted(able)
    assert len(able) > len(UPSTREAM)


def test_sizes_that_do_are_the_cheapest_first_and_do() -> None:
    found = [*tuning_sizes(LLAMA, CATALOG, QLORA, cloud="azure")]
    prices = [each.sku.price.usd_per_hour for each in found if each.sku.price]
    assert prices == sorted(prices)
    assert found[0].sku.name == "Standard_NC4as_T4_v3"
    assert all(each.tuning.footprint and each.tuning.footprint.fits for each in found)
