"""GPUs as nodes and slices describe them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaito.catalog.sku import PROFILES, SLICES, Gpus, gpus_of_node, slice_of

A100 = Gpus(product="NVIDIA A100", count=1, memory_gib=80, compute_capability=8.0)
LABELS = {
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB",
    "nvidia.com/gpu.count": "8",
    "nvidia.com/gpu.memory": "40536",
    "nvidia.com/gpu.compute.major": "8",
    "nvidia.com/gpu.compute.minor": "0",
}


def capable(capability: float | None) -> Gpus:
    return Gpus(product="NVIDIA X", count=1, memory_gib=16, compute_capability=capability)


def test_a_node_tells_of_its_gpus_in_labels() -> None:
    assert gpus_of_node(LABELS) == Gpus(
        product="NVIDIA-A100-SXM4-40GB", count=8, memory_gib=320, compute_capability=8.0
    )


def test_a_node_may_tell_its_capability_where_upstream_looks_for_it() -> None:
    labels = {key.replace("gpu.compute", "cuda.compute"): value for key, value in LABELS.items()}
    assert gpus_of_node(labels) == gpus_of_node(LABELS)


@pytest.mark.parametrize("minor", ["", "x", "-1", "²"])
def test_a_capability_that_is_no_number_is_not_known(minor: str) -> None:
    found = gpus_of_node(LABELS | {"nvidia.com/gpu.compute.minor": minor})
    assert found is not None
    assert found.compute_capability is None


@pytest.mark.parametrize(
    "labels",
    [{}, LABELS | {"nvidia.com/gpu.count": "0"}, LABELS | {"nvidia.com/gpu.memory": "many"}],
)
def test_a_node_that_tells_nothing_usable_has_no_known_gpus(labels: dict[str, str]) -> None:
    assert gpus_of_node(labels) is None


@given(st.dictionaries(st.sampled_from(sorted(LABELS)), st.text(max_size=5)))
def test_whatever_the_labels_say_there_are_gpus_with_memory_or_none(labels: dict[str, str]) -> None:
    found = gpus_of_node(LABELS | labels)
    assert found is None or (found.count >= 1 and found.memory_gib >= 0)


@pytest.mark.parametrize(("profile", "memory"), [("3g.40gb", 40), ("1g.5gb", 5), ("7g.141gb", 141)])
def test_a_slice_is_a_gpu_with_the_memory_of_its_profile(profile: str, memory: float) -> None:
    assert slice_of(profile, A100) == Gpus(
        product=f"NVIDIA A100 slice {profile}", count=1, memory_gib=memory, compute_capability=8.0
    )


@pytest.mark.parametrize(
    "profile", ["", "40gb", "3g.40", "3g.40gb.me", "3g.40GB", "1g.12.5gb", "9g.1gb", "٣g.40gb"]
)
def test_what_is_no_profile_is_no_slice(profile: str) -> None:
    assert slice_of(profile, A100) is None


def test_no_slice_is_larger_than_its_gpu() -> None:
    for (product, memory), profiles in SLICES.items():
        whole = Gpus(product=product, count=1, memory_gib=memory)
        parts = [part for profile in profiles if (part := slice_of(profile, whole))]
        assert len(parts) == len(profiles)
        assert max(part.memory_gib for part in parts) == memory


def test_the_profiles_are_those_that_upstream_knows() -> None:
    assert len(PROFILES) == 35


def test_a_gpu_knows_what_it_can_be_cut_into_by_its_memory() -> None:
    forty = Gpus(product="NVIDIA A100", count=8, memory_gib=320)
    assert "1g.5gb" in forty.slices
    assert "1g.5gb" not in A100.slices
    assert capable(8.0).slices == ()


def test_bfloat16_needs_an_ampere_gpu() -> None:
    assert capable(8.0).bfloat16
    assert not capable(7.5).bfloat16


def test_bfloat16_is_assumed_where_nobody_knows() -> None:
    assert capable(None).bfloat16
    assert capable(None).dtypes is None


@pytest.mark.parametrize(
    ("capability", "newest"),
    [
        (3.7, "float32"),
        (6.0, "float16"),
        (7.0, "float16"),
        (7.5, "int8"),
        (8.6, "bfloat16"),
        (8.9, "fp8"),
        (9.0, "fp8"),
        (10.0, "fp4"),
        (12.0, "fp4"),
    ],
)
def test_data_types_come_with_the_capability(capability: float, newest: str) -> None:
    dtypes = capable(capability).dtypes
    assert dtypes is not None
    assert dtypes[-1] == newest


@given(st.floats(0, 20), st.floats(0, 20))
def test_a_newer_gpu_computes_in_all_that_an_older_one_does(one: float, other: float) -> None:
    older, newer = sorted((one, other))
    assert set(capable(older).dtypes or ()) <= set(capable(newer).dtypes or ())


def test_an_a10_leaves_less_memory_to_the_engine() -> None:
    assert Gpus(product="NVIDIA A10", count=1, memory_gib=24).memory_share < A100.memory_share


def test_a_part_of_a_gpu_says_so() -> None:
    sixth = Gpus(product="NVIDIA A10", count=1, memory_gib=4, part=Fraction(1, 6))
    assert str(sixth) == "1 x 1/6 NVIDIA A10 (4 GiB)"
    assert str(A100) == "1 x NVIDIA A100 (80 GiB)"
